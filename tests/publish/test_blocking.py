"""The publisher for threads, in one process: what it shares with the asyncio one, and threads."""

import gc
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from deploy.local import RabbitMQ, free_port, wait_for
from progress_ws import BlockingPublisher, InvalidMessage, ProgressError, PublishError, new_sid
from progress_ws.errors import SettingsError
from tests.publish.inbox import Inbox
from tests.support.waiting import stopwatch

SID = new_sid()
THREAD = "progress-ws publisher"


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("progress-ws")]


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    for thread in threads():
        thread.join(5)
    assert threads() == []


def nobody() -> str:
    return f"amqp://guest:guest@127.0.0.1:{free_port()}/"


# -- nothing before the first use, nothing after the end ------------------------------------------


def test_a_publisher_that_is_not_used_opens_nothing() -> None:
    with BlockingPublisher(nobody()) as publisher:
        assert threads() == []
        assert (publisher.trouble, publisher.waiting, publisher.dropped) == (None, 0, 0)
        assert publisher.flush() == 0
    assert publisher.close() == 0


def test_a_wrong_address_is_told_at_once() -> None:
    with pytest.raises(SettingsError):
        BlockingPublisher("redis://localhost/")


def test_what_cannot_go_to_another_process_says_what_to_do() -> None:
    """As an argument of a job in a pool of processes that are not forked."""
    with BlockingPublisher("amqp://127.0.0.1:1") as publisher:
        bar = publisher.progress(new_sid())
        for each in (publisher, bar):
            with pytest.raises(TypeError, match="make them in each"):
                pickle.dumps(each)
        publisher.close(timeout_s=0)


@pytest.mark.broker
def test_what_is_sent_and_posted_arrives_in_order(inbox: Inbox, amqp_url: str) -> None:
    with BlockingPublisher(amqp_url) as publisher:
        publisher.post(SID, 0)
        assert publisher.send(SID, 1).endswith("-2")
        for n in range(2, 1000):
            publisher.post(SID, n)
        publisher.send(SID, 1000)
        publisher.post(SID, 1001)
        assert publisher.flush() == 0
        assert inbox.values == list(range(1002))
        publisher.post(SID, 1002)
    assert inbox.values == list(range(1003))


@pytest.mark.broker
def test_every_field_arrives(inbox: Inbox, amqp_url: str) -> None:
    fields: dict[str, Any] = {
        "key": "k", "run": "r", "final": True, "stall_s": 5.0, "dedupe": "d",
    }  # fmt: skip
    with BlockingPublisher(amqp_url) as publisher:
        publisher.send(SID, "sent", **fields)
        publisher.post(SID, "posted", **fields)
    inbox.until(lambda values: len(values) == 2)
    for message in inbox.messages:
        assert {name: message[name] for name in fields} == fields


@pytest.mark.broker
@pytest.mark.usefixtures("inbox")
def test_closed_and_used_again_it_starts_again(inbox: Inbox, amqp_url: str) -> None:
    publisher = BlockingPublisher(amqp_url)
    for n in range(3):
        publisher.send(SID, n)
        assert publisher.close() == 0
        assert threads() == []
    assert inbox.values == [0, 1, 2]
    assert len(inbox.publishers) == 3


@pytest.mark.broker
def test_one_that_is_forgotten_sends_what_it_has_and_leaves_nothing(
    inbox: Inbox, amqp_url: str, rabbitmq: RabbitMQ, vhost: str
) -> None:
    for n in range(5):
        BlockingPublisher(amqp_url).post(SID, n)
    gc.collect()
    inbox.until(lambda values: sorted(values) == list(range(5)))
    for thread in threads():
        thread.join(5)
    assert threads() == []


# -- the caller's mistakes ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["send", "post"])
def test_what_no_node_would_accept_is_told_in_the_callers_thread(name: str) -> None:
    with BlockingPublisher(nobody()) as publisher:
        with pytest.raises(InvalidMessage):
            getattr(publisher, name)("short", 1)
        assert threads() == []


@pytest.mark.broker
@pytest.mark.usefixtures("inbox")
def test_its_own_thread_does_not_wait_for_itself(amqp_url: str) -> None:
    said: list[str] = []

    def listener(publisher: BlockingPublisher) -> None:
        for call in (lambda: publisher.send(SID, 1), publisher.flush, publisher.close):
            try:
                call()
            except ProgressError as exc:
                said.append(str(exc))

    with BlockingPublisher(amqp_url) as publisher:
        publisher.send(SID, 1)
        background = publisher._background
        assert background is not None
        background._loop.call_soon_threadsafe(listener, publisher)
        publisher.send(SID, 2)
    assert len(said) == 3
    assert all("own thread" in text for text in said)


@pytest.mark.broker
@pytest.mark.usefixtures("inbox")
async def test_in_somebody_elses_event_loop_a_send_is_allowed(amqp_url: str) -> None:
    with BlockingPublisher(amqp_url) as publisher:
        assert publisher.send(SID, 1)
        with publisher.progress(SID) as bar:
            bar.advance()
        async with publisher.progress(SID) as bar:
            bar.advance()


# -- threads --------------------------------------------------------------------------------------


@pytest.mark.broker
def test_many_threads_share_one_connection_and_keep_their_orders(
    inbox: Inbox, amqp_url: str
) -> None:
    with BlockingPublisher(amqp_url) as publisher:

        def work(name: int) -> None:
            for n in range(0, 100, 2):
                publisher.post(SID, [name, n])
                publisher.send(SID, [name, n + 1])

        with ThreadPoolExecutor(20) as pool:
            list(pool.map(work, range(20)))
        assert len(threads()) == 1
        assert publisher.waiting == 0
    values = inbox.until(lambda values: len(values) >= 2000)
    for name in range(20):
        assert [n for who, n in values if who == name] == list(range(100))
    assert len(inbox.publishers) == 1


@pytest.mark.broker
def test_of_many_posts_of_a_key_the_newest_arrives_last(inbox: Inbox, amqp_url: str) -> None:
    with BlockingPublisher(amqp_url) as publisher:
        for n in range(20_000):
            publisher.post(SID, n, key="k")
    values = inbox.until(lambda values: values and values[-1] == 19_999)
    assert values == sorted(set(values))
    assert len(values) < 5000


@pytest.mark.broker
@pytest.mark.usefixtures("inbox")
def test_it_is_closed_while_others_use_it(amqp_url: str) -> None:
    publisher = BlockingPublisher(amqp_url)
    stop = threading.Event()
    surprises: list[BaseException] = []

    def work() -> None:
        while not stop.is_set():
            try:
                publisher.post(SID, 1)
                publisher.send(SID, 2)
                with publisher.progress(SID) as bar:
                    bar.advance()
            except PublishError:
                pass
            except BaseException as exc:
                surprises.append(exc)
                raise

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for _ in range(5):
        publisher.send(SID, 3)
        publisher.close()
    stop.set()
    for worker in workers:
        worker.join(20)
    publisher.close()
    assert surprises == []


@pytest.mark.broker
def test_a_signal_handler_posts_while_its_thread_is_posting(inbox: Inbox, amqp_url: str) -> None:
    ticks = 0
    with BlockingPublisher(amqp_url) as publisher:

        def on_alarm(*_: object) -> None:
            nonlocal ticks
            ticks += 1
            publisher.post(SID, -ticks)

        before = signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            for n in range(20_000):
                publisher.post(SID, n)
                if n % 1000 == 0:
                    publisher.flush()
                    publisher.close()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    assert ticks > 10
    values = inbox.until(lambda values: len(values) >= 20_000 + ticks)
    assert [n for n in values if n >= 0] == list(range(20_000))
    assert sorted(-n for n in values if n < 0) == list(range(1, ticks + 1))


# -- nobody there ---------------------------------------------------------------------------------


def test_without_a_broker_nobody_is_kept_waiting(caplog: pytest.LogCaptureFixture) -> None:
    publisher = BlockingPublisher(nobody())
    with stopwatch() as seconds:
        for n in range(1000):
            publisher.post(SID, n)
        assert seconds() < 1
    wait_for(lambda: publisher.trouble, timeout_s=10, what="trouble")
    with pytest.raises(PublishError, match=r"not sent within 0\.5 s: .*127\.0\.0\.1"):
        publisher.send(SID, 1, timeout_s=0.5)
    assert "127.0.0.1" in str(publisher.trouble)
    with stopwatch() as seconds:
        assert publisher.flush(timeout_s=30) == publisher.waiting == 1000
        with publisher.progress(SID, total=1) as bar:
            bar.advance()
        assert seconds() < 1
        assert publisher.close(timeout_s=0.3) >= 1001
        assert seconds() < 3
    told = [record.getMessage() for record in caplog.records if record.name == "progress_ws"]
    assert len(told) == 2
    assert "does not get through" in told[0]
    assert "could not be sent" in told[1]


def test_a_full_buffer_drops_counts_and_does_not_block() -> None:
    with BlockingPublisher(nobody(), max_buffer_bytes=10_000) as publisher:
        for n in range(1000):
            publisher.post(SID, n)
        # In the turn that hands them over they are counted nowhere.
        wait_for(lambda: publisher.waiting + publisher.dropped == 1000, timeout_s=5, what="a count")
        assert publisher.dropped > 900
        publisher.close(timeout_s=0.1)
    assert publisher.dropped > 900


@pytest.mark.broker
@pytest.mark.usefixtures("inbox")
def test_a_refusal_is_told_at_once(rabbitmq: RabbitMQ, vhost: str) -> None:
    started = time.monotonic()
    with BlockingPublisher(rabbitmq.amqp_url(vhost, password="hunter2")) as publisher:
        with pytest.raises(PublishError, match="password"):
            publisher.send(SID, 1, timeout_s=60)
        publisher.post(SID, 1)
    assert time.monotonic() - started < 8


# -- bars -----------------------------------------------------------------------------------------


@pytest.mark.broker
def test_a_bar_has_arrived_when_its_block_is_left(inbox: Inbox, amqp_url: str) -> None:
    with BlockingPublisher(amqp_url) as publisher:
        publisher.send(new_sid(), "connected")
        with publisher.progress(SID, total=1000, title="Rows") as bar:
            for _ in range(1000):
                bar.advance()
        assert inbox.values[-1]["state"] == "done"
        assert inbox.values[-1]["current"] == 1000


@pytest.mark.broker
def test_a_bar_moves_while_its_thread_sleeps(inbox: Inbox, amqp_url: str) -> None:
    with BlockingPublisher(amqp_url) as publisher:
        bar = publisher.progress(SID, total=10, key="k")
        bar.advance(5)
        inbox.until(lambda values: values and values[-1]["current"] == 5)
        with pytest.raises(ZeroDivisionError), bar:
            raise ZeroDivisionError("no way")
        assert inbox.values[-1]["state"] == "failed"


@pytest.mark.broker
def test_bars_that_run_at_the_close_have_failed(inbox: Inbox, amqp_url: str) -> None:
    with BlockingPublisher(amqp_url) as publisher:
        bar = publisher.progress(SID, total=10)
        bar.advance(5)
    assert inbox.values[-1]["error"] == "the publisher was closed"
    assert bar.state == "failed"
    bar.advance()
    bar.done()


@pytest.mark.broker
def test_a_bar_keeps_its_publisher(inbox: Inbox, amqp_url: str) -> None:
    with BlockingPublisher(amqp_url).progress(SID, total=10) as bar:
        gc.collect()
        bar.advance(10)
    assert inbox.values[-1]["state"] == "done"
    del bar
    gc.collect()
