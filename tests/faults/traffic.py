"""What publishers say: plain messages, keyed ones that replace each other, and final ones."""

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import Callable, Iterator

from progress_ws import Publisher, PublishError
from tests.faults.ledger import Sent

UPDATES = 8
PLAIN_EVERY = 3
#: Longer than any fault: what waits for the broker is confirmed in the end.
SEND_S = 90.0
#: Shorter than many: these are given up and may arrive all the same, once.
IMPATIENT_S = 1.0
IMPATIENT = 0.1
#: Of one job, without a confirm.
OUTSTANDING = 10

Note = Callable[[Sent], None]


def job(sid: str, name: str) -> Iterator[Sent]:
    """One job's messages: updates of a key, plain ones between them, and its end."""
    run = f"{time.time_ns() // 1_000_000:015d}"
    for number in range(UPDATES):
        yield Sent(sid, f"{name}: {number}", key=name, run=run)
        if number % PLAIN_EVERY == 0:
            yield Sent(sid, f"{name}: plain {number}")
    yield Sent(sid, f"{name}: done", key=name, run=run, final=True)


async def work(
    publisher: Publisher,
    sid: str,
    *,
    stop: asyncio.Event,
    pause_s: float,
    asks: Note,
    confirms: Note,
) -> None:
    """Do jobs for a session, one after the other, each to its end.

    A job does not wait for the confirms of its messages, up to a bound: what a fault holds up is
    more than one message of each job.
    """
    await _pause(stop, random.uniform(0, pause_s))
    async with asyncio.TaskGroup() as sending:
        window = asyncio.Semaphore(OUTSTANDING)
        while not stop.is_set():
            for sent in job(sid, f"job {uuid.uuid4().hex[:8]}"):
                impatient = random.random() < IMPATIENT and not sent.final
                timeout_s = IMPATIENT_S if impatient else SEND_S
                await window.acquire()
                task = sending.create_task(
                    say(publisher, sent, timeout_s=timeout_s, asks=asks, confirms=confirms)
                )
                task.add_done_callback(lambda _: window.release())
                await _pause(stop, pause_s)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but not once the end has come."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def say(
    publisher: Publisher, sent: Sent, *, asks: Note, confirms: Note, timeout_s: float = SEND_S
) -> None:
    """Send one message and note both ends of it; an impatient one may be given up."""
    sent.asked_at = time.monotonic()
    asks(sent)
    try:
        sent.id = await publisher.send(
            sent.sid, sent.value, key=sent.key, run=sent.run, final=sent.final, timeout_s=timeout_s
        )
    except PublishError:
        if timeout_s == SEND_S:
            raise
        return
    sent.confirmed_at = time.monotonic()
    confirms(sent)
