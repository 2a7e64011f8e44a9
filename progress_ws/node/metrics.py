"""Prometheus metrics: counted where things happen as plain integers, read when they are scraped."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import accumulate
from operator import attrgetter

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from progress_ws.core.memory import Memory
from progress_ws.core.update import Update
from progress_ws.node.lag import Lag
from progress_ws.node.parts import Parts
from progress_ws.node.readiness import Readiness
from progress_ws.node.recovery import Recovery

_published_s = attrgetter("published_s")
_LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics:
    """All metrics of one node; every name begins with `progress_ws_` and has a label `node`."""

    def __init__(self, node: str) -> None:
        self._registry = CollectorRegistry()
        self.written_s = Ages(node)
        self.register(self.written_s)

    def register(self, collector: Collector) -> None:
        """Add what a collector reads to every scrape."""
        self._registry.register(collector)

    def text(self) -> bytes:
        """Return what Prometheus scrapes."""
        return generate_latest(self._registry)


class Ages(Collector):
    """How old messages are when they are written: a histogram whose counting costs next to nothing.

    One of `prometheus_client` costs more than all else that is done for a message.
    """

    def __init__(self, node: str) -> None:
        self._node = node
        self._counts = [0] * (len(_LATENCY_BUCKETS_S) + 1)
        self._sum_s = 0.0

    def observe(self, updates: Iterable[Update], now_s: float) -> None:
        """Count messages that are written; many at a time were published in one millisecond."""
        for published_s, count in Counter(map(_published_s, updates)).items():
            if published_s is not None:
                age_s = max(0.0, now_s - published_s)  # two hosts, two clocks
                self._counts[bisect_left(_LATENCY_BUCKETS_S, age_s)] += count
                self._sum_s += count * age_s

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client`."""
        family = HistogramMetricFamily(
            "progress_ws_publish_to_write_seconds",
            "Age of messages when they are written to a browser, by both hosts' clocks.",
            labels=["node"],
        )
        bounds = [*map(str, map(float, _LATENCY_BUCKETS_S)), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        family.add_metric([self._node], buckets, self._sum_s)
        yield family


class NodeCollector(Collector):
    """Reads the counters of a node's parts."""

    def __init__(self, node: str, parts: Parts, lag: Lag, readiness: Readiness) -> None:
        self._node = node
        self._parts = parts
        self._lag = lag
        self._readiness = readiness

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client`."""
        parts = self._parts
        hub, intake, feed, sender = parts.hub, parts.intake, parts.feed, parts.sender
        yield self._gauge(
            "ready",
            "1 while this node is ready for browsers, else 0; GET /readyz says why.",
            self._readiness.obstacle() is None,
        )
        yield self._gauge(
            "connections",
            "WebSockets and event streams that are open on this node.",
            len(parts.sockets),
        )
        yield self._gauge(
            "sessions",
            "Sessions that at least one browser on this node is attached to.",
            hub.sessions,
        )
        yield self._count(
            "messages_received",
            "Messages received from the exchange, whoever they are for.",
            intake.received,
        )
        yield self._counts(
            "cancels",
            "Cancel requests of browsers here: taken by a publisher, or nobody listened.",
            "result",
            {"taken": parts.cancels.taken, "refused": parts.cancels.refused},
        )
        yield self._gauge(
            "cancels_kept",
            "Cancel requests that wait for the next HTTP request of their worker.",
            len(parts.cancels),
        )
        yield from self._remembered(parts.memory, parts.recovery)
        yield self._count(
            "messages_delivered",
            "Messages handed to browsers on this node, counted for each browser.",
            hub.delivered,
        )
        yield self._count(
            "messages_discarded",
            "Messages that no browser on this node waited for; normal with several nodes.",
            hub.discarded,
        )
        yield self._counts(
            "messages_rejected",
            "What came through the exchange and was no valid message, by what is wrong.",
            "reason",
            intake.rejected,
        )
        yield self._counts(
            "closes",
            "WebSockets and event streams that have ended, by close code.",
            "code",
            parts.sockets.closes,
        )
        yield self._count(
            "origins_refused",
            "Requests of pages whose origin PROGRESS_WS_ALLOWED_ORIGINS does not allow.",
            parts.origins.refused,
        )
        sides = (("consuming", feed), ("publishing", sender))
        yield self._gauges(
            "broker_connected",
            "1 while this node is connected to its broker, 0 while it is not.",
            "side",
            {side: float(part.trouble is None) for side, part in sides},
        )
        yield self._counts(
            "broker_reconnects",
            "Connections to the broker that were lost and had to be made anew.",
            "side",
            {side: part.reconnects for side, part in sides},
        )
        yield self._gauge(
            "publish_unconfirmed",
            "Messages published through this node that the broker has not confirmed yet.",
            len(sender),
        )
        yield self._gauge(
            "event_loop_lag_seconds",
            "Longest delay of anything this node had to do, since the last scrape.",
            self._lag.worst(),
        )

    def _remembered(self, memory: Memory, recovery: Recovery) -> Iterator[Metric]:
        yield self._count(
            "messages_repeated",
            "Messages dropped since they had come before; normal after a reconnect.",
            memory.repeated,
        )
        yield self._count(
            "messages_stale",
            "Messages dropped because their run was over, or their dedupe was known.",
            memory.stale,
        )
        yield self._count(
            "messages_lost",
            "Messages found too late to be delivered; their browsers were told gap.",
            memory.lost,
        )
        yield self._gauge(
            "history_messages",
            "Messages retained for browsers that come later.",
            len(memory.history),
        )
        yield self._gauge(
            "history_sessions", "Sessions that messages are retained for.", memory.history.sessions
        )
        yield self._gauge(
            "history_bytes",
            "Memory of the retained messages in bytes; PROGRESS_WS_HISTORY_BYTES bounds it.",
            memory.history.size,
        )
        yield self._count(
            "stalls",
            "Bars shown as stalled, because their publisher broke its promise of news.",
            memory.silence.stalls,
        )
        yield self._gauge(
            "holes",
            "Publishers of whose messages some are missing now; 0 when all is well.",
            len(memory.holes),
        )
        yield self._counts(
            "catch_ups",
            "Times this node, cut off, read the stream: whole, or partial if some was gone.",
            "result",
            recovery.catch_ups,
        )
        yield self._count(
            "repairs",
            "Times this node read the stream for single messages that were missing.",
            recovery.repairs,
        )

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"progress_ws_{name}", text, labels=["node"])
        family.add_metric([self._node], value)
        return family

    def _gauges(self, name: str, text: str, label: str, values: dict[str, float]) -> Metric:
        family = GaugeMetricFamily(f"progress_ws_{name}", text, labels=["node", label])
        for key, value in values.items():
            family.add_metric([self._node, key], value)
        return family

    def _count(self, name: str, text: str, value: int) -> Metric:
        family = CounterMetricFamily(f"progress_ws_{name}", text, labels=["node"])
        family.add_metric([self._node], value)
        return family

    def _counts(self, name: str, text: str, label: str, values: dict[str, int]) -> Metric:
        family = CounterMetricFamily(f"progress_ws_{name}", text, labels=["node", label])
        for key, value in values.items():
            family.add_metric([self._node, key], value)
        return family


class _Merged(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def merge(families: Iterable[Metric]) -> bytes:
    """Write the metrics of several workers as one scrape; their `node` labels tell them apart."""
    merged: dict[str, Metric] = {}
    for family in families:
        if family.name in merged:
            merged[family.name].samples.extend(family.samples)
        else:
            merged[family.name] = family
    registry = CollectorRegistry()
    registry.register(_Merged(merged.values()))
    return generate_latest(registry)
