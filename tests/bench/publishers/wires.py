"""Plain sockets that are written and read at the same time, so that neither side ever blocks."""

import select
import socket
from collections.abc import Sequence

TIMEOUT_S = 60


class Wire:
    """A connection that counts what was confirmed; what comes goes to `heard`."""

    def __init__(self, port: int) -> None:
        self.sent = 0
        self.confirmed = 0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def heard(self, data: bytes) -> None:
        """Take what came, and count what it confirms."""
        raise NotImplementedError

    def write(self, data: bytes, messages: int) -> None:
        """Write this, reading meanwhile if the other side does not take it."""
        self.sent += messages
        self._socket.setblocking(False)
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                self._wait(select.POLLIN | select.POLLOUT)

    def settle(self) -> None:
        """Wait until everything is confirmed."""
        self._socket.setblocking(False)
        while self.confirmed < self.sent:
            self._wait(select.POLLIN)

    def _wait(self, events: int) -> None:
        poll = select.poll()
        poll.register(self._socket, events)
        ready = poll.poll(TIMEOUT_S * 1000)
        if not ready:
            raise TimeoutError(f"{self.sent} sent, {self.confirmed} confirmed, and silence")
        if ready[0][1] & (select.POLLIN | select.POLLHUP):
            if not (data := self._socket.recv(1 << 18)):
                raise ConnectionError("the other side closed the connection")
            self.heard(data)


def settle(wires: Sequence[Wire]) -> int:
    """Wait until everything on all of them is confirmed; how much that is, in all."""
    for wire in wires:
        wire.settle()
    return sum(wire.confirmed for wire in wires)
