"""What one node is made of, wired together; nothing of it runs or is open yet."""

import secrets
import time
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from progress_ws.broker.connection import place
from progress_ws.broker.embedded import EmbeddedBroker
from progress_ws.broker.feed import AmqpFeed
from progress_ws.broker.link import open_link
from progress_ws.broker.seam import Feed, OpenLink, Recall
from progress_ws.broker.sender import Sender
from progress_ws.broker.stream import recall
from progress_ws.broker.topology import Names
from progress_ws.core.cancels import Cancels
from progress_ws.core.cluster import Cluster
from progress_ws.core.history import History
from progress_ws.core.hub import Hub
from progress_ws.core.intake import Intake
from progress_ws.core.memory import MARGIN_S, Memory
from progress_ws.node.cancels import Canceller
from progress_ws.node.heartbeat import Pulse
from progress_ws.node.online import Sockets
from progress_ws.node.origins import Origins
from progress_ws.node.recovery import Recovery
from progress_ws.node.rejects import RejectLog
from progress_ws.node.settings import Settings

MAX_BUFFER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """From the feed to the browsers, and from the API to the exchange."""

    feed: Feed
    intake: Intake
    memory: Memory
    hub: Hub
    origins: Origins
    sockets: Sockets
    sender: Sender
    cluster: Cluster
    pulse: Pulse
    recovery: Recovery
    cancels: Cancels
    canceller: Canceller


def build(settings: Settings) -> Parts:
    """Make the parts of one node."""
    instance = secrets.token_hex(8)
    hub, sockets = Hub(), Sockets(limit=settings.max_connections)
    cluster = Cluster(instance=instance, clock=time.monotonic)
    history = History(
        max_age_s=settings.history_seconds, max_bytes=settings.history_bytes, clock=time.monotonic
    )
    margin_s = min(MARGIN_S, settings.history_seconds / 4)
    depth_s = settings.history_seconds + margin_s
    memory = Memory(history, hub, clock=time.monotonic, margin_s=margin_s)
    cancels = Cancels(memory, cluster, clock=time.monotonic)
    intake = Intake(
        memory,
        cluster,
        cancels,
        max_message_bytes=settings.max_message_bytes,
        on_reject=RejectLog(time.monotonic),
        wall_clock=time.time,
    )
    feed, open_link, read_history = _broker(settings, history_s=depth_s if history.is_on else None)
    sender = Sender(open_link, max_buffer_bytes=MAX_BUFFER_BYTES)
    pulse = Pulse(
        node=settings.node,
        instance=instance,
        version=version("progress-ws"),
        broker="embedded" if settings.amqp_url is None else place(settings.amqp_url),
        cluster=cluster,
        feed=feed,
        sender=sender,
        hub=hub,
        sockets=sockets,
        memory=memory,
    )
    return Parts(
        feed=feed,
        intake=intake,
        memory=memory,
        hub=hub,
        origins=Origins(settings.allowed_origins),
        sockets=sockets,
        sender=sender,
        cluster=cluster,
        pulse=pulse,
        recovery=Recovery(read_history, intake, memory, cluster, pulse, depth_s=depth_s),
        cancels=cancels,
        canceller=Canceller(cancels, sender),
    )


def _broker(settings: Settings, *, history_s: float | None) -> tuple[Feed, OpenLink, Recall | None]:
    """Choose what carries the messages, and what remembers them.

    Consuming, publishing and reading the history have a connection each.
    """
    if settings.amqp_url is None:
        broker = EmbeddedBroker()
        return broker, broker.open_link, None
    names, url, who = Names(settings.prefix), settings.amqp_url, f"progress-ws node {settings.node}"
    plain = settings.feed == "plain"
    feed = AmqpFeed(url, names, node=settings.node, plain=plain)
    publishing = partial(open_link, url, names, name=f"{who}: publishing", declare=True)
    reading = partial(
        recall, url, names, name=f"{who}: reading history", keep_s=history_s, plain=plain
    )
    return feed, publishing, reading if history_s is not None else None
