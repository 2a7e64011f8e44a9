"""Confirmed, numbered, batched publishing over whatever link there is."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from math import inf

from progress_ws.broker.receipt import Receipt
from progress_ws.broker.seam import (
    NOT_YET,
    Link,
    LinkLost,
    LinkRefused,
    OnCancel,
    OpenLink,
    Unroutable,
    first_loss,
    is_ending,
)
from progress_ws.core import codec
from progress_ws.core.backlog import SHORT_BYTES, Backlog
from progress_ws.core.backoff import Backoff
from progress_ws.core.batch import Batch, Entry
from progress_ws.core.intake import LAST, Last
from progress_ws.core.message import Draft
from progress_ws.errors import InvalidMessage, PublishError

log = logging.getLogger("progress_ws")

OPEN_TIMEOUT_S = 10.0
SILENCE_S = 1.0
"""After so long without anything to send the last number is said once more: were the messages just
before it lost on their way to a node, nothing after them would show it."""
CONFIRM_TIMEOUT_S = 30.0
"""Then the link is opened anew; a confirm that stays away must not stop a publisher for ever."""
LOOKS = 4
"""So often within that time it is looked whether a batch's stays away, and so it may be a quarter
later: a timer for each costs more."""

OnOutage = Callable[[str | None], None]
"""Told why nothing gets through, once for each outage, and None when something does again."""


class BufferFull(PublishError):
    """More is waiting for the broker than the buffer may hold."""


class Sender:
    """Sends drafts in order and keeps what is unconfirmed until it is confirmed.

    While nothing waits, a message leaves at once. While the link is busy, messages gather and
    leave together, as one array. Somebody owns `run` as a task; everything else is a plain call.

    Attributes:
        publisher: the random name that this sender's ids begin with.
        backlog: what waits and what is unconfirmed.
        trouble: why nothing can be sent at the moment; None while connected.
        reconnects: how often a link was lost.
        last_loss: why it was, the last time.
    """

    def __init__(
        self,
        open_link: OpenLink,
        *,
        max_buffer_bytes: int,
        max_message_bytes: int = SHORT_BYTES,
        on_outage: OnOutage = lambda _reason: None,
    ) -> None:
        self.publisher = secrets.token_hex(8)
        self.trouble: str | None = NOT_YET
        self.reconnects = 0
        self.last_loss = ""
        self._open_link = open_link
        self.backlog = Backlog(
            publisher=self.publisher,
            max_bytes=max_buffer_bytes,
            max_message_bytes=max_message_bytes,
        )
        self._backoff = Backoff(first_s=0.1, cap_s=1.0)
        self._last_trouble: str | None = None
        self._refusal: str | None = None
        self._outage: str | None = None
        self._on_outage = on_outage
        self._link: Link | None = None
        self._last_said = 0
        self._put_at = inf
        self._confirmed = asyncio.Event()
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._on_cancel: OnCancel | None = None
        self._listens = asyncio.Event()
        self._cannot_listen = self._flaw = ""

    def __len__(self) -> int:
        """Count the messages that are not confirmed yet, and that somebody still wants sent."""
        return self.backlog.wanted

    async def run(self) -> None:
        """Keep a link open and send over it, until cancelled."""
        while True:
            try:
                await self._run_once()
            except LinkLost as exc:
                if is_ending():
                    raise asyncio.CancelledError from exc
                if self.trouble is None:
                    self.reconnects += 1
                    self.last_loss = str(exc)
                self.trouble = self._last_trouble = str(exc)
                self.backlog.rewind()
                self._suffer(self.trouble)
                if isinstance(exc, LinkRefused):
                    self._refusal = self.trouble
                    self.backlog.fail_awaited(PublishError(self.trouble))
                self._room.set()
            except Exception as exc:  # a bug: whoever waits must not wait for nothing
                self.backlog.seal()
                self.backlog.fail_awaited(PublishError(f"the publisher has failed: {exc!r}"))
                raise
            finally:
                self._link = None
            await asyncio.sleep(self._backoff.next_s())

    def post(self, draft: Draft) -> bool:
        """Take a message to be sent as soon as possible; False when the buffer is full."""
        if not self.backlog.post(draft, ts=time.time()):
            return False
        self._more.set()
        return True

    async def send(
        self, drafts: Sequence[Draft], *, timeout_s: float, wait_for_room: bool = True
    ) -> list[str]:
        """Send messages in this order; return their ids once the broker has them all.

        Raises:
            BufferFull: there was no room, and `wait_for_room` is false.
            PublishError: not all were confirmed in time; what was not may still arrive, once.
            InvalidMessage: a node refused one of them for good.
        """
        receipt = Receipt(len(drafts))
        entries: list[Entry] = []
        try:
            async with asyncio.timeout(timeout_s):
                for index, draft in enumerate(drafts):
                    entry = Entry(draft, ts=time.time(), settle=partial(receipt.settle, index))
                    await self._add(entry, wait_for_room=wait_for_room)
                    entries.append(entry)
                return await receipt.ids
        except TimeoutError as exc:
            withdrawn = [self.backlog.give_up(entry) for entry in entries]
            state = "not sent" if all(withdrawn) else "not confirmed, it may still arrive,"
            raise PublishError(f"{state} within {timeout_s:g} s: {self.reason()}") from exc
        finally:
            if not receipt.complete:
                for entry in entries:
                    self.backlog.give_up(entry)
                self._room.set()

    def listen(self, on_cancel: OnCancel) -> None:
        """From now on call this with what browsers ask of this publisher."""
        self._on_cancel = on_cancel
        self._listens.set()

    @property
    def obstacle(self) -> str | None:
        """Why nothing goes out now: there is no link, or the broker takes nothing over it."""
        return self.trouble or (None if self._link is None else self._link.trouble)

    @property
    def cut_off(self) -> str | None:
        """Why nothing gets through, as far as that is known; None otherwise.

        Unlike `trouble` it stays until something has got through: some links open and refuse
        whatever they are given.
        """
        return (None if self._link is None else self._link.trouble) or self._outage

    def reason(self) -> str:
        """Say why what waits is not confirmed."""
        guess = "no confirm came (an alarm on the broker?)"
        return self.trouble or self.cut_off or self._last_trouble or guess

    async def announce(self, type: str, body: bytes) -> None:
        """Send a message of the node's own over the present link, outside the numbering.

        Raises:
            LinkLost: there is none, or it ended before the confirm came.
        """
        if self._link is None:
            raise LinkLost(self.trouble or NOT_YET)
        await self._link.announce(type, body)
        self._last_trouble = None

    async def ask(self, type: str, body: bytes, *, to: str) -> None:
        """Send a request to one publisher over the present link.

        Raises:
            Unroutable: nobody listens under this name.
            LinkLost: there is no link, or it ended before the confirm came.
        """
        if self._link is None:
            raise LinkLost(self.trouble or NOT_YET)
        await self._link.ask(type, body, to=to)

    async def say_last(self) -> None:
        """Say the last confirmed number once more, if that has not been done over this link.

        Raises:
            LinkLost: there is no link, or it ended before the confirm came.
        """
        last = self.backlog.last_confirmed
        if last == self._last_said:
            return
        with suppress(Unroutable):
            await self.announce(LAST, codec.encode(Last(self.publisher, last)))
        self._last_said = last

    def abandon(self) -> None:
        """Tell all who still wait that this sender has ended."""
        self.backlog.fail_awaited(PublishError("the publisher was closed; it may still arrive"))

    async def flush(self, *, patient: bool = True) -> None:
        """Wait until everything that is still wanted is confirmed.

        Not while we are refused and, unless `patient`, not while we are cut off.
        """
        while self.backlog.wanted and self._refusal is None and (patient or not self.cut_off):
            self._room.clear()
            await self._room.wait()

    async def _add(self, entry: Entry, *, wait_for_room: bool) -> None:
        while not self.backlog.add(entry):
            if not wait_for_room:
                raise BufferFull("too much is waiting for the broker already")
            if self._refusal is not None:
                raise PublishError(self._refusal)
            self._room.clear()
            await self._room.wait()
        self._more.set()

    async def _run_once(self) -> None:
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(OPEN_TIMEOUT_S):
                    link = await stack.enter_async_context(self._open_link())
            except TimeoutError as exc:
                raise LinkLost(f"no answer within {OPEN_TIMEOUT_S:g} s") from exc
            self._link = link
            self._last_said = 0  # a broker may have lost what came just before the link's end
            self.trouble = self._refusal = None
            if not len(self.backlog):
                self._prosper()
            await self._pump(link)

    async def _pump(self, link: Link) -> None:
        """Send batch after batch until the link is lost.

        One at a time: of two on their way the first may come back (nobody there yet, a nack) and
        the second arrive, and then the first one's numbers would look like repetitions.
        """
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(link.lost())
                group.create_task(self._say_last_when_silent())
                group.create_task(self._listen(link))
                group.create_task(self._watch())
                while True:
                    while (batch := self.backlog.take()) is None:
                        self._more.clear()
                        await self._more.wait()
                    await self._put(link, batch)
        except* LinkLost as lost:
            raise first_loss(lost) from None

    async def _listen(self, link: Link) -> None:
        """Hear what browsers ask for, as soon as anybody here wants to."""
        await self._listens.wait()
        assert self._on_cancel is not None
        try:
            await link.listen(self.publisher, self._on_cancel)
        except LinkRefused as exc:
            if str(exc) != self._cannot_listen:
                self._cannot_listen = str(exc)
                log.warning("nothing can be cancelled: %s", exc)

    async def _say_last_when_silent(self) -> None:
        """Beside what is sent and never before it: a broker in an alarm lets nothing through."""
        while True:
            if self._last_said == self.backlog.last_confirmed:
                await self._confirmed.wait()
            self._confirmed.clear()
            await asyncio.sleep(SILENCE_S)
            if self._confirmed.is_set() or len(self.backlog):
                continue
            try:
                async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                    await self.say_last()
            except TimeoutError as exc:
                raise _late() from exc

    async def _put(self, link: Link, batch: Batch) -> None:
        self._put_at = asyncio.get_running_loop().time()
        try:
            ids = await link.put(batch)
            self.backlog.confirm(batch, ids)
            self._confirmed.set()
            if any(ids):
                # Only now the link has proved good: some open and refuse whatever they are given.
                self._last_trouble = None
                self._backoff.reset()
                self._prosper()
        except InvalidMessage as exc:
            lost = self.backlog.refuse(batch, exc)
            if lost is not None and str(exc) != self._flaw:
                self._flaw = str(exc)
                log.warning("a posted message, key %r, is refused: %s", lost.key, exc)
        finally:
            self._put_at = inf
        self._room.set()

    async def _watch(self) -> None:
        """Give the link up when a confirm stays away.

        Raises:
            LinkLost: one did.
        """
        while True:
            await asyncio.sleep(CONFIRM_TIMEOUT_S / LOOKS)
            if asyncio.get_running_loop().time() - self._put_at > CONFIRM_TIMEOUT_S:
                raise _late()

    def _suffer(self, reason: str) -> None:
        is_new, self._outage = self._outage is None, reason
        if is_new:
            self._on_outage(reason)

    def _prosper(self) -> None:
        was_out, self._outage = self._outage is not None, None
        if was_out:
            self._on_outage(None)


def _late() -> LinkLost:
    return LinkLost(f"no confirm within {CONFIRM_TIMEOUT_S:g} s")
