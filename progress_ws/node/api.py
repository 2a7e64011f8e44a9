"""The HTTP API: publishing, minting sids, and who is there."""

import hmac
from operator import attrgetter

import msgspec
from aiohttp import hdrs, web

from progress_ws.broker.sender import BufferFull
from progress_ws.core import codec
from progress_ws.core.message import KEY_MAX_CHARS, SID_RULE, Key, is_sid, new_sid
from progress_ws.errors import InvalidMessage, PublishError
from progress_ws.node.bodies import BODY_MAX_BYTES, BODY_STALL_S, NoRoom
from progress_ws.node.keys import (
    BODIES,
    CANCELLER,
    CLUSTER,
    MEMORY,
    PULSE,
    SENDER,
    SETTINGS,
    SOCKETS,
)
from progress_ws.node.problems import problem

RETRY_AFTER_S = "2"
_CLOSE = {"Connection": "close"}
_TOO_LARGE = ("too_large", "too_many")


class _Cancel(msgspec.Struct):
    key: Key


async def post_messages(request: web.Request) -> web.StreamResponse:
    """`POST /api/v1/messages`: 202 once the broker has them all, else a problem."""
    settings = request.app[SETTINGS]
    if (refusal := _unauthorized(request, settings.publish_token)) is not None:
        return refusal
    body = await _read(request)
    if isinstance(body, web.Response):
        return body
    longest_s = request.app[MEMORY].longest_silence_s
    try:
        drafts = codec.decode_drafts(
            body,
            max_message_bytes=settings.max_message_bytes,
            max_stall_s=longest_s,
        )
        ids = await request.app[SENDER].send(
            drafts, timeout_s=settings.publish_timeout_seconds, wait_for_room=False
        )
    except InvalidMessage as exc:
        status = 413 if exc.reason in _TOO_LARGE else 400
        max_stall_s = longest_s if exc.field == "stall_s" else None
        return problem(
            status, exc.detail, field=exc.field, index=exc.index, max_stall_s=max_stall_s
        )
    except BufferFull as exc:
        return problem(429, str(exc), headers={hdrs.RETRY_AFTER: RETRY_AFTER_S})
    except PublishError as exc:
        return problem(503, str(exc), headers={hdrs.RETRY_AFTER: RETRY_AFTER_S})
    cancelled = request.app[CANCELLER].hand_over(drafts)
    cancel = [{"sid": sid, "key": key} for sid, key in cancelled]
    return _json({"ids": ids, "cancel": cancel}, status=202)


async def post_sessions(request: web.Request) -> web.StreamResponse:
    """`POST /api/v1/sessions`: mint a sid before connecting.

    A node that drains mints as well, for the sid is any node's, and says that it drains: a client
    whose WebSocket it refuses asks here whether plain HTTP gets through.
    """
    minted: dict[str, object] = {"sid": new_sid()}
    if request.app[SOCKETS].draining:
        minted["draining"] = True
    return _json(minted, status=201)


async def post_cancel(request: web.Request) -> web.StreamResponse:
    """`POST /api/v1/sessions/{sid}/cancel`: 202 if somebody listens, else 404."""
    sid = request.match_info["sid"]
    if not is_sid(sid):
        return problem(400, f"a sid is {SID_RULE}", field="sid")
    body = await _read(request)
    if isinstance(body, web.Response):
        return body
    try:
        key = codec.decode(body, _Cancel).key
    except InvalidMessage:
        detail = f'send {{"key": …}}, a string of at most {KEY_MAX_CHARS} characters'
        return problem(400, detail, field="key")
    if (reason := await request.app[CANCELLER].ask(sid, key)) is not None:
        return problem(404, f"nobody listens: {reason}")
    return _json({"sid": sid, "key": key}, status=202)


async def get_cluster(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/cluster`: every live node, and the totals.

    The others as they were heard last; this one as it is now, also while it hears nobody.
    """
    cluster, own = request.app[CLUSTER], request.app[PULSE].now()
    others = [beat for beat in cluster.nodes() if not cluster.is_own(beat)]
    beats = sorted([own, *others], key=attrgetter("node"))
    nodes = [
        {
            "node": beat.node,
            "version": beat.version,
            "connections": beat.connections,
            "sessions": beat.sessions,
        }
        for beat in beats
    ]
    totals = {
        "nodes": len(beats),
        "connections": sum(beat.connections for beat in beats),
        "sessions": sum(beat.sessions for beat in beats),
    }
    return _json({"node": own.node, "nodes": nodes, "totals": totals})


async def _read(request: web.Request) -> bytes | web.Response:
    """Read the body, or say why it cannot be read."""
    try:
        return await request.app[BODIES].read(request)
    except web.HTTPRequestEntityTooLarge:
        return problem(413, f"the body is larger than {BODY_MAX_BYTES} bytes")
    except TimeoutError:
        return problem(408, f"nothing of the body came for {BODY_STALL_S:g} s", headers=_CLOSE)
    except (web.RequestPayloadError, ConnectionError) as exc:
        return problem(400, f"the body cannot be read: {exc}")
    except NoRoom as exc:
        return problem(429, str(exc), headers={hdrs.RETRY_AFTER: RETRY_AFTER_S})


def _unauthorized(request: web.Request, token: str | None) -> web.Response | None:
    if token is None:
        detail = "publishing over HTTP is off: set PROGRESS_WS_PUBLISH_TOKEN on the node"
        return problem(403, detail)
    scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(
        given.strip().encode("utf-8", "surrogateescape"), token.encode()
    ):
        return None
    if scheme.lower() == "bearer" and given:
        detail = "the publish token is wrong: it must be PROGRESS_WS_PUBLISH_TOKEN of the node"
    else:
        detail = "send the header Authorization: Bearer <publish token>"
    return problem(401, detail, headers={hdrs.WWW_AUTHENTICATE: "Bearer"})


def _json(value: object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=codec.encode(value),
        status=status,
        content_type="application/json",
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )
