"""Brings the body of a request to disk, whatever its size, without holding it in memory."""

import asyncio
from typing import BinaryIO

from aiohttp import StreamReader

from progress_ws.demo.folder import Folder, create

BLOCK_BYTES = 1 << 20
IDLE_TIMEOUT_S = 60.0
CHECK_BYTES = 64 << 20
"""So often the free space of the disk is looked at."""


class UploadError(Exception):
    """The upload cannot go on; the text is a sentence for people.

    Attributes:
        status: of the HTTP answer.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


async def receive(content: StreamReader, *, folder: Folder, job_id: str, announced: int) -> None:
    """Write a body to the file of a job; no file is left if anything goes wrong.

    Args:
        content: the body.
        folder: says where the file lies, and whether there is room for it.
        job_id: whose file it is.
        announced: the size that the client gave, 0 if it gave none.

    Raises:
        UploadError: the disk is full, or the client fell silent.
    """
    _refuse_without_room(folder, announced)
    try:
        with create(folder.upload(job_id)) as file:
            await _copy(content, file, folder=folder, announced=announced)
    except OSError as exc:
        folder.clear(job_id)
        raise UploadError(507, f"The server could not keep the file: {exc.strerror}.") from exc
    except BaseException:
        folder.clear(job_id)
        raise


async def _copy(content: StreamReader, file: BinaryIO, *, folder: Folder, announced: int) -> None:
    received = checked = 0
    while block := await _next_block(content):
        await asyncio.to_thread(file.write, block)
        received += len(block)
        if received - checked >= CHECK_BYTES:
            _refuse_without_room(folder, max(0, announced - received))
            checked = received


async def _next_block(content: StreamReader) -> bytes:
    try:
        async with asyncio.timeout(IDLE_TIMEOUT_S):
            return await content.read(BLOCK_BYTES)
    except (TimeoutError, ConnectionError) as exc:
        raise UploadError(408, "The upload stopped half-way.") from exc


def _refuse_without_room(folder: Folder, size_bytes: int) -> None:
    if not folder.has_room(size_bytes):
        raise UploadError(507, "The server has no room for a file of this size.")
