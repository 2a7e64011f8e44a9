"""What waits for a browser: a plain message of a series is the same in every form as any other."""

import json
from typing import Any

import pytest
from hypothesis import given

from progress_ws.core import codec
from progress_ws.core.frames import pack, unpack
from progress_ws.core.hub import Hub
from progress_ws.core.outbox import Outbox
from progress_ws.core.series import Plain, decode_series
from progress_ws.core.update import Update, update_of, update_of_plain
from tests.core.making import LIMIT, SID, message, taken, values

OTHER = "o" * 22


def plain(value: Any = 1, *, seq: int = 1, sid: str = SID) -> Plain:
    body = codec.encode([{"sid": sid, "message": value, "id": f"p-{seq}", "ts": 1.5}])
    series = decode_series(body, known=(), max_message_bytes=LIMIT)
    assert series is not None
    return series.messages[0]


@given(values)
def test_a_plain_update_is_the_same_in_every_form(value: Any) -> None:
    short, whole = update_of_plain(plain(value)), update_of(plain(value).whole())
    assert short.frame() == whole.frame()
    assert short.packed() == whole.packed()
    assert short.packed_text() == whole.packed_text()
    assert short.message == whole.message
    assert (short.size, short.replay) == (whole.size, whole.replay)
    assert short.published_s == whole.published_s == 1.5


@pytest.mark.parametrize(("id", "ts"), [(None, 1.5), ("p-1", None), ("p-1", 0.0)])
def test_the_age_of_what_nobody_numbered_or_dated_means_nothing(
    id: str | None, ts: float | None
) -> None:
    assert update_of(message(1, id=id, ts=ts)).published_s is None
    assert update_of(message(1, id="p-1", ts=1.5), replay=True).published_s is None


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_what_is_packed_is_unpacked(size: int) -> None:
    assert unpack(pack(b"x" * size)) == b"x" * size


def box(hub: Hub, sid: str = SID) -> Outbox:
    outbox = Outbox(on_overflow=lambda: None)
    hub.attach(sid, outbox)
    return outbox


def seqs(outbox: Outbox) -> list[str]:
    frames = [item.frame() for item in taken(outbox) if isinstance(item, Update)]
    return [json.loads(frame)["id"] for frame in frames]


def test_a_series_goes_to_all_who_listen_in_order_each_frame_made_once() -> None:
    hub = Hub()
    first, second, other = box(hub), box(hub), box(hub, OTHER)
    hub.deliver_all([plain(seq=n, sid=SID if n % 2 else OTHER) for n in range(1, 7)])
    hub.deliver_all([plain(seq=7, sid="t" * 22)])
    (one, *_), (two, *_) = taken(first), taken(second)
    assert one is two
    assert seqs(other) == ["p-2", "p-4", "p-6"]
    assert (hub.delivered, hub.discarded) == (9, 1)


class Source:
    """A replay that has not met the live messages yet."""

    lost = False

    def __init__(self) -> None:
        self.sid = SID
        self.awaited = 0

    def take(self, room: int) -> list[Update | bytes]:
        return []

    def await_latest(self) -> None:
        self.awaited += 1


def test_while_a_session_is_replayed_its_live_ones_wait_there() -> None:
    hub = Hub()
    outbox, source = box(hub), Source()
    outbox.replay(source, ahead={})
    hub.deliver_all([plain(seq=1), plain(seq=2)])
    assert source.awaited == 2
    assert seqs(outbox) == []  # it has met them
    hub.deliver_all([plain(seq=3)])
    assert seqs(outbox) == ["p-3"]


def test_what_a_browser_has_seen_elsewhere_does_not_come_again() -> None:
    hub = Hub()
    outbox = box(hub)
    outbox.replay(Source(), ahead={"p": 2})
    assert seqs(outbox) == []
    hub.deliver_all([plain(seq=n) for n in range(1, 5)])
    assert seqs(outbox) == ["p-3", "p-4"]
