"""A node's memory in pages of 2 MiB, where Linux has them.

A node with many connections touches a little of the memory of each, again and again, and each page
of 4 KiB that is not among the last thousand or so must be looked up first. On a virtual machine
that may take longer than the work: it is a quarter of one message's way to 10,000 sockets. Linux
makes huge pages by itself only of memory whose owner asked for it (where
`/sys/kernel/mm/transparent_hugepage/enabled` says `madvise`, as most distributions have it), and
Python's allocator does not ask. So this does, for what has been filled already
(`MADV_COLLAPSE`, Linux 6.1 and later, https://man7.org/linux/man-pages/man2/madvise.2.html), and
only while memory does not grow: what grows may be gone a moment later.
"""

import asyncio
import ctypes
import errno
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path

import structlog

from progress_ws.node.ticks import tick

log = structlog.get_logger(__name__)

HUGE_BYTES = 2 * 1024 * 1024
LOOK_EVERY_S = 1.0
MADV_COLLAPSE = 25
PAGES = HUGE_BYTES // mmap.PAGESIZE
FILLED = PAGES * 7 // 8
"""Where so many pages are in use already, a huge page takes hardly any memory more."""
_PRESENT = 0x80  # in the last of a page's eight bytes in /proc/self/pagemap
_PRIVATE_ANONYMOUS = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) rw-p 0+ 00:00 0 *(?:\[heap\])?$", re.MULTILINE
)


async def use_huge_pages() -> None:
    """Do so until cancelled; for a process that serves nodes and nothing else."""
    looked_at = before = 0
    while True:
        await tick(LOOK_EVERY_S)
        try:
            now = resident_bytes()
            if abs(now - looked_at) >= HUGE_BYTES > abs(now - before):
                looked_at = now
                made = await asyncio.to_thread(collapse)
                log.debug("memory is in huge pages", made=made, resident_bytes=now)
            before = now
        except OSError as exc:
            log.debug("no huge pages here", reason=str(exc))
            await asyncio.Event().wait()  # a task that has an owner does not end


def resident_bytes() -> int:
    """Return how much memory of this process is in use.

    Raises:
        OSError: this is not Linux.
    """
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


def collapse() -> int:
    """Make huge pages of all memory that is filled; return how many are there then.

    Raises:
        OSError: this is not Linux, or too old, or made without them.
    """
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    made = 0
    with Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
        for start in places(Path("/proc/self/maps").read_text()):
            pages = os.pread(pagemap.fileno(), PAGES * 8, start // mmap.PAGESIZE * 8)
            if not is_filled(pages):
                continue
            if madvise(start, HUGE_BYTES, MADV_COLLAPSE) == 0:
                made += 1
            elif ctypes.get_errno() == errno.EINVAL:
                raise OSError("it takes Linux 6.1, with transparent huge pages")
    return made


def places(maps: str) -> Iterator[int]:
    """Find where huge pages could be, in the text of `/proc/self/maps`."""
    for region in _PRIVATE_ANONYMOUS.finditer(maps):
        start, end = (int(text, 16) for text in region.groups())
        yield from range(-(-start // HUGE_BYTES) * HUGE_BYTES, end - HUGE_BYTES + 1, HUGE_BYTES)


def is_filled(pages: bytes) -> bool:
    """Tell whether most pages are in use, from their entries in `/proc/self/pagemap`."""
    return sum(byte >= _PRESENT for byte in pages[7::8]) >= FILLED
