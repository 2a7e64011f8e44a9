"""A browser that always comes back with its position, by an independent client library."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from tests.faults.diary import Diary

WELCOME_S = 10
BACKOFF_S = 0.2
BACKOFF_MAX_S = 1.0
IDS_IN_URL = 64
NEVER_AGAIN = range(4400, 4500)


class Browser:
    """Attached to one session by the query, or to several by `follow`.

    Args:
        doors: addresses, each visit goes to any of them.
        sids: one (by the query) or more (by `follow`, with an empty `sid` in the query).
        ping_s: notices within twice this time a peer that is frozen or was cut off.
        leaves_s: it goes and comes back again and again, after at most so many seconds.
    """

    def __init__(
        self,
        name: str,
        doors: Sequence[str],
        sids: Sequence[str],
        *,
        ping_s: float,
        leaves_s: float | None = None,
    ) -> None:
        self.diaries = {sid: Diary(f"{name}/{sid[:6]}", sid) for sid in sids}
        self.errors: list[str] = []
        self._doors = doors
        self._ping_s = ping_s
        self._leaves_s = leaves_s
        self._socket: ClientConnection | None = None

    async def run(self, *, delay_s: float = 0) -> None:
        """Come, and come back, until cancelled or told not to."""
        failures = 0
        await asyncio.sleep(delay_s)
        while not self.errors:
            welcomed = False
            try:
                async with connect(
                    self._address(),
                    proxy=None,
                    max_size=None,
                    max_queue=None,
                    compression=None,
                    open_timeout=WELCOME_S,
                    close_timeout=1,
                    ping_interval=self._ping_s,
                    ping_timeout=self._ping_s,
                ) as self._socket:
                    welcomed = await self._visit(self._socket)
            except (OSError, TimeoutError, InvalidHandshake, InvalidMessage, ConnectionClosed):
                pass  # come back
            failures = 0 if welcomed else failures + 1
            ceiling_s = min(BACKOFF_MAX_S, BACKOFF_S * 2**failures)
            await asyncio.sleep(random.uniform(0, ceiling_s))

    def leave(self) -> None:
        """Lose the connection without a word; it comes back by itself."""
        if self._socket is not None:
            self._socket.transport.abort()

    def _address(self) -> str:
        query = {"sid": ""}
        if len(self.diaries) == 1:
            ((sid, diary),) = self.diaries.items()
            query = {"sid": sid}
            if diary.position:
                query["after"] = ",".join(diary.after[-IDS_IN_URL:])
        door = random.choice(self._doors).replace("http", "ws", 1)
        return f"{door}/websocket/progress?{urlencode(query)}"

    async def _visit(self, socket: ClientConnection) -> bool:
        """Read to the end of the connection; tells whether there was a welcome."""
        loop, welcomed = asyncio.get_running_loop(), False
        leaving = (
            loop.call_later(random.uniform(0, self._leaves_s), self.leave)
            if self._leaves_s
            else None
        )
        try:
            async with asyncio.timeout(WELCOME_S):
                welcome = json.loads(await socket.recv())
            if welcome["type"] == "welcome":
                welcomed = True
                await self._enter(socket, welcome)
            else:
                self.errors.append(json.dumps(welcome))
            async for text in socket:
                self._read(json.loads(text))
        except ConnectionClosed:
            pass  # told by its code
        finally:
            if leaving is not None:
                leaving.cancel()
        if socket.close_code in NEVER_AGAIN:
            self.errors.append(f"closed with {socket.close_code} {socket.close_reason}")
        return welcomed

    async def _enter(self, socket: ClientConnection, welcome: dict[str, Any]) -> None:
        if "sid" in welcome:
            recovered = welcome.get("recovered")
            self.diaries[welcome["sid"]].begin(at=time.monotonic(), recovered=recovered)
            return
        for sid, diary in self.diaries.items():
            frame = {"type": "follow", "sid": sid}
            await socket.send(json.dumps(frame | ({"after": diary.after} if diary.after else {})))

    def _read(self, frame: dict[str, Any]) -> None:
        now = time.monotonic()
        match frame["type"]:
            case "message":
                self.diaries[frame["sid"]].take(frame, at=now)
            case "followed":
                self.diaries[frame["sid"]].begin(at=now, recovered=frame.get("recovered"))
            case "gap":
                self.diaries[frame["sid"]].gap()
            case "error":
                self.errors.append(json.dumps(frame))
