"""Publishes to Nchan: HTTP POSTs over connections that stay open, several on their way at a time.

.venv/bench/bin/python -m tests.bench.publishers.http PORT SIDS CONNECTIONS
"""

import sys

from tests.bench.publishers.orders import Account, Order, read_orders, read_sids
from tests.bench.publishers.wires import Wire, settle

TOGETHER = 50
_ANSWER = b"HTTP/1.1 20"


class HttpWire(Wire):
    """One connection; every good answer confirms a message."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._rest = b""

    def heard(self, data: bytes) -> None:
        buffer = self._rest + data
        if b"HTTP/1.1 4" in buffer or b"HTTP/1.1 5" in buffer:
            raise ConnectionError(f"nginx refuses: {buffer[:200]!r}")
        self.confirmed += buffer.count(_ANSWER)
        self._rest = buffer[-(len(_ANSWER) - 1) :]


def carry_out(order: Order, wires: list[HttpWire], sids: list[str]) -> int:
    """Publish, and return how many are confirmed since the beginning."""
    together: list[bytes] = []
    addressees = order.addressees
    at_once = TOGETHER if len(wires) == 1 and not order.rate else 1
    for number in order.due():
        browser = addressees[number]
        text = order.text(number, browser)
        head = f"POST /pub?id={sids[browser]} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        together.append(f"{head}Content-Length: {len(text)}\r\n\r\n{text}".encode())
        if len(together) == at_once or number == order.count - 1:
            wires[number % len(wires)].write(b"".join(together), len(together))
            together.clear()
    return settle(wires)


def main(port: str, sids: str, connections: str) -> None:
    wires = [HttpWire(int(port)) for _ in range(int(connections))]
    confirmed = 0
    for order in read_orders():
        account = Account()
        before, confirmed = confirmed, carry_out(order, wires, read_sids(sids))
        account.close(confirmed - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
