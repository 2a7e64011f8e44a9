"""`GET /api/v1/sessions/{sid}/messages`: what is retained, for polling and for curl."""

import asyncio

from aiohttp import hdrs, web

from progress_ws.core import codec
from progress_ws.core.message import SID_RULE, is_sid
from progress_ws.core.outbox import Outbox, Update
from progress_ws.core.position import After, Position, parse_after
from progress_ws.core.subscriber import Subscriber
from progress_ws.node import origins
from progress_ws.node.keys import HUB, MEMORY, RECOVERY, SETTINGS
from progress_ws.node.problems import problem
from progress_ws.node.sockets import STALLED_AFTER_S
from progress_ws.node.upgrade import SETTLE_TIMEOUT_S

HEADERS = {hdrs.CONTENT_TYPE: "application/json", hdrs.CACHE_CONTROL: "no-store"}


async def get_messages(request: web.Request) -> web.StreamResponse:
    """Answer with the messages beyond a position, and the position behind them."""
    sid = request.match_info["sid"]
    if not is_sid(sid):
        return problem(400, f"a sid is {SID_RULE}", field="sid")
    try:
        after = parse_after(request.query.get("after", ""))
    except ValueError as exc:
        return problem(400, str(exc), field="after")
    if after or not request.app[MEMORY].has_begun:
        # A moment later this node may know what it has not heard of yet.
        await request.app[RECOVERY].settle(timeout_s=SETTLE_TIMEOUT_S)
    if request.method == hdrs.METH_HEAD:
        return web.Response(headers=HEADERS)
    response = web.StreamResponse(headers=HEADERS | origins.headers(request))
    await response.prepare(request)
    try:
        await _write(request, response, sid, after)
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
    return response


async def _write(
    request: web.Request, response: web.StreamResponse, sid: str, after: After
) -> None:
    """Write the answer in pieces of about 64 KiB, each only when the one before has gone."""
    outbox = Outbox(on_overflow=lambda: None)
    subscriber = Subscriber(
        outbox,
        hub=request.app[HUB],
        memory=request.app[MEMORY],
        node=request.app[SETTINGS].node,
    )
    position = Position([(sid, after)])
    recovered = subscriber.glance(sid, after)
    known = {"sid": sid} if recovered is None else {"sid": sid, "recovered": recovered}
    piece = codec.encode(known)[:-1] + b',"messages":['
    comma = b""
    while batch := outbox.take_now():
        frames = [item.frame() if isinstance(item, Update) else item for item in batch]
        for item in batch:
            if isinstance(item, Update) and item.message.id is not None:
                position.come_to(sid, item.message.id)
        piece += comma + b",".join(frames)
        comma = b","
        if len(piece) >= 65536:
            await _send(response, piece)
            piece = b""
    await _send(response, piece + b'],"after":' + codec.encode(str(position)) + b"}")
    await response.write_eof()


async def _send(response: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(STALLED_AFTER_S):
        await response.write(piece)
    await asyncio.sleep(0)  # many pieces to a fast reader keep nobody else waiting
