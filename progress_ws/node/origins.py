"""Which pages may connect: the check of `Origin`, before any upgrade (RFC 6455, section 10.2)."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import structlog
from aiohttp import hdrs, web

from progress_ws.node.settings import DEFAULT_PORTS

log = structlog.get_logger(__name__)

TOLD_MAX = 100
"""So many refused origins are logged, each once; what comes after them is counted only."""
TOLD_CHARS = 100
_MAX_AGE_S = "600"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_allowed(origin: str | None, *, host: str, allowed: tuple[str, ...]) -> bool:
    """Tell whether a page of this origin may talk to this node.

    Args:
        origin: the header; None: no browser sent it.
        host: the header `Host`. A proxy may have taken TLS off, so the schemes are not compared.
        allowed: further origins in lower case, or `*`.
    """
    return (
        origin is None
        or "*" in allowed
        or origin.lower() in allowed
        or _is_same(origin.lower(), host.lower())
    )


def _is_same(origin: str, host: str) -> bool:
    try:
        page, own = urlsplit(origin), urlsplit(f"//{host}")
        default = DEFAULT_PORTS.get(page.scheme)
        return (
            bool(page.hostname)
            and page.hostname == own.hostname
            and (page.port or default) == (own.port or default)
        )
    except ValueError:
        return False


class Origins:
    """The door of one node for pages.

    A browser shows its page nothing of a refusal, so the operator is told.

    Attributes:
        refused: counts the requests of foreign pages.
    """

    def __init__(self, allowed: tuple[str, ...]) -> None:
        """`allowed`: further origins than the node's own."""
        self._allowed = allowed
        self._told: set[str] = set()
        self.refused = 0

    def check(self, request: web.Request) -> None:
        """Refuse a foreign page.

        Raises:
            web.HTTPForbidden: the origin is not allowed.
        """
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or is_allowed(origin, host=request.host, allowed=self._allowed):
            return
        self.refused += 1
        self._tell(origin[:TOLD_CHARS], request.host[:TOLD_CHARS])
        raise web.HTTPForbidden(
            text=f"the origin {origin} is not allowed; PROGRESS_WS_ALLOWED_ORIGINS can allow it\n"
        )

    def _tell(self, origin: str, host: str) -> None:
        """Log an origin once."""
        if origin in self._told or len(self._told) >= TOLD_MAX:
            return
        self._told.add(origin)
        log.warning(
            "page refused",
            origin=origin,
            host=host,
            reason="its origin is not this host; PROGRESS_WS_ALLOWED_ORIGINS can allow it",
        )


def cross_origin(handler: Handler, origins: Origins) -> Handler:
    """Give a browser-facing handler the CORS headers that pages of allowed origins need."""

    async def with_headers(request: web.Request) -> web.StreamResponse:
        origins.check(request)
        response = await handler(request)
        response.headers.update(headers(request))
        return response

    return with_headers


def headers(request: web.Request) -> dict[str, str]:
    """Return the CORS headers of an answer to a page that is allowed.

    `cross_origin` adds them; an answer that is sent before its handler ends needs them earlier.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    given: dict[str, str] = {hdrs.VARY: hdrs.ORIGIN}
    if origin is not None:
        given[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        given[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = hdrs.RETRY_AFTER
    return given


async def preflight(_request: web.Request) -> web.StreamResponse:
    """Answer `OPTIONS`: what a page of an allowed origin may send."""
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST",
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Content-Type, Last-Event-ID",
            hdrs.ACCESS_CONTROL_MAX_AGE: _MAX_AGE_S,
        },
    )
