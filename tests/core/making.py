"""Messages, bodies and JSON values for tests."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import strategies as st

from progress_ws.core import codec
from progress_ws.core.message import Draft, Message
from progress_ws.core.outbox import Outbox
from progress_ws.core.update import Update

SID = "s" * 22
LIMIT = 65536

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
"""Any JSON value."""


def draft(value: Any = 1, *, sid: str = SID, **fields: Any) -> Draft:
    """A draft as a publisher makes it."""
    return codec.new_draft(sid, value, max_message_bytes=LIMIT, **fields)


def message(value: Any = 1, *, sid: str = SID, **fields: Any) -> Message:
    """A message as a node decodes it."""
    return Message(sid, msgspec.Raw(codec.encode(value)), **fields)


def body(value: Any = 1, *, sid: str = SID, **fields: Any) -> bytes:
    """A message as somebody else writes it, with Python's own JSON."""
    return json.dumps({"sid": sid, "message": value, **fields}).encode()


def nested(levels: int, *, innermost: str = "") -> str:
    """The JSON text of a list in a list in a list …"""
    return "[" * levels + innermost + "]" * levels


def taken(box: Outbox) -> list[Update | bytes]:
    """One write's worth of what waits; nothing where a writer would wait."""
    try:
        box.take().send(None)
    except StopIteration as done:
        return list(done.value)
    except RuntimeError:  # nothing waits, and there is no event loop to wait in
        return []
    raise AssertionError("it waits")


def without(mapping: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A copy that lacks one member."""
    return {key: value for key, value in mapping.items() if key != name}
