"""One wire: what leaves in one write, what waits for its reader, and when nothing is written."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from progress_ws.core.frames import pack
from progress_ws.core.outbox import TAKE_BYTES, Outbox
from progress_ws.core.update import Update, update_of
from progress_ws.node import wire as wires
from progress_ws.node.wire import HIGH_WATER_BYTES, Turn, Wire
from tests.core.making import message
from tests.support.waiting import eventually


class Reader(asyncio.Protocol):
    """The other end of a real connection, which may stop reading."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data


class Line:
    """A wire to a reader, and how often it was written to."""

    def __init__(self, turn: Turn, transport: asyncio.Transport, reader: Reader) -> None:
        self.transport = transport
        self.reader = reader
        self.told: list[str] = []
        self.writes: list[bytes] = []
        self.drained = asyncio.Event()
        self.written: list[Update] = []
        self.wire = Wire(
            self,  # type: ignore[arg-type]  # of a writer it takes `drain` alone
            self,  # type: ignore[arg-type]  # of a transport what stands below
            turn=turn,
            owner=self,
        )
        self.outbox = Outbox(on_overflow=lambda: None, on_ready=self.wire.wake)
        self.wire.carry(self.outbox)

    def let_go(self) -> None:
        self.told.append("stalled")

    def fail(self) -> None:
        self.told.append("failed")

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        self.transport.write(data)

    def is_closing(self) -> bool:
        return self.transport.is_closing()

    def get_write_buffer_size(self) -> int:
        return self.transport.get_write_buffer_size()

    async def drain(self) -> None:
        await self.drained.wait()


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    loop, reader = asyncio.get_running_loop(), Reader()
    server = await loop.create_server(lambda: reader, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", port)
        await eventually(lambda: reader.transport is not None)
        written: list[Update] = []
        made = Line(Turn(lambda updates, _: written.extend(updates)), transport, reader)
        made.written = written
        yield made
        made.wire.end()
        await made.wire.ended()
        transport.abort()
        reader.transport.abort()
        await asyncio.sleep(0)


def update(n: int, size: int = 1) -> Update:
    return update_of(message("x" * size, id=f"p-{n}"))


async def test_what_comes_in_one_turn_leaves_in_one_write(line: Line) -> None:
    line.outbox.push(b"welcome")
    updates = [update(n) for n in range(3)]
    for each in updates:
        line.outbox.offer(each)
    await eventually(lambda: line.writes)
    assert line.writes == [pack(b"welcome") + b"".join(each.packed() for each in updates)]
    assert (line.written, line.wire.written) == (updates, 4)
    await eventually(lambda: bytes(line.reader.got) == line.writes[0])


async def test_the_turns_after_it_write_again(line: Line) -> None:
    for n in range(3):
        line.outbox.offer(update(n))
        await eventually(lambda n=n: len(line.writes) == n + 1)


async def test_more_than_one_write_goes_out_in_order_a_turn_each(line: Line) -> None:
    updates = [update(n, size=1000) for n in range(200)]
    for each in updates:
        line.outbox.offer(each)
    expected = b"".join(each.packed() for each in updates)
    line.drained.set()
    await eventually(lambda: bytes(line.reader.got) == expected)
    assert len(line.writes) > 2
    assert max(map(len, line.writes)) <= TAKE_BYTES + 2000


async def test_nothing_is_written_to_a_reader_that_has_not_caught_up(line: Line) -> None:
    line.reader.transport.pause_reading()
    n = 0
    while line.transport.get_write_buffer_size() <= HIGH_WATER_BYTES:
        line.outbox.offer(update(n := n + 1, size=30_000))
        await asyncio.sleep(0)
    writes = len(line.writes)
    line.outbox.offer(update(n + 1))
    await asyncio.sleep(0.05)
    assert (len(line.writes), line.told) == (writes, [])
    line.reader.transport.resume_reading()
    line.drained.set()
    await eventually(lambda: len(line.written) == n + 1)
    assert [int((each.message.id or "")[2:]) for each in line.written] == list(range(1, n + 2))


async def test_a_reader_that_never_catches_up_is_told(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wires, "STALLED_AFTER_S", 0.1)
    line.reader.transport.pause_reading()
    n = 0
    while line.transport.get_write_buffer_size() <= HIGH_WATER_BYTES:
        line.outbox.offer(update(n := n + 1, size=30_000))
        await asyncio.sleep(0)
    await eventually(lambda: line.told == ["stalled"])


async def test_its_end_cancels_nobody_else_who_waits_for_the_reader(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of aiohttp's connections all who drain them wait for one future: a pong may be another.

    And when that connection is lost, nothing is logged.
    """
    loop, logged = asyncio.get_running_loop(), list[Any]()
    loop.set_exception_handler(lambda _, context: logged.append(context))
    shared, waits = loop.create_future(), asyncio.Event()

    async def drain() -> None:
        waits.set()
        await shared

    monkeypatch.setattr(line, "drain", drain)
    line.reader.transport.pause_reading()
    while line.transport.get_write_buffer_size() <= HIGH_WATER_BYTES:
        line.outbox.offer(update(1, size=30_000))
        await asyncio.sleep(0)
    await waits.wait()
    line.wire.end()
    await line.wire.ended()
    assert not shared.done()
    shared.set_exception(ConnectionError("Connection lost"))
    await asyncio.sleep(0.01)
    gc.collect()
    assert not logged


async def test_after_its_end_nothing_is_written(line: Line) -> None:
    line.outbox.offer(update(1))
    line.wire.end()
    await asyncio.sleep(0.01)
    assert line.writes == []


async def test_nothing_is_written_to_a_connection_that_closes(line: Line) -> None:
    line.transport.close()
    line.outbox.offer(update(1))
    await asyncio.sleep(0.01)
    assert (line.writes, line.told) == ([], [])


async def test_an_error_of_one_wire_harms_no_other(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = update_of(message("x"))
    monkeypatch.setattr(Update, "packed", lambda self: 1 // (self is not broken) and b"ok")
    other = Line(line.wire._turn, line.transport, line.reader)
    line.outbox.offer(broken)
    other.outbox.offer(update(1))
    await eventually(lambda: other.writes)
    assert (line.told, other.told) == (["failed"], [])


async def test_what_is_told_of_it_cannot_stop_the_writing(line: Line) -> None:
    def fails(_updates: Sequence[Update], _now_s: float) -> None:
        raise RuntimeError("told")

    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: told.append(what))
    other = Line(Turn(fails), line.transport, line.reader)
    for n in range(2):
        other.outbox.offer(update(n))
        await eventually(lambda n=n: len(other.writes) == n + 1)
    await eventually(lambda: len(told) == 2)


async def test_very_many_wires_are_written_to_some_at_a_time(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wires, "TURN_S", 0.0)
    lines = [Line(line.wire._turn, line.transport, line.reader) for _ in range(200)]
    for each in lines:
        each.outbox.offer(update(1))
    counts = {0}
    while not lines[-1].writes:
        await asyncio.sleep(0)
        counts.add(sum(len(each.writes) for each in lines))
    assert counts == {0, 64, 128, 192, 200}
