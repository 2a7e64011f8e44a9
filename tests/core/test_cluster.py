"""Who is there, and whether this node hears itself; time is injected."""

import dataclasses

import msgspec
import pytest

from progress_ws.core.cluster import (
    BEHIND_AFTER_S,
    DEAF_AFTER_S,
    GONE_AFTER_S,
    HEARTBEAT_INTERVAL_S,
    MAX_NODES,
    UNREADY_AFTER_S,
    Cluster,
    Heartbeat,
)

ME = "me"


@dataclasses.dataclass
class Clock:
    """A clock that a test moves."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster(clock: Clock) -> Cluster:
    return Cluster(instance=ME, clock=clock)


def beat(
    instance: str, *, node: str | None = None, subscription: int = 0, leaving: bool = False
) -> Heartbeat:
    return Heartbeat(
        node=node or f"node-{instance}",
        instance=instance,
        version="1",
        connections=3,
        sessions=2,
        subscription=subscription,
        leaving=leaving,
    )


def instances(cluster: Cluster) -> list[str]:
    return [heard.instance for heard in cluster.nodes()]


# -- who is there -------------------------------------------------------------------------------


def test_whoever_was_heard_is_there_in_the_order_of_their_names(cluster: Cluster) -> None:
    for instance in "cab":
        cluster.hear(beat(instance))
    assert instances(cluster) == ["a", "b", "c"]


def test_the_latest_heartbeat_counts(cluster: Cluster) -> None:
    cluster.hear(beat("a"))
    latest = msgspec.structs.replace(beat("a"), connections=9)
    cluster.hear(latest)
    assert cluster.nodes() == [latest]


def test_two_nodes_that_were_given_one_name_are_two(cluster: Cluster) -> None:
    cluster.hear(beat("a", node="same"))
    cluster.hear(beat("b", node="same"))
    assert len(cluster.nodes()) == 2


def test_whoever_is_silent_is_gone(cluster: Cluster, clock: Clock) -> None:
    cluster.hear(beat("a"))
    clock.pass_s(GONE_AFTER_S - 0.1)
    cluster.hear(beat("b"))
    assert instances(cluster) == ["a", "b"]
    clock.pass_s(0.1)
    assert instances(cluster) == ["b"]


def test_whoever_says_good_bye_is_gone_at_once(cluster: Cluster) -> None:
    cluster.hear(beat("a"))
    cluster.hear(beat("b"))
    cluster.hear(beat("a", leaving=True))
    cluster.hear(beat("unknown", leaving=True))
    assert instances(cluster) == ["b"]


def test_a_flood_of_strange_nodes_is_bounded(cluster: Cluster) -> None:
    for n in range(MAX_NODES + 100):
        cluster.hear(beat(f"{n:05}"))
    assert len(cluster.nodes()) == MAX_NODES


def test_a_flood_does_not_hide_this_node_from_itself(cluster: Cluster) -> None:
    for n in range(MAX_NODES):
        cluster.hear(beat(f"{n:05}"))
    cluster.hear(beat(ME))
    assert cluster.hears_itself(0)


def test_nodes_that_went_make_room_though_nobody_asked_who_is_there(
    cluster: Cluster, clock: Clock
) -> None:
    """A cluster whose nodes are restarted day after day, and never listed."""
    for n in range(MAX_NODES):
        cluster.hear(beat(f"{n:05}"))
    clock.pass_s(GONE_AFTER_S)
    cluster.hear(beat("new"))
    assert instances(cluster) == ["new"]


# -- hearing itself -----------------------------------------------------------------------------


def test_at_first_it_does_not_hear_itself(cluster: Cluster) -> None:
    cluster.hear(beat("another"))
    assert not cluster.hears_itself(0)


def test_it_hears_itself_while_its_heartbeats_come_back(cluster: Cluster, clock: Clock) -> None:
    for _ in range(10):
        cluster.hear(beat(ME))
        assert cluster.hears_itself(0)
        clock.pass_s(HEARTBEAT_INTERVAL_S)
    assert cluster.hears_itself(0)


def test_it_does_not_once_they_stay_away(cluster: Cluster, clock: Clock) -> None:
    cluster.hear(beat(ME))
    clock.pass_s(UNREADY_AFTER_S - 0.1)
    assert cluster.hears_itself(0)
    clock.pass_s(0.1)
    assert not cluster.hears_itself(0)


def test_what_came_through_an_earlier_subscription_proves_nothing(cluster: Cluster) -> None:
    cluster.hear(beat(ME, subscription=1))
    assert not cluster.hears_itself(2)
    cluster.hear(beat(ME, subscription=2))
    assert cluster.hears_itself(2)


def test_a_node_of_the_same_name_is_not_this_one(cluster: Cluster) -> None:
    cluster.hear(beat("another", node="node-me"))
    assert not cluster.hears_itself(0)


# -- deaf ---------------------------------------------------------------------------------------


def test_a_node_that_cannot_send_is_not_deaf(cluster: Cluster, clock: Clock) -> None:
    """Nothing was confirmed, so nothing can come back: a new subscription would not help."""
    clock.pass_s(1000)
    assert not cluster.is_deaf()


def test_a_node_that_cannot_send_any_more_is_not_deaf(cluster: Cluster, clock: Clock) -> None:
    """An alarm of the broker: what was confirmed last had come back before."""
    cluster.confirmed()
    for _ in range(3):
        clock.pass_s(DEAF_AFTER_S / 2)
        cluster.unsent()
    assert not cluster.is_deaf()
    cluster.confirmed()
    clock.pass_s(DEAF_AFTER_S)
    assert cluster.is_deaf()


def test_a_node_is_deaf_when_what_was_confirmed_does_not_come_back(
    cluster: Cluster, clock: Clock
) -> None:
    for _ in range(4):
        cluster.confirmed()
        assert not cluster.is_deaf()
        clock.pass_s(DEAF_AFTER_S / 4)
    assert cluster.is_deaf()


def test_the_heartbeats_of_others_prove_nothing(cluster: Cluster, clock: Clock) -> None:
    cluster.confirmed()
    clock.pass_s(DEAF_AFTER_S)
    cluster.hear(beat("another"))
    assert cluster.is_deaf()


def test_a_node_that_is_behind_is_not_deaf(cluster: Cluster, clock: Clock) -> None:
    """Its heartbeat may be on its way behind what still comes: some time, and not for ever."""
    cluster.confirmed()
    for _ in range(int(BEHIND_AFTER_S) - 1):
        clock.pass_s(1)
        cluster.deliveries += 1
        assert not cluster.is_deaf()
    clock.pass_s(1)
    cluster.deliveries += 1
    assert cluster.is_deaf()


def test_a_node_is_deaf_once_nothing_comes_any_more(cluster: Cluster, clock: Clock) -> None:
    cluster.confirmed()
    cluster.deliveries += 1
    assert not cluster.is_deaf()
    clock.pass_s(DEAF_AFTER_S - 0.1)
    assert not cluster.is_deaf()
    clock.pass_s(0.1)
    assert cluster.is_deaf()


def test_one_that_came_back_clears_the_suspicion(cluster: Cluster, clock: Clock) -> None:
    cluster.confirmed()
    clock.pass_s(DEAF_AFTER_S - 0.1)
    cluster.hear(beat(ME))
    clock.pass_s(DEAF_AFTER_S)
    assert not cluster.is_deaf()


def test_it_does_not_matter_whether_the_heartbeat_or_its_confirm_comes_first(
    cluster: Cluster, clock: Clock
) -> None:
    for _ in range(20):
        cluster.hear(beat(ME))
        cluster.confirmed()
        clock.pass_s(HEARTBEAT_INTERVAL_S)
        assert not cluster.is_deaf()


def test_the_new_subscription_gets_as_long_to_prove_itself(cluster: Cluster, clock: Clock) -> None:
    cluster.confirmed()
    clock.pass_s(DEAF_AFTER_S)
    assert cluster.is_deaf()
    assert not cluster.is_deaf()
    cluster.confirmed()
    clock.pass_s(DEAF_AFTER_S - 0.1)
    assert not cluster.is_deaf()
    clock.pass_s(0.1)
    assert cluster.is_deaf()


def test_a_deaf_node_is_unready_before_and_both_within_fifteen_seconds() -> None:
    assert HEARTBEAT_INTERVAL_S < UNREADY_AFTER_S < DEAF_AFTER_S < 15


# -- who publishes for workers over HTTP ----------------------------------------------------------


def named(instance: str) -> Heartbeat:
    """A heartbeat of a node that says how it publishes."""
    return msgspec.structs.replace(beat(instance), publisher=f"p-{instance}")


def test_what_nodes_publish_is_known_also_when_they_have_gone(
    cluster: Cluster, clock: Clock
) -> None:
    cluster.hear(named("a"))
    clock.pass_s(GONE_AFTER_S + 1)
    assert instances(cluster) == []
    assert cluster.has_published("p-a")
    assert not cluster.has_published("p-b")


def test_what_a_node_published_before_this_one_was_there(cluster: Cluster) -> None:
    cluster.recall(named("a"))
    assert instances(cluster) == []
    assert cluster.has_published("p-a")


def test_the_names_are_bounded(cluster: Cluster) -> None:
    for n in range(MAX_NODES + 1):
        cluster.hear(named("a"))
        cluster.recall(named(f"b{n}"))
    assert not cluster.has_published("p-b0")
    assert cluster.has_published("p-a")
