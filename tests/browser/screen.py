"""A tab that writes down what a person sees in it, and what its clients are told."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Page

RECORDER = Path(__file__).with_name("recorder.js")
#: What Chromium itself says of a connection that fails: that is the fault, not a bug of the page.
NETWORK = ("WebSocket connection to", "net::ERR_", "Failed to load resource", "EventSource")


class Note(NamedTuple):
    """What the recorder wrote down; `at` is on the clock of `time.monotonic`."""

    at: float
    kind: str
    what: Any


class Screen:
    """One tab; `recorder.js` says what it notes."""

    def __init__(self, page: "Page") -> None:
        self.page = page
        self.notes: list[Note] = []
        #: What went wrong in the page, other than a connection that failed.
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self._hear(said.type, said.text))

    @classmethod
    async def open(
        cls, context: "BrowserContext", url: str, page: str = "live.html", **fields: object
    ) -> "Screen":
        """Open one of `tests/browser/pages` with these fields in its query."""
        screen = cls(await context.new_page())
        await screen.page.add_init_script(path=RECORDER)
        await screen.page.goto(f"{url}/pages/{page}?{urlencode(fields)}")
        return screen

    async def look(self) -> list[Note]:
        """Fetch what was written down since; returns all of it."""
        # As text: some messages are nested deeper than playwright can follow.
        since = "n => JSON.stringify(recorder.log.slice(n))"
        new = json.loads(await self.page.evaluate(since, len(self.notes)))
        offset_s = time.monotonic() - time.time()
        self.notes += [Note(at / 1000 + offset_s, kind, what) for at, kind, what in new]
        return self.notes

    async def client(self, expression: str) -> Any:
        """Evaluate something of the newest client, `it`."""
        return await self.page.evaluate(f"(it => {expression})(recorder.clients.at(-1))")

    async def told(self, type: str) -> list[dict[str, Any]]:
        """The details of all events of this type that the clients had."""
        notes = await self.look()
        return [n.what["detail"] for n in notes if n.kind == "client" and n.what["type"] == type]

    async def seen(self) -> list[dict[str, Any]]:
        """All that could be seen of the bars, one after the other."""
        return [note.what for note in await self.look() if note.kind == "screen"]

    async def shows(
        self, state: str, *, also: Callable[[dict[str, Any]], object] = bool, within_s: float = 20
    ) -> Note:
        """Wait until a bar is shown in this state; returns what there is to see, and since when.

        It may have been so for long, and have changed meanwhile: `since` tells when that began.
        """

        async def shown() -> Note | None:
            screens = [note for note in await self.look() if note.kind == "screen"]
            last = screens[-1] if screens else None
            fits = last and last.what["state"] == state and also(last.what)
            return last if fits else None

        found = await eventually(shown, within_s, what=f"a bar that is {state}")
        assert found is not None
        return found

    async def since(
        self,
        moment: float,
        kind: str,
        *,
        also: Callable[[dict[str, Any]], object] = bool,
        within_s: float = 20,
        **what: object,
    ) -> Note:
        """Wait for a note after a moment with these fields; returns the first."""

        async def noted() -> Note | None:
            for note in await self.look():
                if note.at <= moment or note.kind != kind:
                    continue
                if what.items() <= note.what.items() and also(note.what):
                    return note
            return None

        found = await eventually(noted, within_s, what=f"{kind} {what}")
        assert found is not None
        return found

    async def is_open(self, *, within_s: float = 20) -> dict[str, Any]:
        """Wait until the newest client is connected; returns its last welcome."""

        async def opened() -> bool:
            return bool(await self.client("it?.state") == "open")

        await eventually(opened, within_s, what="a connection")
        return (await self.told("welcome"))[-1]

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" and not any(word in text for word in NETWORK):
            self.errors.append(text)
