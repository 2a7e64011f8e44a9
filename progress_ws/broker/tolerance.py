"""A foreign message with odd AMQP properties must not cost a node its connection.

The library decodes the properties of each message while it reads the connection, and a value that
it cannot decode (a timestamp in nanoseconds, a name that is not UTF-8) ends the connection: on
every node at once, for each such message. Every property says how long it is, so one that cannot
be decoded can be left out or patched up, and the rest read on.
"""

from collections.abc import Callable
from typing import Any

from pamqp import decode

Decoder = Callable[[bytes], tuple[int, Any]]


def install() -> None:
    """Make the decoding of properties tolerant, for this process; doing it again does nothing."""
    for name, length, substitute in (
        ("shortstr", _short_length, _readable),
        ("timestamp", lambda _: 8, lambda _: None),
        ("table", _table_length, lambda _: {}),
    ):
        decoder = decode.METHODS[name]
        if not hasattr(decoder, "is_tolerant"):
            decode.METHODS[name] = _tolerant(decoder, length, substitute)


def _tolerant(
    decoder: Decoder, length: Callable[[bytes], int], substitute: Callable[[bytes], Any]
) -> Decoder:
    def tolerant(value: bytes) -> tuple[int, Any]:
        try:
            return decoder(value)
        except (ValueError, OverflowError, OSError):  # UnicodeDecodeError is a ValueError
            size = length(value)
            if size > len(value):
                raise  # the frame itself is broken
            return size, substitute(value[:size])

    tolerant.is_tolerant = True  # type: ignore[attr-defined]
    return tolerant


def _short_length(value: bytes) -> int:
    return 1 + value[0] if value else 1


def _table_length(value: bytes) -> int:
    return 4 + int.from_bytes(value[:4], "big")


def _readable(value: bytes) -> str:
    return value[1:].decode(errors="replace")
