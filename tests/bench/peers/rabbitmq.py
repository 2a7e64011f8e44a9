"""Browsers straight on the broker: RabbitMQ's own Web-STOMP and Web-MQTT."""

import struct
from collections.abc import Sequence

from tests.bench.child import Child
from tests.bench.load import BINARY, TEXT, Browser
from tests.bench.peers.system import System

EXCHANGE = "amq.topic"
KEEP_ALIVE_S = 0
USER = PASSWORD = "guest"


class _OnBroker(System):
    form = "as documented"
    burst = 15_000
    vhost: str

    def start(self) -> None:
        self.url = self.stage.broker.amqp_url(self.stage.vhost(self.vhost))

    @property
    def nodes(self) -> Sequence[int]:
        return ()

    @property
    def brokers(self) -> Sequence[int]:
        return [self.stage.broker.pid]

    def busy_publisher(self) -> Child:
        return self.many_publishers(1)

    def many_publishers(self, count: int) -> Child:
        return self.publishing("raw", "topic", self.url, EXCHANGE, self.stage.sids_file, count)

    def sending_publishers(self, count: int) -> Child:
        """So many that publish with aio-pika, and wait for the confirm."""
        return self.publishing("aiopika", self.url, EXCHANGE, self.stage.sids_file, count)


class WebStomp(_OnBroker):
    """A subscription to `/topic/<sid>`: an own queue of each browser."""

    name = "RabbitMQ Web-STOMP"
    vhost = "stomp"

    def browser(self, number: int, sid: str) -> Browser:
        login = f"login:{USER}\npasscode:{PASSWORD}\nhost:{self.vhost}"
        connect = f"CONNECT\naccept-version:1.2\nheart-beat:0,0\n{login}\n\n\0"
        subscribe = f"SUBSCRIBE\nid:0\nreceipt:r\ndestination:/topic/{sid}\nack:auto\n\n\0"
        sends = ((TEXT, connect.encode()), (TEXT, subscribe.encode()))
        port = self.stage.broker.stomp_port
        return Browser(port, number, "/ws", 2, sends, subprotocol="v12.stomp")


class WebMqtt(_OnBroker):
    """A subscription to the topic `<sid>`, at most once."""

    name = "RabbitMQ Web-MQTT"
    vhost = "mqtt"

    def browser(self, number: int, sid: str) -> Browser:
        # MQTT 3.1.1: protocol level 4; user name, password and a clean session.
        flags = 0x80 | 0x40 | 0x02
        connect = _text("MQTT") + struct.pack(">BBH", 4, flags, KEEP_ALIVE_S) + _text(sid)
        connect += _text(f"{self.vhost}:{USER}") + _text(PASSWORD)
        subscribe = struct.pack(">H", 1) + _text(sid) + b"\0"
        sends = ((BINARY, _packet(0x10, connect)), (BINARY, _packet(0x82, subscribe)))
        port = self.stage.broker.mqtt_port
        return Browser(port, number, "/ws", 2, sends, subprotocol="mqtt")


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def _packet(head: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes((head, len(body))) + body
