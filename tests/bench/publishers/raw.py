"""Publishes over AMQP as cheaply as can be: the wire forms of all that goes through RabbitMQ.

.venv/bench/bin/python -m tests.bench.publishers.raw KIND URL EXCHANGE SIDS CONNECTIONS

With one connection it is a busy publisher that has many messages at once, and writes some together;
with more each stands for an independent publisher, and every message is a write of its own.
"""

import json
import secrets
import sys
import time
from collections.abc import Callable

from tests.bench.publishers.amqp import AmqpWire, Stamp
from tests.bench.publishers.orders import Account, Order, read_orders, read_sids
from tests.bench.publishers.wires import settle

TOGETHER = 50
ARRAY = 100

Encode = Callable[[int, int, str], bytes]
"""From connection, browser and text to the frames of a message."""


def ours(exchange: str, sids: list[str], connections: int) -> Encode:
    """As our publisher writes it, one message at a time; each connection numbers its own."""
    names = [secrets.token_hex(8) for _ in range(connections)]
    numbers = [0] * connections
    stamps = [
        Stamp(
            exchange,
            sid,
            properties={
                "content_type": "application/json",
                "headers": {"sid": sid},
                "timestamp": int(time.time()),
                "type": "message",
                "app_id": "progress-ws/bench",
            },
            numbered=True,
            mandatory=True,
        )
        for sid in sids
    ]

    def encode(connection: int, browser: int, text: str) -> bytes:
        numbers[connection] += 1
        name = f"{names[connection]}-{numbers[connection]}"
        head = f'{{"sid":"{sids[browser]}","message":"{text}","ts":{time.time():.3f}'
        return stamps[browser].frames(f'{head},"id":"{name}"}}'.encode(), name)

    return encode


def topic(exchange: str, sids: list[str], _connections: int) -> Encode:
    """The bare text under the sid as routing key: what Web-STOMP and Web-MQTT deliver."""
    stamps = [Stamp(exchange, sid) for sid in sids]

    def encode(_connection: int, browser: int, text: str) -> bytes:
        return stamps[browser].frames(text.encode())

    return encode


def naive(exchange: str, sids: list[str], _connections: int) -> Encode:
    """An object with sid and message."""
    stamp = Stamp(exchange, "", properties={"content_type": "application/json"})

    def encode(_connection: int, browser: int, text: str) -> bytes:
        return stamp.frames(f'{{"sid":"{sids[browser]}","message":"{text}"}}'.encode())

    return encode


def socketio(exchange: str, sids: list[str], _connections: int) -> Encode:
    """What python-socketio's manager writes."""
    stamp = Stamp(exchange, "*")
    shape = {
        "method": "emit",
        "event": "message",
        "data": ["TEXT"],
        "binary": False,
        "namespace": "/",
        "room": "ROOM",
        "skip_sid": None,
        "callback": None,
        "host_id": secrets.token_hex(16),
    }
    before, _, after = json.dumps(shape).partition("TEXT")
    between, _, end = after.partition("ROOM")

    def encode(_connection: int, browser: int, text: str) -> bytes:
        return stamp.frames(f"{before}{text}{between}{sids[browser]}{end}".encode())

    return encode


KINDS = {each.__name__: each for each in (ours, topic, naive, socketio)}


def carry_out(order: Order, wires: list[AmqpWire], encode: Encode) -> int:
    """Publish, and return how many are confirmed since the beginning."""
    together: list[bytes] = []
    addressees = order.addressees
    at_once = TOGETHER if len(wires) == 1 and not order.rate else 1
    for number in order.due():
        browser = addressees[number]
        connection = number % len(wires)
        together.append(encode(connection, browser, order.text(number, browser)))
        if len(together) == at_once or number == order.count - 1:
            wires[connection].write(b"".join(together), len(together))
            together.clear()
    return settle(wires)


def main(kind: str, url: str, exchange: str, sids: str, connections: str) -> None:
    wires = [AmqpWire(url) for _ in range(int(connections))]
    encode = KINDS[kind](exchange, read_sids(sids), len(wires))
    confirmed = 0
    for order in read_orders():
        account = Account()
        before, confirmed = confirmed, carry_out(order, wires, encode)
        account.close(confirmed - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
