"""`GET /websocket/progress`: who may have a socket, and what it asks for."""

import secrets
from dataclasses import dataclass

import structlog
from aiohttp import web

from progress_ws.core.frames import FRAME_MAX_BYTES, PING_S, CloseCode
from progress_ws.core.message import SID_RULE, is_sid, new_sid
from progress_ws.core.position import After, parse_after
from progress_ws.node.admission import Connection
from progress_ws.node.keys import (
    CANCELLER,
    HUB,
    MEMORY,
    ORIGINS,
    RECOVERY,
    SETTINGS,
    SOCKETS,
    TURN,
)
from progress_ws.node.sockets import LINGER_S, Socket


@dataclass(frozen=True, slots=True)
class Query:
    """What a browser asks for in the URL.

    Attributes:
        sid: attach to this session; empty: to none.
        after: its position, as the last number seen of each publisher.
        as_text: `format=text`, the wire of the original article.
    """

    sid: str
    after: After = None
    as_text: bool = False


def parse_query(query: dict[str, str]) -> Query:
    """Read the query; a sid is minted where there is none.

    Raises:
        ValueError: with the reason for the browser, at most 123 bytes as a close frame has it.
    """
    sid = query.get("sid", "") if "sid" in query else new_sid()
    if sid and not is_sid(sid):
        raise ValueError(f"a sid is {SID_RULE}")
    format_ = query.get("format", "json")
    if format_ not in ("json", "text"):
        raise ValueError("format is json or text")
    return Query(sid, parse_after(query.get("after", "")), as_text=format_ == "text")


async def progress_socket(request: web.Request) -> web.StreamResponse:
    """Upgrade and serve one browser. Refusals that a browser should see are close codes."""
    settings, sockets, memory = request.app[SETTINGS], request.app[SOCKETS], request.app[MEMORY]
    request.app[ORIGINS].check(request)
    await request.app[RECOVERY].let_settle(resumes="after" in request.query)
    is_gone = request.transport is None
    if sockets.draining or is_gone:
        raise web.HTTPServiceUnavailable(text="draining\n", headers={"Retry-After": "1"})
    websocket = web.WebSocketResponse(
        heartbeat=PING_S,
        autoping=False,  # the socket counts and answers them itself
        compress=False,
        max_msg_size=FRAME_MAX_BYTES + 1,  # aiohttp refuses what reaches its limit
        timeout=LINGER_S,
    )
    try:
        writer = await websocket.prepare(request)
    except ConnectionError:  # gone already; nobody reads the answer
        raise web.HTTPServiceUnavailable from None
    transport = request.transport
    if transport is None:
        return websocket  # gone already
    refusal: tuple[CloseCode, str] | None = None
    query = Query("")
    try:
        query = parse_query(dict(request.query))
    except ValueError as exc:
        refusal = CloseCode.BAD_QUERY, str(exc)
    if sockets.full:
        refusal = CloseCode.FULL, "full, come back later"
    if refusal is not None:
        code, reason = refusal
        sockets.closes[str(int(code))] += 1
        if isinstance(request.protocol, Connection):
            request.protocol.refused()
        await websocket.close(code=code, message=reason.encode())
        return websocket
    socket = Socket(
        websocket,
        writer,
        transport,
        turn=request.app[TURN],
        hub=request.app[HUB],
        memory=memory,
        canceller=request.app[CANCELLER],
        node=settings.node,
        as_text=query.as_text,
    )
    sockets.add(socket)
    code_seen = 1006
    try:
        # Never unbound: a socket is its connection's last request, and its task ends with it.
        structlog.contextvars.bind_contextvars(connection=secrets.token_hex(4))
        code_seen = await socket.run(query.sid, after=query.after)
    finally:
        sockets.remove(socket, code_seen)
    return websocket
