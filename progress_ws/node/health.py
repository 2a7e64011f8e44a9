"""For operators and their machines: alive, ready, measured; one worker answers for all."""

from aiohttp import hdrs, web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.parser import text_string_to_metric_families

from progress_ws.core import codec
from progress_ws.node.keys import METRICS, READINESS, SIBLINGS
from progress_ws.node.metrics import merge


async def get_healthz(request: web.Request) -> web.StreamResponse:
    """`GET /healthz`: 200 while the process lives."""
    return _status(None, [text for status, text in await _others(request) if status != 200])


async def get_readyz(request: web.Request) -> web.StreamResponse:
    """`GET /readyz`: 200 while the node's heartbeats come back to it, else 503 with the reason."""
    obstacle = request.app[READINESS].obstacle()
    return _status(obstacle, [text for status, text in await _others(request) if status != 200])


async def get_metrics(request: web.Request) -> web.StreamResponse:
    """`GET /metrics`: Prometheus text; a worker that does not answer is missing from it."""
    text = request.app[METRICS].text()
    others = [body for status, body in await _others(request) if status == 200]
    if others:
        texts = [text.decode(), *others]
        text = merge(family for t in texts for family in text_string_to_metric_families(t))
    return web.Response(body=text, headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_PLAIN_0_0_4})


async def _others(request: web.Request) -> list[tuple[int, str]]:
    siblings = request.app.get(SIBLINGS)
    if siblings is None or request.query.get("worker") == "own":
        return []
    return list((await siblings.ask(request.path)).values())


def _status(obstacle: str | None, of_others: list[str]) -> web.Response:
    reasons = ([obstacle] if obstacle else []) + of_others
    body = {"ok": True} if not reasons else {"ok": False, "reason": "; ".join(reasons)}
    return web.Response(
        body=codec.encode(body) + b"\n",
        status=503 if reasons else 200,
        content_type="application/json",
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )
