"""Who listens to which session on this node."""

import json
from typing import Any

from progress_ws.core.hub import Hub
from progress_ws.core.outbox import Outbox
from progress_ws.core.update import Update
from tests.core.making import SID, message

OTHER = "o" * 22


def outbox(**bounds: int) -> Outbox:
    return Outbox(on_overflow=lambda: None, **bounds)


async def values(box: Outbox) -> list[Any]:
    """The values of all that waits."""
    found = []
    while len(box):
        for item in await box.take():
            assert isinstance(item, Update)
            found.append(json.loads(bytes(item.message.message)))
    return found


async def test_every_outbox_of_a_session_gets_what_is_sent_to_it() -> None:
    hub, boxes = Hub(), [outbox(), outbox(), outbox()]
    for box in boxes:
        hub.attach(SID, box)
    hub.deliver(message(1))
    hub.deliver(message(2))
    assert [await values(box) for box in boxes] == [[1, 2]] * 3
    assert (hub.delivered, hub.discarded) == (6, 0)


async def test_nobody_gets_what_is_sent_to_another_session() -> None:
    hub, box, other = Hub(), outbox(), outbox()
    hub.attach(SID, box)
    hub.attach(OTHER, other)
    hub.deliver(message("mine"))
    hub.deliver(message("theirs", sid=OTHER))
    assert (await values(box), await values(other)) == (["mine"], ["theirs"])


def test_what_nobody_listens_to_is_counted_and_forgotten() -> None:
    hub = Hub()
    hub.deliver(message())
    assert (hub.delivered, hub.discarded, hub.sessions) == (0, 1, 0)


def test_attaching_twice_does_not_deliver_twice() -> None:
    hub, box = Hub(), outbox()
    hub.attach(SID, box)
    hub.attach(SID, box)
    hub.deliver(message())
    assert (len(box), hub.delivered) == (1, 1)


def test_a_detached_outbox_gets_nothing_more_and_the_others_go_on() -> None:
    hub, gone, stays = Hub(), outbox(), outbox()
    hub.attach(SID, gone)
    hub.attach(SID, stays)
    hub.detach(SID, gone)
    hub.deliver(message())
    assert (len(gone), len(stays)) == (0, 1)


def test_detaching_what_is_not_attached_is_no_error() -> None:
    hub, box = Hub(), outbox()
    hub.detach(SID, box)
    hub.attach(SID, box)
    hub.detach(SID, outbox())
    assert hub.sessions == 1


def test_a_session_that_its_last_outbox_left_takes_no_memory() -> None:
    hub, boxes = Hub(), [outbox(), outbox()]
    for n in range(1000):
        for box in boxes:
            hub.attach(f"{n:022}", box)
    assert hub.sessions == 1000
    for n in range(1000):
        for box in boxes:
            hub.detach(f"{n:022}", box)
    assert hub.sessions == 0
    hub.deliver(message())
    hub.detach(SID, boxes[0])
    assert hub.sessions == 0


async def test_a_message_is_encoded_once_for_all_its_browsers() -> None:
    hub, boxes = Hub(), [outbox(), outbox()]
    for box in boxes:
        hub.attach(SID, box)
    hub.deliver(message("x" * 1000))
    first, second = [(await box.take())[0] for box in boxes]
    assert isinstance(first, Update)
    assert isinstance(second, Update)
    assert first.frame() is second.frame()
    assert first.packed() is second.packed()
    assert first.packed_text() is second.packed_text()


def test_an_outbox_that_overflows_harms_no_other() -> None:
    hub, narrow, wide = Hub(), outbox(max_frames=1), outbox()
    hub.attach(SID, narrow)
    hub.attach(SID, wide)
    for n in range(10):
        hub.deliver(message(n))
    assert (len(narrow), len(wide)) == (0, 10)
