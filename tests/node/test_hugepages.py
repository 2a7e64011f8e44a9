"""A node's memory comes into huge pages: where that is worth while, and where the kernel can."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from progress_ws.node import hugepages
from progress_ws.node.hugepages import FILLED, PAGES, is_filled, places
from tests.support.waiting import eventually

MAPS = """\
555500000000-555500400000 r-xp 00000000 fe:00 1234                       /usr/bin/python3.11
555500400000-555500800000 rw-p 00400000 fe:00 1234                       /usr/bin/python3.11
555501900000-555501f00000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000400000 rw-p 00000000 00:00 0
7f0000500000-7f0000900000 rw-p 00000000 00:00 0
7f0000a00000-7f0000bff000 rw-p 00000000 00:00 0
7f0000c00000-7f0000e00000 rw-s 00000000 00:01 99                         /dev/zero (deleted)
7f0001000000-7f0001400000 ---p 00000000 00:00 0
7ffd00000000-7ffd00400000 rw-p 00000000 00:00 0                          [stack]
"""


def test_huge_pages_go_where_they_fit_into_memory_of_our_own() -> None:
    assert [f"{place:x}" for place in places(MAPS)] == [
        "555501a00000",
        "555501c00000",
        "7f0000000000",
        "7f0000200000",
        "7f0000600000",
    ]


def pages(present: int) -> bytes:
    return (b"\0" * 7 + b"\x86") * present + b"\0" * 8 * (PAGES - present)


def test_what_is_hardly_used_stays_as_it_is() -> None:
    assert is_filled(pages(PAGES))
    assert is_filled(pages(FILLED))
    assert not is_filled(pages(FILLED - 1))
    assert not is_filled(pages(0))
    assert not is_filled(b"")


def huge_bytes() -> int:
    rollup = Path("/proc/self/smaps_rollup").read_text()
    found = re.search(r"AnonHugePages: +(\d+) kB", rollup)
    assert found is not None
    return int(found[1]) * 1024


@pytest.fixture
async def task(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Task[None]]:
    monkeypatch.setattr(hugepages, "LOOK_EVERY_S", 0.05)
    task = asyncio.create_task(hugepages.use_huge_pages())
    yield task
    task.cancel()
    await asyncio.wait([task])


def some(count: int) -> list[bytes]:
    """Make small objects, which lie where Python's allocator keeps them."""
    return [bytes(400) + b"%d" % number for number in range(count)]


async def test_memory_that_has_grown_is_moved_with_all_that_is_in_it(
    task: asyncio.Task[None],
) -> None:
    try:
        hugepages.collapse()
    except OSError as exc:
        pytest.skip(str(exc))
    resident, huge = hugepages.resident_bytes(), huge_bytes()
    grown = some(200_000)
    grew = hugepages.resident_bytes() - resident
    await eventually(lambda: huge_bytes() - huge > grew / 2)
    assert hugepages.resident_bytes() - resident < grew * 1.1
    assert grown == some(200_000)
    assert not task.done()


async def test_a_kernel_without_them_is_asked_once(
    task: asyncio.Task[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def collapse() -> int:
        asked.append(True)
        raise OSError("it has none")

    monkeypatch.setattr(hugepages, "collapse", collapse)
    await eventually(lambda: asked)
    grown = some(50_000)
    await asyncio.sleep(0.3)  # six more looks
    assert len(asked) == 1
    assert not task.done()
    assert grown
