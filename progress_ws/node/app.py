"""The composition root: builds a node, wires its parts, opens nothing before start-up."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import structlog
from aiohttp import hdrs, web

from progress_ws.broker.seam import LinkLost
from progress_ws.core.intake import Delivery
from progress_ws.node import api, health, keys, origins
from progress_ws.node.bodies import BODY_MAX_BYTES, Bodies
from progress_ws.node.lag import Lag
from progress_ws.node.metrics import Metrics, NodeCollector
from progress_ws.node.parts import Parts, build
from progress_ws.node.polling import get_messages
from progress_ws.node.problems import as_problems
from progress_ws.node.readiness import Readiness
from progress_ws.node.settings import Settings
from progress_ws.node.sse import progress_stream
from progress_ws.node.stalls import watch_silence
from progress_ws.node.tasks import Owner
from progress_ws.node.upgrade import progress_socket
from progress_ws.node.wire import Turn

log = structlog.get_logger(__name__)

CLIENT_FOLDER = Path(__file__).parents[1] / "client"


def create_app(settings: Settings) -> web.Application:
    """Build the application of one node; whoever runs it may add routes of its own."""
    parts, metrics, lag = build(settings), Metrics(settings.node), Lag()
    readiness = Readiness(
        cluster=parts.cluster,
        feed=parts.feed,
        sender=parts.sender,
        sockets=parts.sockets,
        memory=parts.memory,
    )
    metrics.register(NodeCollector(settings.node, parts, lag, readiness))
    app = web.Application(client_max_size=BODY_MAX_BYTES, middlewares=[as_problems])
    app[keys.SETTINGS] = settings
    app[keys.HUB] = parts.hub
    app[keys.MEMORY] = parts.memory
    app[keys.RECOVERY] = parts.recovery
    app[keys.CLUSTER] = parts.cluster
    app[keys.SENDER] = parts.sender
    app[keys.PULSE] = parts.pulse
    app[keys.CANCELLER] = parts.canceller
    app[keys.ORIGINS] = parts.origins
    app[keys.SOCKETS] = parts.sockets
    app[keys.METRICS] = metrics
    app[keys.TURN] = Turn(metrics.written_s.observe)
    app[keys.BODIES] = Bodies()
    app[keys.READINESS] = readiness
    app.cleanup_ctx.append(partial(_run, parts, lag))
    app.on_response_prepare.append(_serve_client)
    _add_routes(app, parts.origins)
    return app


async def _run(parts: Parts, lag: Lag, app: web.Application) -> AsyncIterator[None]:
    """Run what outlives a request; at the end send what waits, and say good-bye to the others."""
    deliver, on_subscribed = _guarded(parts.intake.deliver), parts.recovery.subscribed
    owner = Owner(on_death=app[keys.READINESS].fail)
    owner.start("feed", parts.feed.run(deliver, on_subscribed=on_subscribed))
    owner.start("sender", parts.sender.run())
    owner.start("heartbeat", parts.pulse.run())
    owner.start("recovery", parts.recovery.run())
    owner.start("cancels", parts.canceller.run())
    owner.start("silence", watch_silence(parts.memory, parts.intake, parts.pulse))
    owner.start("lag", lag.run())
    yield
    try:
        async with asyncio.timeout(app[keys.SETTINGS].publish_timeout_seconds):
            await parts.sender.flush()
            with suppress(LinkLost):
                await parts.sender.say_last()
        await parts.pulse.leave()
    except TimeoutError:
        log.warning("messages without a confirm at the end", count=len(parts.sender))
    finally:
        await owner.stop()


def _guarded(deliver: Callable[[Delivery], None]) -> Callable[[Delivery], None]:
    """Let no bug of ours with one message end the feed, on every node at once."""

    def guarded(delivery: Delivery) -> None:
        try:
            deliver(delivery)
        except Exception:
            log.exception("delivery failed", bytes=len(delivery.body), type=delivery.type)

    return guarded


async def _serve_client(request: web.Request, response: web.StreamResponse) -> None:
    """After an upgrade no page may run an old client for days; asking again costs it a 304.

    It is no secret: pages of any origin may load it, and `Origin` decides what they can do with it.
    """
    if request.path.startswith("/client/"):
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
        response.headers[hdrs.CACHE_CONTROL] = "no-cache"


def _add_routes(app: web.Application, door: origins.Origins) -> None:
    def shared(handler: origins.Handler) -> origins.Handler:
        return origins.cross_origin(handler, door)

    app.add_routes(
        [
            web.get("/websocket/progress", progress_socket),
            web.get("/sse/progress", shared(progress_stream)),
            web.options("/sse/progress", shared(origins.preflight)),
            web.post("/api/v1/messages", api.post_messages),
            web.post("/api/v1/sessions", shared(api.post_sessions)),
            web.options("/api/v1/sessions", shared(origins.preflight)),
            web.get("/api/v1/sessions/{sid}/messages", shared(get_messages)),
            web.options("/api/v1/sessions/{sid}/messages", shared(origins.preflight)),
            web.post("/api/v1/sessions/{sid}/cancel", shared(api.post_cancel)),
            web.options("/api/v1/sessions/{sid}/cancel", shared(origins.preflight)),
            web.get("/api/v1/cluster", api.get_cluster),
            web.get("/healthz", health.get_healthz),
            web.get("/readyz", health.get_readyz),
            web.get("/metrics", health.get_metrics),
            web.static("/client", CLIENT_FOLDER),
        ]
    )
