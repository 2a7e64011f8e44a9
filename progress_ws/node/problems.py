"""Errors of the HTTP API as `application/problem+json` (RFC 9457)."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web

from progress_ws.core import codec

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def problem(
    status: int, detail: str, *, headers: dict[str, str] | None = None, **members: Any
) -> web.Response:
    """Build the answer; members that are None are left out."""
    present = {name: value for name, value in members.items() if value is not None}
    body = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail, **present}
    return web.Response(
        status=status,
        body=codec.encode(body),
        content_type="application/problem+json",
        headers=headers,
    )


@web.middleware
def as_problems(request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
    """Let every error of what scripts ask be a problem, also the framework's and our own bugs.

    No coroutine: a socket would keep it for as long as it is open.
    """
    is_asked_by_scripts = request.path.startswith(("/api/", "/sse/"))
    return _as_problems(request, handler) if is_asked_by_scripts else handler(request)


async def _as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as exc:
        if exc.status < 400:
            raise
        headers = {name: exc.headers[name] for name in ("Allow",) if name in exc.headers}
        return problem(exc.status, (exc.text or exc.reason).strip(), headers=headers)
    except Exception:
        log.exception("request failed", method=request.method, route=str(request.match_info.route))
        return problem(500, "an error of the server; its log says more")
