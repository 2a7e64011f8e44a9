"""The link of a publisher to a node's HTTP API, where a worker cannot reach RabbitMQ."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf

import aiohttp
import msgspec

from progress_ws.broker.seam import LinkLost, LinkRefused, OnCancel, Unroutable
from progress_ws.core import codec
from progress_ws.core.batch import Batch
from progress_ws.core.message import Draft
from progress_ws.errors import InvalidMessage

REQUEST_TIMEOUT_S = 15.0
"""Longer than a node waits for its broker: the node's own answer says more than a timeout."""


class _Wish(msgspec.Struct):
    sid: str
    key: str


class _Accepted(msgspec.Struct):
    ids: list[str]
    cancel: list[_Wish] = []


class _Problem(msgspec.Struct):
    title: str = ""
    detail: str = ""
    field: str | None = None
    max_stall_s: float = 0.0


class _TooLongPromise(InvalidMessage):
    """A `stall_s` is longer than the node takes, which is `max_stall_s` seconds; 0: unknown."""

    def __init__(self, detail: str, *, max_stall_s: float) -> None:
        super().__init__(detail, reason="refused", field="stall_s")
        self.max_stall_s = max_stall_s


@asynccontextmanager
async def open_link(url: str, *, token: str) -> AsyncIterator["HttpLink"]:
    """Open a session with a node; requests will say whether it can be reached."""
    timeout = aiohttp.ClientTimeout()  # none: see `_put`
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        yield HttpLink(session, f"{url}/api/v1/messages")


class HttpLink:
    """One request after the other: only then are they ordered."""

    trouble = None
    """See `Link.trouble`; what troubles a node is in its answers."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._on_cancel: OnCancel | None = None
        self._max_stall_s = inf

    async def put(self, batch: Batch) -> list[str]:
        """See `Link.put`. The node numbers; our own number makes a repetition harmless.

        So what was given up needs no void: it is left out, and its id is empty. As over AMQP, news
        that are promised for later than the node's history time are promised for then.
        """
        try:
            return await self._put(batch)
        except _TooLongPromise as exc:
            if exc.max_stall_s >= self._max_stall_s:
                raise
            self._max_stall_s = exc.max_stall_s
            return await self.put(batch)

    async def _put(self, batch: Batch) -> list[str]:
        members = [
            self._member(entry.draft, id_)
            for entry, id_ in zip(batch.entries, batch.ids, strict=True)
            if not entry.is_given_up
        ]
        if not members:
            return [""] * len(batch.ids)
        kept = [not entry.is_given_up for entry in batch.entries]
        body = codec.encode(members)
        headers = {"Content-Type": "application/json"}
        try:
            # Not by aiohttp, whose timer swallows a cancellation that comes in the same moment.
            async with (
                asyncio.timeout(REQUEST_TIMEOUT_S),
                self._session.post(
                    self._url, data=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                given = iter(await self._ids(response, len(members)))
                return [next(given) if is_kept else "" for is_kept in kept]
        except aiohttp.ClientConnectorError as exc:
            place = f"{exc.host}:{exc.port}"
            if isinstance(exc.os_error, ConnectionRefusedError):
                raise LinkLost(f"nobody listens at {place}") from exc
            raise LinkLost(f"{place}: {exc.os_error.strerror or exc.os_error}") from exc
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise LinkLost(f"{self._url}: {str(exc) or type(exc).__name__}") from exc

    def _member(self, draft: Draft, id_: str) -> Draft:
        stall_s = None if draft.stall_s is None else min(draft.stall_s, self._max_stall_s) or None
        return msgspec.structs.replace(draft, dedupe=draft.dedupe or id_, stall_s=stall_s)

    async def announce(self, type: str, body: bytes) -> None:
        """See `Link.announce`; here the node numbers, and tells its last number itself."""

    async def listen(self, publisher: str, on_cancel: OnCancel) -> None:
        """See `Link.listen`; a node's answers bring them."""
        self._on_cancel = on_cancel

    async def ask(self, type: str, body: bytes, *, to: str) -> None:
        """See `Link.ask`; only nodes ask."""
        raise Unroutable("requests to publishers cross no HTTP API")

    async def lost(self) -> None:
        """See `Link.lost`; each request finds out for itself."""
        await asyncio.get_running_loop().create_future()

    async def _ids(self, response: aiohttp.ClientResponse, count: int) -> list[str]:
        body = await response.read()
        if response.status == 202:
            try:
                accepted = codec.decode(body, _Accepted)
            except InvalidMessage:
                accepted = _Accepted([])
            if len(accepted.ids) != count:
                raise LinkLost(f"{self._url} answered 202, but not as a node does")
            for wish in accepted.cancel:
                if self._on_cancel is not None:
                    self._on_cancel(wish.sid, wish.key)
            return accepted.ids
        raise self._refusal(response, body)

    def _refusal(self, response: aiohttp.ClientResponse, body: bytes) -> Exception:
        """Say what an answer means that is no confirm."""
        status = response.status
        try:
            problem = codec.decode(body, _Problem)
        except InvalidMessage:
            problem = _Problem()  # not from a node: a proxy's page, say
        said = f"{self._url} answered {status}: {problem.detail or problem.title}"
        if (place := response.headers.get("Location")) and 300 <= status < 400:
            # Followed, a POST would become a GET.
            return LinkRefused(f"{self._url} answered {status}: it is at {place}")
        if status == 400 and problem.field == "stall_s":
            return _TooLongPromise(said, max_stall_s=problem.max_stall_s)
        if status in (400, 413):
            return InvalidMessage(said, reason="refused")
        if status in (401, 403, 404, 405):
            return LinkRefused(said)
        return LinkLost(said)
