"""Which pages may connect: the check of `Origin`, before any upgrade (RFC 6455, section 10.2)."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import hdrs, web

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
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
        default = _DEFAULT_PORTS.get(page.scheme)
        return (
            bool(page.hostname)
            and page.hostname == own.hostname
            and (page.port or default) == (own.port or default)
        )
    except ValueError:
        return False


def check(request: web.Request, allowed: tuple[str, ...]) -> None:
    """Refuse a foreign page.

    Raises:
        web.HTTPForbidden: the origin is not allowed.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    if not is_allowed(origin, host=request.host, allowed=allowed):
        raise web.HTTPForbidden(
            text=f"the origin {origin} is not allowed; PROGRESS_WS_ALLOWED_ORIGINS can allow it\n"
        )


def cross_origin(handler: Handler, allowed: tuple[str, ...]) -> Handler:
    """Give a browser-facing handler the CORS headers that pages of allowed origins need."""

    async def with_headers(request: web.Request) -> web.StreamResponse:
        check(request, allowed)
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
