"""One browser's mailbox: newest wins per key, order kept, bounded; checked against a model."""

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from progress_ws.core.message import Message, supersedes
from progress_ws.core.outbox import TAKE_BYTES, Outbox
from progress_ws.core.update import Update, update_of
from tests.core.making import SID, message

OTHER = "o" * 22


class Overflow:
    """Counts how often an outbox let its browser go."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def outbox(**bounds: int) -> tuple[Outbox, Overflow]:
    overflow = Overflow()
    return Outbox(on_overflow=overflow, **bounds), overflow


def update(value: Any = 1, **fields: Any) -> Update:
    return update_of(message(value, **fields))


async def drained(box: Outbox) -> list[Any]:
    """Everything that waits: values of messages, and other frames as bytes."""
    items: list[Update | bytes] = []
    while len(box):
        items += await box.take()
    return [item if isinstance(item, bytes) else int(bytes(item.message.message)) for item in items]


async def test_what_waits_comes_in_the_order_in_which_it_was_put() -> None:
    box, _ = outbox()
    box.push(b"welcome")
    for n in range(5):
        box.offer(update(n))
    box.push(b"pong")
    assert await drained(box) == [b"welcome", 0, 1, 2, 3, 4, b"pong"]


async def test_a_newer_message_of_a_key_takes_the_place_at_the_end() -> None:
    box, _ = outbox()
    for n, key in enumerate(["a", "b", None, "a"]):
        box.offer(update(n, key=key))
    assert await drained(box) == [1, 2, 3]


async def test_keys_of_different_sessions_are_different_keys() -> None:
    box, _ = outbox()
    box.offer(update(1, sid=SID, key="a"))
    box.offer(update(2, sid=OTHER, key="a"))
    assert await drained(box) == [1, 2]


async def test_messages_without_a_key_never_replace_one_another() -> None:
    box, _ = outbox()
    for n in range(1000):
        box.offer(update(n))
    assert await drained(box) == list(range(1000))


async def test_a_final_message_is_not_replaced_within_its_run() -> None:
    box, _ = outbox()
    box.offer(update(1, key="a", run="1", final=True))
    box.offer(update(2, key="a", run="1"))
    assert await drained(box) == [1]


async def test_what_was_taken_is_not_replaced_any_more() -> None:
    box, _ = outbox()
    box.offer(update(1, key="a"))
    assert await drained(box) == [1]
    box.offer(update(2, key="a"))
    assert await drained(box) == [2]


async def test_take_waits_until_something_is_there() -> None:
    box, _ = outbox()
    waiting = asyncio.create_task(box.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    box.offer(update(1))
    box.offer(update(2))
    async with asyncio.timeout(5):
        assert len(await waiting) == 2


async def test_take_takes_about_one_write_and_leaves_the_rest_replaceable() -> None:
    box, _ = outbox()
    big = "x" * 1000
    for n in range(200):
        box.offer(update(big + str(n), key=str(n)))
    taken = await box.take()
    assert sum(item.size for item in taken if isinstance(item, Update)) >= TAKE_BYTES
    assert sum(item.size for item in taken[:-1] if isinstance(item, Update)) < TAKE_BYTES
    box.offer(update("newer", key="199"))
    assert len(box) == 200 - len(taken)


async def test_one_message_larger_than_a_write_is_taken_alone() -> None:
    box, _ = outbox()
    box.offer(update("x" * (3 * TAKE_BYTES)))
    box.offer(update(1))
    assert len(await box.take()) == 1
    assert await drained(box) == [1]


async def test_a_wait_that_was_cancelled_loses_nothing() -> None:
    box, _ = outbox()
    waiting = asyncio.create_task(box.take())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    box.offer(update(1))
    assert await drained(box) == [1]


async def test_over_its_bound_in_frames_it_empties_itself_and_says_so_once() -> None:
    box, overflow = outbox(max_frames=3)
    for n in range(3):
        box.offer(update(n))
    assert (len(box), overflow.count) == (3, 0)
    for n in range(5):
        box.offer(update(n))
        box.push(b"pong")
    assert (len(box), overflow.count) == (0, 1)


async def test_over_its_bound_in_bytes_likewise() -> None:
    size = update("x" * 1000).size
    box, overflow = outbox(max_bytes=3 * size)
    for _ in range(3):
        box.offer(update("x" * 1000))
    assert (len(box), overflow.count) == (3, 0)
    box.offer(update(1))
    assert (len(box), overflow.count) == (0, 1)


async def test_replacing_never_overflows() -> None:
    size = update("x" * 1000).size
    box, overflow = outbox(max_bytes=3 * size, max_frames=3)
    for _ in range(100):
        for key in "abc":
            box.offer(update("x" * 1000, key=key))
    assert (len(box), overflow.count) == (3, 0)


async def test_frames_that_are_no_messages_count_too() -> None:
    """Else a browser could fill the memory with pongs that it does not read."""
    box, overflow = outbox(max_bytes=100_000)
    for _ in range(100_000):
        box.push(b"pong")
    assert (len(box), overflow.count) == (0, 1)


async def test_a_closed_mailbox_takes_nothing_and_overflows_never() -> None:
    box, overflow = outbox(max_frames=1)
    box.offer(update(1))
    box.close()
    for n in range(3):
        box.offer(update(n, key="a"))
        box.push(b"pong")
    assert (len(box), overflow.count) == (0, 0)


def test_a_frame_is_encoded_at_most_once() -> None:
    made = update("x", key="k")
    assert made.frame() is made.frame()
    assert made.packed() is made.packed()
    assert made.packed_text() is made.packed_text()


# -- a model: a plain list ----------------------------------------------------------------------


class Model:
    """What an outbox is meant to do, said as simply as can be."""

    def __init__(self, *, max_bytes: int, max_frames: int) -> None:
        self.max_bytes, self.max_frames = max_bytes, max_frames
        self.waiting: list[Message] = []
        self.overflows = 0

    def offer(self, new: Message) -> None:
        if self.overflows:
            return
        same = [m for m in self.waiting if m.key is not None and (m.sid, m.key) == slot(new)]
        if same and not supersedes(new, same[0]):
            return
        self.waiting = [m for m in self.waiting if m not in same] + [new]
        size = sum(update_of(m).size for m in self.waiting)
        if size > self.max_bytes or len(self.waiting) > self.max_frames:
            self.waiting, self.overflows = [], 1


def slot(m: Message) -> tuple[str, str | None]:
    return (m.sid, m.key)


offers = st.builds(
    message,
    st.integers(0, 3).map(lambda n: "x" * n * 100),
    sid=st.sampled_from([SID, OTHER]),
    key=st.sampled_from([None, "a", "b", "c"]),
    run=st.sampled_from([None, "1", "2"]),
    final=st.booleans(),
    id=st.integers(1, 10**9).map(lambda n: f"p-{n}"),
)


@given(
    st.lists(offers | st.none(), max_size=40),
    st.integers(600, 6000),
    st.integers(1, 8),
)
async def test_it_does_what_a_plain_list_would(
    steps: list[Message | None], max_bytes: int, max_frames: int
) -> None:
    """`None` stands for a browser that reads."""
    box, overflow = outbox(max_bytes=max_bytes, max_frames=max_frames)
    model = Model(max_bytes=max_bytes, max_frames=max_frames)
    for step in [*steps, None]:
        if step is not None:
            box.offer(update_of(step))
            model.offer(step)
        elif model.waiting:
            taken = [item.message for item in await box.take() if isinstance(item, Update)]
            assert taken == model.waiting[: len(taken)]
            model.waiting = model.waiting[len(taken) :]
        assert (len(box), overflow.count) == (len(model.waiting), model.overflows)
