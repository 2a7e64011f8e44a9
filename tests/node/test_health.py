"""`/healthz`, `/readyz`, `/metrics` and `/api/v1/cluster`: what operators and machines look at."""

import json
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.local import RabbitMQ
from progress_ws import new_sid
from progress_ws.node.settings import Settings
from tests.node.conftest import LiveNode, Start, live_when_ready, still_serves
from tests.support.parts import new_vhost
from tests.support.waiting import eventually

NOBODY = "amqp://somebody:a-secret-password@127.0.0.1:1/"

#: What an operator's dashboard is built on; `_total` is a counter's, `_bucket` a histogram's.
NAMES = {
    "ready",
    "connections",
    "sessions",
    "messages_received_total",
    "messages_delivered_total",
    "messages_discarded_total",
    "messages_rejected_total",
    "closes_total",
    "origins_refused_total",
    "publish_to_write_seconds_bucket",
    "broker_connected",
    "broker_reconnects_total",
    "event_loop_lag_seconds",
}


# -- alive and ready --------------------------------------------------------------------------


async def test_a_node_is_alive_and_ready(node: LiveNode) -> None:
    """Both are 200 on a node that hears itself."""
    assert (await node.get("/healthz"))[0] == 200
    assert (await node.get("/readyz"))[0] == 200
    async with node.http.head("/readyz") as answer:
        assert answer.status == 200


async def test_a_node_without_its_broker_is_alive_and_not_ready(start: Start) -> None:
    """503 says why, and never the password."""
    node = await start(amqp_url=NOBODY, ready=False)
    assert (await node.get("/healthz"))[0] == 200

    async def says_why() -> bool:
        status, text = await node.get("/readyz")
        assert status == 503
        assert "secret" not in text
        return "127.0.0.1:1" in str(json.loads(text)["reason"])

    await eventually(says_why)
    assert await node.metric("broker_connected") == 0
    assert await node.metric("ready") == 0


async def test_browsers_may_connect_before_the_broker_can_be_reached(start: Start) -> None:
    """Who is here early waits for messages like everybody else."""
    node = await start(amqp_url=NOBODY, ready=False)
    async with node.tab() as browser:
        assert await still_serves(browser)


@pytest.mark.broker
async def test_a_wrong_exchange_is_named(rabbitmq: RabbitMQ, vhost: str, start: Start) -> None:
    """A name that is taken by another kind of exchange is a reason that a person can act on."""
    body = {"type": "topic", "durable": True}
    rabbitmq.management.request("PUT", "exchanges", vhost, "taken", body=body)
    node = await start(amqp_url=rabbitmq.amqp_url(vhost), prefix="taken", ready=False)

    async def says_why() -> bool:
        status, text = await node.get("/readyz")
        assert status == 503
        return "fanout" in text and "taken" in text and "PROGRESS_WS_PREFIX" in text

    await eventually(says_why)


@pytest.mark.broker
async def test_a_node_ends_well_though_its_broker_is_gone(rabbitmq: RabbitMQ) -> None:
    """Whatever the broker has just closed, the end of a node raises nothing."""
    with new_vhost(rabbitmq) as vhost:
        async with live_when_ready(Settings(amqp_url=rabbitmq.amqp_url(vhost))):
            rabbitmq.management.delete_vhost(vhost)
        rabbitmq.management.add_vhost(vhost)  # removed again by who made it


# -- metrics ----------------------------------------------------------------------------------


async def samples(node: LiveNode) -> dict[str, float]:
    """The sums of all samples by name."""
    _, text = await node.get("/metrics")
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


async def test_every_metric_bears_our_name(node: LiveNode) -> None:
    """Prometheus text in which every name begins with `progress_ws_`."""
    async with node.http.get("/metrics") as answer:
        assert answer.content_type == "text/plain"
        text = await answer.text()
    families = list(text_string_to_metric_families(text))
    names = [sample.name for family in families for sample in family.samples]
    assert names
    assert [name for name in names if not name.startswith("progress_ws_")] == []
    assert [f.name for f in families if len(f.documentation.split()) < 6] == []  # a sentence each


async def test_what_happens_is_counted(node: LiveNode) -> None:
    """Every number that a dashboard needs is there and moves."""
    async with node.tab() as one, node.tab(sid=one.sid):
        for n in range(3):
            await node.send(one.sid, n)
        await node.heard(await node.send(new_sid(), "nobody listens"))
        for _ in range(3):
            await one.frame()
        counted = await samples(node)
        expected = {
            "ready": 1,
            "connections": 2,
            "sessions": 1,
            "messages_received_total": 4,
            "messages_delivered_total": 6,
            "messages_discarded_total": 1,
            "broker_reconnects_total": 0,
            "publish_unconfirmed": 0,
        }
        assert {name: counted[f"progress_ws_{name}"] for name in expected} == expected
        assert await node.metric("broker_connected", side="consuming") == 1
        assert await node.metric("broker_connected", side="publishing") == 1
        assert 0 <= await node.metric("event_loop_lag_seconds") < 5

    async def is_counted() -> bool:
        return await node.metric("closes_total", code="1000") == 2

    await eventually(is_counted)
    assert await node.metric("publish_to_write_seconds_count") == 6
    assert 0 <= await node.metric("publish_to_write_seconds_sum") < 6 * 5


@pytest.mark.broker
async def test_a_clock_that_is_ahead_is_no_negative_time(
    rabbitmq: RabbitMQ, vhost: str, start: Start
) -> None:
    """A publisher's clock may be wrong; a sum that falls is a restart to Prometheus."""
    node = await start(amqp_url=rabbitmq.amqp_url(vhost))
    async with node.tab() as browser:
        ts, id_ = time.time() + 3600, f"{browser.sid}-1"
        ahead = json.dumps({"sid": browser.sid, "message": 1, "ts": ts, "id": id_})
        rabbitmq.management.publish(vhost, "progress-ws", ahead)
        assert (await browser.frame())["message"] == 1
    assert await node.metric("publish_to_write_seconds_count") == 1
    assert await node.metric("publish_to_write_seconds_sum") >= 0


@pytest.mark.broker
async def test_no_number_is_missing(rabbitmq: RabbitMQ, vhost: str, start: Start) -> None:
    """All names exist once something of the kind has happened."""
    node = await start(amqp_url=rabbitmq.amqp_url(vhost))
    rabbitmq.management.publish(vhost, "progress-ws", "no message")
    await node.refusal(sid="x")
    await node.send(new_sid(), 1)

    async def all_there() -> bool:
        missing = {f"progress_ws_{name}" for name in NAMES} - (await samples(node)).keys()
        assert not missing
        return True

    await eventually(all_there)


# -- the cluster ------------------------------------------------------------------------------


async def test_the_cluster_of_one(node: LiveNode) -> None:
    """A node lists itself with version, connections and sessions, and the totals."""

    async def is_up_to_date() -> bool:
        _, text = await node.get("/api/v1/cluster")
        cluster = json.loads(text)
        (own,) = cluster["nodes"]
        assert own["node"] == cluster["node"]
        assert own["version"]
        assert (own["connections"], own["sessions"]) == (2, 1)
        totals = {"nodes": 1, "connections": 2, "sessions": 1}
        return bool(cluster["totals"] == totals)

    async with node.tab() as one, node.tab(sid=one.sid):
        await eventually(is_up_to_date)


async def test_a_node_that_hears_nobody_still_counts_itself(start: Start) -> None:
    """Cut off from its broker, it knows its own browsers all the same."""
    node = await start(amqp_url=NOBODY, ready=False)
    async with node.tab():
        cluster = json.loads((await node.get("/api/v1/cluster"))[1])
    (own,) = cluster["nodes"]
    assert (own["node"], own["connections"], own["sessions"]) == (cluster["node"], 1, 1)
    assert own["version"]
    assert cluster["totals"] == {"nodes": 1, "connections": 1, "sessions": 1}


@pytest.mark.broker
async def test_every_node_knows_all_of_them(amqp_url: str, start: Start) -> None:
    """The online count, by node and for the cluster, is the same wherever it is asked for."""
    a, b = [await start(amqp_url=amqp_url, node=name) for name in "ab"]

    async def agree() -> bool:
        seen = []
        for node in (a, b):
            cluster = json.loads((await node.get("/api/v1/cluster"))[1])
            assert cluster["totals"] == {"nodes": 2, "connections": 3, "sessions": 3}
            seen.append({n["node"]: (n["connections"], n["sessions"]) for n in cluster["nodes"]})
        return seen == [{"a": (1, 1), "b": (2, 2)}] * 2

    async with a.tab(), b.tab(), b.tab():
        await eventually(agree)


@pytest.mark.broker
async def test_a_node_that_leaves_is_missed_at_once(amqp_url: str, start: Start) -> None:
    """A node that shuts down says so, instead of being listed until it is overdue."""
    stays = await start(amqp_url=amqp_url, node="stays")

    async def names() -> list[str]:
        cluster = json.loads((await stays.get("/api/v1/cluster"))[1])
        return [node["node"] for node in cluster["nodes"]]

    async def both() -> bool:
        return await names() == ["goes", "stays"]

    async def alone() -> bool:
        return await names() == ["stays"]

    async with live_when_ready(Settings(amqp_url=amqp_url, node="goes")):
        await eventually(both)
    left = time.monotonic()
    await eventually(alone)
    assert time.monotonic() - left < 3


@pytest.mark.broker
async def test_nodes_of_another_prefix_are_another_cluster(amqp_url: str, start: Start) -> None:
    """Two systems may share a virtual host: neither hears or counts the other."""
    ours = await start(amqp_url=amqp_url, node="ours")
    theirs = await start(amqp_url=amqp_url, node="theirs", prefix="other")
    async with ours.tab() as one, theirs.tab(sid=one.sid) as two:
        await theirs.send(one.sid, "theirs")
        await ours.send(one.sid, "ours")
        assert (await one.frame())["message"] == "ours"
        assert (await two.frame())["message"] == "theirs"
    for node in (ours, theirs):
        assert json.loads((await node.get("/api/v1/cluster"))[1])["totals"]["nodes"] == 1


async def test_any_page_may_load_the_client_and_none_keeps_an_old_one(lone: LiveNode) -> None:
    """It asks again each time, which costs a 304."""
    async with lone.http.get("/client/progress-ws.js") as answer:
        assert answer.status == 200
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        etag = answer.headers["ETag"]
    async with lone.http.get("/client/progress-ws.js", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 304
