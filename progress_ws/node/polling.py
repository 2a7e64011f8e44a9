"""`GET /api/v1/sessions/{sid}/messages`: what is retained, for polling and for curl."""

import asyncio
from collections.abc import Iterator

from aiohttp import hdrs, web

from progress_ws.core import codec
from progress_ws.core.message import SID_RULE, is_sid
from progress_ws.core.outbox import TAKE_BYTES, Outbox
from progress_ws.core.position import After, Position, parse_after
from progress_ws.core.subscriber import Subscriber
from progress_ws.core.update import Update
from progress_ws.node import origins
from progress_ws.node.keys import HUB, MEMORY, RECOVERY, SETTINGS
from progress_ws.node.problems import problem
from progress_ws.node.wire import STALLED_AFTER_S

HEADERS = {hdrs.CONTENT_TYPE: "application/json", hdrs.CACHE_CONTROL: "no-store"}


async def get_messages(request: web.Request) -> web.StreamResponse:
    """Answer with the messages beyond a position, and the position behind them.

    All that is retained, since a position has no room for everything that a part would need. But
    it is read and written in pieces, and each waits until the one before has gone.
    """
    sid = request.match_info["sid"]
    if not is_sid(sid):
        return problem(400, f"a sid is {SID_RULE}", field="sid")
    try:
        after = parse_after(request.query.get("after", ""))
    except ValueError as exc:
        return problem(400, str(exc), field="after")
    await request.app[RECOVERY].let_settle(resumes=after is not None)
    if request.method == hdrs.METH_HEAD:
        return web.Response(headers=HEADERS)
    pieces = _pieces(request.app, sid, after)
    piece = next(pieces)  # an error of ours had better be before the head of the answer
    response = web.StreamResponse(headers=HEADERS | origins.headers(request))
    try:
        await response.prepare(request)
        await _send(response, piece)
        for piece in pieces:
            await _send(response, piece)
            await asyncio.sleep(0)  # many pieces to a fast reader keep nobody else waiting
        await response.write_eof()
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
    return response


def _pieces(app: web.Application, sid: str, after: After) -> Iterator[bytes]:
    """Encode the answer, about 64 KiB of it at a time."""
    outbox = Outbox(on_overflow=lambda: None)  # a glance puts little into it
    subscriber = Subscriber(outbox, hub=app[HUB], memory=app[MEMORY], node=app[SETTINGS].node)
    position = Position([(sid, after)])
    recovered = subscriber.glance(sid, after)
    head = {"sid": sid} if recovered is None else {"sid": sid, "recovered": recovered}
    piece, comma = codec.encode(head)[:-1] + b',"messages":[', b""
    while batch := outbox.take_now():
        frames = [item.frame() if isinstance(item, Update) else item for item in batch]
        for item in batch:
            if isinstance(item, Update) and (id_ := item.message.id) is not None:
                position.come_to(sid, id_)
        piece += comma + b",".join(frames)
        comma = b","
        if len(piece) >= TAKE_BYTES:
            yield piece
            piece = b""
    yield piece + b'],"after":%b}' % codec.encode(str(position))


async def _send(response: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(STALLED_AFTER_S):
        await response.write(piece)
