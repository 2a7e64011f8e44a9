"""The composition root: builds a node, wires its parts, opens nothing before start-up."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import structlog
from aiohttp import web

from progress_ws.broker.embedded import EmbeddedBroker
from progress_ws.broker.feed import AmqpFeed
from progress_ws.broker.link import open_link
from progress_ws.broker.seam import Feed, OpenLink
from progress_ws.broker.sender import Sender
from progress_ws.broker.topology import Names
from progress_ws.core.cluster import Cluster
from progress_ws.core.hub import Hub
from progress_ws.core.intake import Delivery, Intake
from progress_ws.node import api, health, keys, origins
from progress_ws.node.heartbeat import Pulse
from progress_ws.node.lag import Lag
from progress_ws.node.metrics import Metrics, NodeCollector
from progress_ws.node.problems import as_problems
from progress_ws.node.readiness import Readiness
from progress_ws.node.rejects import RejectLog
from progress_ws.node.settings import Settings
from progress_ws.node.sockets import Sockets
from progress_ws.node.tasks import Owner
from progress_ws.node.upgrade import progress_socket

log = structlog.get_logger(__name__)

MAX_BUFFER_BYTES = 64 * 1024 * 1024
CLIENT_FOLDER = Path(__file__).parents[1] / "client"


def create_app(settings: Settings) -> web.Application:
    """Build the application of one node; whoever runs it may add routes of its own."""
    instance = secrets.token_hex(8)
    hub = Hub()
    cluster = Cluster(instance=instance, clock=time.monotonic)
    intake = Intake(
        hub,
        cluster,
        max_message_bytes=settings.max_message_bytes,
        on_reject=RejectLog(time.monotonic),
        wall_clock=time.time,
    )
    feed, open_link = _broker(settings)
    sender = Sender(open_link, max_buffer_bytes=MAX_BUFFER_BYTES)
    sockets = Sockets(limit=settings.max_connections)
    readiness = Readiness(cluster=cluster, feed=feed, sender=sender, sockets=sockets)
    metrics, lag = Metrics(settings.node), Lag()
    metrics.register(
        NodeCollector(
            settings.node,
            hub=hub,
            intake=intake,
            feed=feed,
            sender=sender,
            sockets=sockets,
            lag=lag,
        )
    )
    pulse = Pulse(
        node=settings.node,
        instance=instance,
        version=version("progress-ws"),
        cluster=cluster,
        feed=feed,
        sender=sender,
        hub=hub,
        sockets=sockets,
    )
    app = web.Application(client_max_size=api.BODY_MAX_BYTES, middlewares=[as_problems])
    app[keys.SETTINGS] = settings
    app[keys.HUB] = hub
    app[keys.CLUSTER] = cluster
    app[keys.SENDER] = sender
    app[keys.SOCKETS] = sockets
    app[keys.METRICS] = metrics
    app[keys.READINESS] = readiness
    app.cleanup_ctx.append(partial(_run, intake, feed, sender, pulse, lag))
    _add_routes(app, settings)
    return app


def _broker(settings: Settings) -> tuple[Feed, OpenLink]:
    """Choose what carries the messages. The node's two sides have a connection each."""
    if settings.amqp_url is None:
        broker = EmbeddedBroker()
        return broker, broker.open_link
    names = Names(settings.prefix)
    feed = AmqpFeed(settings.amqp_url, names, node=settings.node)
    name = f"progress-ws node {settings.node}: publishing"
    return feed, partial(open_link, settings.amqp_url, names, name=name, declare=True)


async def _run(
    intake: Intake, feed: Feed, sender: Sender, pulse: Pulse, lag: Lag, app: web.Application
) -> AsyncIterator[None]:
    """Run what outlives a request; at the end send what waits, and say good-bye to the others."""
    owner = Owner(on_death=app[keys.READINESS].fail)
    owner.start("feed", feed.run(_guarded(intake.deliver)))
    owner.start("sender", sender.run())
    owner.start("heartbeat", pulse.run())
    owner.start("lag", lag.run())
    yield
    try:
        async with asyncio.timeout(app[keys.SETTINGS].publish_timeout_seconds):
            await sender.flush()
        await pulse.leave()
    except TimeoutError:
        log.warning("messages without a confirm at the end", count=len(sender))
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


def _add_routes(app: web.Application, settings: Settings) -> None:
    def shared(handler: origins.Handler) -> origins.Handler:
        return origins.cross_origin(handler, settings.allowed_origins)

    app.add_routes(
        [
            web.get("/websocket/progress", progress_socket),
            web.post("/api/v1/messages", api.post_messages),
            web.post("/api/v1/sessions", shared(api.post_sessions)),
            web.options("/api/v1/sessions", shared(origins.preflight)),
            web.get("/api/v1/cluster", api.get_cluster),
            web.get("/healthz", health.get_healthz),
            web.get("/readyz", health.get_readyz),
            web.get("/metrics", health.get_metrics),
            web.static("/client", CLIENT_FOLDER),
        ]
    )
