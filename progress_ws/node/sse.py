"""`GET /sse/progress`: who may have an event stream, and what it asks for."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from aiohttp import hdrs, web

from progress_ws.core.frames import FOLLOWS_MAX, CloseCode
from progress_ws.core.message import SID_RULE, is_sid, new_sid
from progress_ws.core.position import After, parse_after, parse_position
from progress_ws.node import origins
from progress_ws.node.admission import Connection
from progress_ws.node.keys import HUB, MEMORY, METRICS, RECOVERY, SETTINGS, SOCKETS
from progress_ws.node.problems import problem
from progress_ws.node.sockets import NO_STATUS
from progress_ws.node.streams import Stream

LAST_EVENT_ID = "Last-Event-ID"
FULL_RETRY_AFTER_S, DRAINING_RETRY_AFTER_S = "10", "1"
HEADERS = {
    hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
    hdrs.CACHE_CONTROL: "no-store",
    "X-Accel-Buffering": "no",
}


@dataclass(frozen=True, slots=True)
class Query:
    """What a browser asks for, by its URL and by the header that its EventSource adds.

    Attributes:
        sessions: each sid, in the URL's order, with the browser's position in it.
        minted: the URL has no sid.
        resumes: there is a position.
    """

    sessions: Sequence[tuple[str, After]]
    minted: bool
    resumes: bool


def parse_query(sids: list[str], after: list[str], last_event_id: str) -> Query:
    """Read what the URL and the header say; a sid is minted where there is none.

    Args:
        sids: every `sid` of the query.
        after: every `after`: none, or one for each sid.
        last_event_id: a position that counts more than those.

    Raises:
        ValueError: with the reason for the browser.
    """
    minted = not sids
    afters = [parse_after(text) for text in after]
    if last_event_id:
        known, afters = parse_position(last_event_id)
        if minted and known:
            sids = [known]
        elif known and known != sids[0]:
            raise ValueError(f"the position in {LAST_EVENT_ID} is another session's")
    sids = sids or [new_sid()]
    if not all(map(is_sid, sids if sids[0] else sids[1:])):
        raise ValueError(f"a sid is {SID_RULE}")
    if len(sids) > 1 + FOLLOWS_MAX or len(sids) != len(set(sids)):
        raise ValueError(f"at most {1 + FOLLOWS_MAX} sids, each once")
    if afters and len(afters) != len(sids):
        raise ValueError("one after for each sid, in the same order; an empty one where none is")
    sessions = list(zip(sids, afters or [None] * len(sids), strict=True))
    return Query(sessions, minted, resumes=any(afters))


async def progress_stream(request: web.Request) -> web.StreamResponse:
    """Serve one browser. Refusals are problems, and 503 has a `Retry-After`."""
    sockets = request.app[SOCKETS]
    try:
        query = parse_query(
            request.query.getall("sid", []),
            request.query.getall("after", []),
            request.headers.get(LAST_EVENT_ID, ""),
        )
    except ValueError as exc:
        return problem(400, str(exc))
    await request.app[RECOVERY].let_settle(resumes=query.resumes)
    transport = request.transport
    if sockets.draining or transport is None:
        return _come_back("draining", DRAINING_RETRY_AFTER_S)
    if sockets.full:
        sockets.closes[str(int(CloseCode.FULL))] += 1
        return _come_back("full, come back later", FULL_RETRY_AFTER_S)
    if request.method == hdrs.METH_HEAD:
        return web.Response(headers=HEADERS)
    stream = Stream(
        query.sessions,
        transport,
        minted=query.minted,
        hub=request.app[HUB],
        memory=request.app[MEMORY],
        node=request.app[SETTINGS].node,
        on_written=request.app[METRICS].written_s.observe,
    )
    if isinstance(request.protocol, Connection):
        request.protocol.when_lost(stream.lost)
    response = web.StreamResponse(headers=HEADERS | origins.headers(request))
    response.force_close()
    sockets.add(stream)
    code = NO_STATUS
    try:
        with (
            suppress(ConnectionError),
            structlog.contextvars.bound_contextvars(connection=secrets.token_hex(4)),
        ):
            await response.prepare(request)
            code = await stream.run(response)
    finally:
        sockets.remove(stream, code)
    return response


def _come_back(detail: str, retry_after_s: str) -> web.Response:
    return problem(503, detail, headers={hdrs.RETRY_AFTER: retry_after_s})
