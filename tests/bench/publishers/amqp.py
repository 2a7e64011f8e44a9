"""AMQP as cheaply as Python can write it: frames put together by hand, confirms counted."""

import struct
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from pamqp import commands, frame
from pamqp.encode import field_table

from tests.bench.publishers.wires import Wire

_HEAD = struct.Struct(">BHL")
_METHOD = struct.Struct(">HH")
_CONTENT = struct.Struct(">HHQH")
_ACK = (60, 80)
PROTOCOL = b"AMQP\x00\x00\x09\x01"


class AmqpWire(Wire):
    """One connection with one confirming channel."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        super().__init__(parts.port or 5672)
        self._rest = b""
        self._all_to = 0
        self._singly: set[int] = set()
        login = f"\0{unquote(parts.username or '')}\0{unquote(parts.password or '')}"
        self._socket.sendall(PROTOCOL)
        self._expect(commands.Connection.Start)
        self._call(commands.Connection.StartOk({}, "PLAIN", login, "en_US"), 0)
        tune = self._expect(commands.Connection.Tune)
        self._call(commands.Connection.TuneOk(tune.channel_max, tune.frame_max, 0), 0)
        self._call(commands.Connection.Open(unquote(parts.path[1:]) or "/"), 0)
        self._expect(commands.Connection.OpenOk)
        self._call(commands.Channel.Open(), 1)
        self._expect(commands.Channel.OpenOk)
        self._call(commands.Confirm.Select(), 1)
        self._expect(commands.Confirm.SelectOk)

    def heard(self, data: bytes) -> None:
        buffer = self._rest + data
        at, end = 0, len(buffer)
        while end - at >= _HEAD.size:
            kind, _, size = _HEAD.unpack_from(buffer, at)
            if end - at < _HEAD.size + size + 1:
                break
            if kind == 1:
                self._on_method(buffer[at + _HEAD.size : at + _HEAD.size + size])
            at += _HEAD.size + size + 1
        self._rest = buffer[at:]

    def _on_method(self, payload: bytes) -> None:
        method = _METHOD.unpack_from(payload)
        if method != _ACK:
            raise ConnectionError(f"the broker says {method}: {payload[4:]!r}")
        (tag,) = struct.unpack_from(">Q", payload, 4)
        if payload[12] & 1:
            self._all_to = max(self._all_to, tag)
            self._singly = {each for each in self._singly if each > tag}
        else:
            self._singly.add(tag)
        while self._all_to + 1 in self._singly:
            self._all_to += 1
            self._singly.discard(self._all_to)
        self.confirmed = self._all_to + len(self._singly)

    def _call(self, method: object, channel: int) -> None:
        self._socket.sendall(frame.marshal(method, channel))

    def _expect(self, kind: type) -> object:
        while True:
            if len(self._rest) >= _HEAD.size:
                size = _HEAD.unpack_from(self._rest)[2] + _HEAD.size + 1
                if len(self._rest) >= size:
                    _, _, value = frame.unmarshal(self._rest[:size])
                    self._rest = self._rest[size:]
                    if isinstance(value, kind):
                        return value
                    raise ConnectionError(f"expected {kind.__name__}, not {value!r}")
            if not (part := self._socket.recv(65536)):
                raise ConnectionError("the broker closed the connection")
            self._rest += part


class Stamp:
    """The frames of one message to one exchange, all but body and message id made beforehand.

    Args:
        properties: `content_type`, `headers`, `type`, `app_id`, as far as there are any.
        numbered: each message has a `message_id`.
    """

    def __init__(
        self,
        exchange: str,
        routing_key: str,
        *,
        properties: Mapping[str, object] | None = None,
        numbered: bool = False,
        mandatory: bool = False,
    ) -> None:
        given = dict(properties or {})
        self._method = frame.marshal(
            commands.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=mandatory),
            1,
        )
        self._numbered = numbered
        self._flags, self._before, self._after = 0, b"", b""
        if "content_type" in given:
            self._flags |= 1 << 15
            self._before += _short(given["content_type"])
        if "headers" in given:
            self._flags |= 1 << 13
            self._before += field_table(given["headers"])
        self._flags |= numbered << 7
        for name, bit in (("timestamp", 6), ("type", 5), ("app_id", 3)):
            if name in given:
                self._flags |= 1 << bit
                value = given[name]
                self._after += struct.pack(">Q", value) if isinstance(value, int) else _short(value)

    def frames(self, body: bytes, message_id: str = "") -> bytes:
        """The whole message."""
        middle = _short(message_id) if self._numbered else b""
        size = _CONTENT.size + len(self._before) + len(middle) + len(self._after)
        return b"".join(
            (
                self._method,
                _HEAD.pack(2, 1, size),
                _CONTENT.pack(60, 0, len(body), self._flags),
                self._before,
                middle,
                self._after,
                b"\xce",
                _HEAD.pack(3, 1, len(body)),
                body,
                b"\xce",
            )
        )


def _short(text: object) -> bytes:
    encoded = str(text).encode()
    return bytes((len(encoded),)) + encoded
