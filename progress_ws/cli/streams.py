"""What a command prints, on its way through to where it would have gone."""

import asyncio
import os
import select
import threading
import time

from progress_ws.cli.output import Output
from progress_ws.publish.bar import Bar

READ_BYTES = 64 * 1024
DRAIN_TIMEOUT_S = 1.0
"""A command may have left something running that keeps its output open for ever."""
LEFT_S = 5.0
"""After so long what still comes is of something left running, and not of the command."""
EMPTY_S = 0.02
"""Nothing has come for so long: what the command printed itself has been taken."""


class Streams:
    """Standard output and error of a command, each a pipe that a thread empties.

    The threads write before they read on: nothing gathers here, and a reader who is slow, or gone,
    is to the command what it would be without us.

    Attributes:
        out, err: what the command is to be started with.
    """

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._lock = threading.Lock()
        from_out, self.out = os.pipe()
        from_err, self.err = os.pipe()
        self._pipes = ((from_out, 1), (from_err, 2))
        self._threads: list[threading.Thread] = []
        self._writing: set[int] = set()
        self._passed_s = 0.0

    def start(self) -> None:
        """Begin to pass on; the command has its ends by now."""
        os.close(self.out)
        os.close(self.err)
        for pipe in self._pipes:
            thread = threading.Thread(target=self._pass, args=pipe, daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Nothing was started."""
        for fd in (self.out, self.err, *(source for source, _ in self._pipes)):
            os.close(fd)

    async def drain(self) -> None:
        """Wait, after the command's end, until the last that it printed has been taken."""
        ended_s = self._passed_s = time.monotonic()
        while any(thread.is_alive() for thread in self._threads):
            now_s = time.monotonic()
            patience_s = DRAIN_TIMEOUT_S if now_s - ended_s < LEFT_S else EMPTY_S
            if not self._writing and now_s - self._passed_s > patience_s:
                return
            await asyncio.sleep(0.01)

    def _pass(self, source: int, to: int) -> None:
        output = Output()
        try:
            while data := os.read(source, READ_BYTES):
                self._writing.add(to)
                _write(to, data)
                self._passed_s = time.monotonic()
                self._writing.discard(to)
                output.feed(data)
                self._show(output)
        except OSError:
            pass  # nobody reads any more: closed, the pipe tells the command so
        finally:
            self._writing.discard(to)
            os.close(source)

    def _show(self, output: Output) -> None:
        with self._lock:
            if output.line is not None:
                self._bar.text(output.line)
            if output.percent is not None:
                self._bar.set(output.percent, total=100)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:  # somebody who shares it has made it so
            select.select([], [fd], [])
