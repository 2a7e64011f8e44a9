"""Connections are reset at random while several publishers send: the exchange shows no gap."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest

from progress_ws import Publisher, PublishError, new_sid
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

pytestmark = [pytest.mark.broker, pytest.mark.slow]

PUBLISHERS = 5
MESSAGES = 300
AT_ONCE = 20
#: Some callers give up in the middle, so that there are voids.
IMPATIENT_S = 0.3
PATIENT_S = 60.0
#: A batch is on its way long enough for a reset to meet it; and so that resets meet all stages.
DELAY_S = 0.005
PAUSE_S = 0.5

Member = dict[str, Any]


@pytest.fixture
async def heard(amqp_url: str) -> AsyncIterator[list[Member]]:
    """All that crosses the exchange, heard without any part of ours; arrays taken apart."""
    members: list[Member] = []

    async def hear(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        decoded = json.loads(message.body)
        found = decoded if isinstance(decoded, list) else [decoded]
        members.extend({**member, "type": message.type} for member in found)

    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        exchange = await channel.declare_exchange("progress-ws", "fanout", durable=True)
        queue = await channel.declare_queue(exclusive=True)
        await queue.bind(exchange, routing_key="")
        await queue.consume(hear, no_ack=True)
        yield members


async def say(
    publisher: Publisher, name: str, confirmed: dict[str, str], chance: random.Random
) -> None:
    """Send messages with and without keys, so many at a time; note what is confirmed."""
    sid, turn = new_sid(), asyncio.Semaphore(AT_ONCE)

    async def one(n: int) -> None:
        async with turn:
            await asyncio.sleep(chance.uniform(0, PAUSE_S))
            value, key = f"{name} {n}", f"k{n % 7}" if n % 2 else None
            timeout_s = IMPATIENT_S if n % 5 == 0 else PATIENT_S
            try:
                id_ = await publisher.send(sid, value, key=key, timeout_s=timeout_s)
            except PublishError:
                assert timeout_s == IMPATIENT_S
            else:
                assert id_ not in confirmed
                confirmed[id_] = value

    await asyncio.gather(*(one(n) for n in range(MESSAGES)))


async def disturb(proxy: Proxy, chance: random.Random) -> None:
    """Reset what is open at random moments; now and then let all wait for a while before."""
    while True:
        await asyncio.sleep(chance.uniform(0.1, 0.8))
        if chance.random() < 0.3:
            proxy.black_hole()
            await asyncio.sleep(chance.uniform(0, 0.3))
        proxy.reset(server_side=chance.random() < 0.5)
        proxy.pass_on()


def check(members: list[Member], confirmed: dict[str, str]) -> None:
    """A confirmed message is there; a number has one meaning; each publisher's numbers rise."""
    bodies: dict[str, set[str]] = {}
    seqs: dict[str, list[int]] = {}
    for member in members:
        meaning = "" if "void" in member else member["message"]
        if member["id"] not in bodies:
            publisher, _, seq = member["id"].rpartition("-")
            seqs.setdefault(publisher, []).append(int(seq))
        bodies.setdefault(member["id"], set()).add(meaning)
    for id_, value in confirmed.items():
        assert bodies[id_] == {value}, "confirmed, and never a void"
    assert all(len(meanings - {""}) <= 1 for meanings in bodies.values())
    for numbers in seqs.values():
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("seed", range(2))
async def test_resets_at_random_leave_no_gap(
    seed: int, heard: list[Member], proxy: Proxy, proxied_url: str
) -> None:
    confirmed: dict[str, str] = {}
    publishers = [Publisher(proxied_url) for _ in range(PUBLISHERS)]
    for publisher in publishers:
        publisher.start()
    chance = random.Random(seed)
    proxy.delay_s = DELAY_S
    disturbing = asyncio.create_task(disturb(proxy, chance))
    async with asyncio.timeout(90):
        says = [say(p, f"publisher {n}", confirmed, chance) for n, p in enumerate(publishers)]
        await asyncio.gather(*says)
    disturbing.cancel()
    await asyncio.wait([disturbing])
    proxy.pass_on()  # it may have ended while all waited
    ids = [await publisher.send(new_sid(), "end", timeout_s=PATIENT_S) for publisher in publishers]
    for publisher in publishers:
        assert await publisher.close() == 0
    await eventually(
        lambda: len([m for m in heard if m["type"] == "progress-ws.last"]) >= PUBLISHERS
    )
    members = [member for member in heard if "id" in member]
    check(members, confirmed | dict.fromkeys(ids, "end"))
    last = {f"{m['publisher']}-{m['seq']}" for m in heard if m["type"] == "progress-ws.last"}
    assert set(ids) <= last
    assert proxy.accepted > 3 * PUBLISHERS, "there was something to endure"
    print(f"{len(confirmed)} confirmed, {proxy.accepted} connections, ", end="")
    print(f"{sum('void' in m for m in members)} voids, {len(members)} heard")
