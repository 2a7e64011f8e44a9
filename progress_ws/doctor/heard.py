"""What crosses the exchange, and what that says of the nodes. Nothing here waits."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from progress_ws.core import codec
from progress_ws.core.cluster import HEARTBEAT_INTERVAL_S, MAX_NODES, Heartbeat
from progress_ws.core.intake import HEARTBEAT, Delivery
from progress_ws.doctor import clock
from progress_ws.doctor.findings import Finding, ok, problem, unchecked
from progress_ws.errors import InvalidMessage

CHECK = "nodes"
LATELY_S = 1.25 * HEARTBEAT_INTERVAL_S
"""Every node that lives is heard once in this time."""
EAGER_BEATS = 5
"""So many in that time: a node beats like this while its own heartbeats do not come back to it."""
SHOWN = 10


class Beat(NamedTuple):
    """A heartbeat, and when it came, by our monotonic clock."""

    at_s: float
    said: Heartbeat


class Heard:
    """Gathers it: `take` is what a probe calls.

    Attributes:
        beats: the heartbeats, in their order.
        clocks: how far the clocks of those who sent something are from ours.
        is_complete: it was listened all the time: who was not heard then is not there.
    """

    def __init__(self, *, clock_s: Callable[[], float], wall_clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._wall_clock_s = wall_clock_s
        self.beats: list[Beat] = []
        self.clocks = clock.Offsets()
        self.is_complete = False

    def take(self, delivery: Delivery) -> None:
        """Note what matters of a delivery; whatever it is, this does not raise."""
        sender = _publisher(delivery)
        if delivery.type == HEARTBEAT and len(self.beats) < MAX_NODES:
            try:
                beat = Beat(self._clock_s(), codec.decode(delivery.body, Heartbeat))
            except InvalidMessage:
                return
            self.beats.append(beat)
            sender = f"node {beat.said.node}"
        if delivery.timestamp is not None and sender is not None:
            self.clocks.note(sender, delivery.timestamp - self._wall_clock_s())

    @property
    def nodes(self) -> Collection[str]:
        """The names of those who were heard and did not say good-bye."""
        left = {beat.said.instance for beat in self.beats if beat.said.leaving}
        return {beat.said.node for beat in self.beats if beat.said.instance not in left}

    def came_between(self, begin_s: float, end_s: float) -> bool:
        """Tell whether a heartbeat came then."""
        return any(begin_s <= beat.at_s <= end_s for beat in self.beats)


def findings(heard: Heard, *, for_s: float, prefix: str, is_node: bool) -> Iterator[Finding]:
    """Judge what was heard within a time that has just ended."""
    names = sorted(heard.nodes)
    lately = [beat for beat in heard.beats if beat.at_s >= _latest(heard) - LATELY_S]
    troubles = [*_deaf(lately), *_twins(lately), *_versions(heard.beats)]
    if names:
        count = f"{len(names)} node{'s' * (len(names) > 1)}"
        versions = ", ".join(sorted({beat.said.version for beat in heard.beats}))
        yield ok(CHECK, f"{count} heard on {prefix!r}: {_listed(names)} (version {versions})")
    elif is_node:
        yield unchecked(CHECK, f"no node was heard for {for_s:g} s: this would be the first")
    else:
        yield problem(
            CHECK,
            f"no node was heard on exchange {prefix!r} for {for_s:g} s: nothing reaches browsers",
            "start a node (progress-ws serve), or give this machine the virtual host and "
            "PROGRESS_WS_PREFIX of the nodes that run",
        )
    yield from troubles


def _publisher(delivery: Delivery) -> str | None:
    """Name who sent a message, as far as its id does."""
    publisher = (delivery.message_id or "").rpartition("-")[0]
    return f"publisher {publisher}" if publisher else None


def _latest(heard: Heard) -> float:
    return heard.beats[-1].at_s if heard.beats else 0.0


def _deaf(lately: Collection[Beat]) -> Iterator[Finding]:
    counts = Counter((beat.said.instance, beat.said.node) for beat in lately)
    deaf = sorted({node for (_, node), count in counts.items() if count >= EAGER_BEATS})
    if deaf:
        yield problem(
            CHECK,
            f"deaf, or only just started: {_listed(deaf)}; what they send does not come back to "
            "them",
            "ask again in 10 s, in which they subscribe anew; if it stays so, their logs and GET "
            "/readyz say what they lack, and a restart is harmless",
        )


def _twins(lately: Collection[Beat]) -> Iterator[Finding]:
    instances: dict[str, set[str]] = {}
    for beat in lately:
        instances.setdefault(beat.said.node, set()).add(beat.said.instance)
        if beat.said.leaving:
            instances[beat.said.node].discard(beat.said.instance)
    for node, found in sorted(instances.items()):
        if len(found) > 1:
            yield problem(
                CHECK,
                f"{len(found)} nodes have the name {node!r}",
                "give each its own PROGRESS_WS_NODE",
            )


def _versions(beats: Collection[Beat]) -> Iterator[Finding]:
    yield from differing({beat.said.node: beat.said.version for beat in beats})


def differing(versions: dict[str, str]) -> Iterator[Finding]:
    """Tell of nodes that are not of one version."""
    if len(set(versions.values())) > 1:
        by_version = "; ".join(
            f"{version}: {_listed(sorted(n for n, v in versions.items() if v == version))}"
            for version in sorted(set(versions.values()))
        )
        yield problem(
            "versions",
            f"the nodes are not of one version ({by_version})",
            "bring the upgrade to its end: restart those that are behind",
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
