"""The bytes that history counts are the bytes that it takes, and they stay within the bound."""

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from progress_ws.core import newest
from progress_ws.core.cancels import Cancels
from progress_ws.core.cluster import Cluster
from progress_ws.core.history import History
from progress_ws.core.hub import Hub
from progress_ws.core.intake import Delivery, Intake
from progress_ws.core.memory import Memory

COUNT = 2000
SID = "s" * 22
ID = "abcdefghabcdefgh"

Shape = Callable[[int], dict[str, Any]]

SHAPES: dict[str, Shape] = {
    "one session, numbered": lambda n: {"sid": SID, "message": "x" * 100, "id": f"{ID}-{n}"},
    "one session, a key each": lambda n: {
        "sid": SID,
        "message": "x" * 100,
        "id": f"{ID}-{n}",
        "key": f"key-{n}",
    },
    "a session each": lambda n: {"sid": f"{n:022}", "message": "x" * 100, "id": f"{ID}-{n}"},
    "a session each, with everything": lambda n: {
        "sid": f"{n:022}",
        "message": "x" * 100,
        "id": f"{ID}-{n}",
        "key": f"key-{n}",
        "run": f"run-{n}",
        "final": True,
        "dedupe": f"dedupe-{n}",
    },
    "unnumbered": lambda n: {"sid": SID, "message": f"{n} " * 20},
    "replaced, with their names": lambda n: {
        "sid": SID,
        "message": "x" * 100,
        "id": f"{ID}-{n}",
        "key": "k",
        "dedupe": f"dedupe-{n}",
    },
    "bars": lambda n: {"sid": f"{n % 400:022}", "message": n, "id": f"{ID}-{n}", "key": "k"},
    "a session of many bars": lambda n: {
        "sid": SID,
        "message": n,
        "id": f"{ID}-{n}",
        "key": f"k-{n % 1100}",
    },
    "repetitions": lambda n: {
        "sid": f"{n // 9:022}",
        "message": 1,
        "id": f"{ID}{n % 9}-{n // 9 + 1}",
        "dedupe": "d",
    },
    "large": lambda n: {"sid": f"{n % 50:022}", "message": "x" * 5000, "id": f"{ID}-{n}"},
    "Chinese": lambda n: {"sid": f"{n % 50:022}", "message": "进度" * 300, "id": f"{ID}-{n}"},
}


def intake(history: History) -> Intake:
    memory = Memory(history, Hub(), clock=lambda: 0.0)
    memory.begins()
    cluster = Cluster(instance="i", clock=lambda: 0.0)
    return Intake(
        memory,
        cluster,
        Cancels(memory, cluster, clock=lambda: 0.0),
        max_message_bytes=65536,
        on_reject=lambda *_: None,
        wall_clock=lambda: 0.0,
    )


def fill(history: History, shape: Shape, count: int, *, at_once: int = 1) -> int:
    """Deliver so many messages; the bytes that this took."""
    into = intake(history)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for first in range(1, count, at_once):
        members = [shape(n) | {"ts": 1.5} for n in range(first, first + at_once)]
        into.deliver(Delivery(json.dumps(members if at_once > 1 else members[0]).encode()))
    del into
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before


@pytest.mark.parametrize("at_once", [1, 100], ids=["one by one", "in arrays"])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_counted_is_what_it_takes(shape: str, at_once: int) -> None:
    history = History(max_age_s=300, max_bytes=10**9, clock=lambda: 0.0)
    taken = fill(history, SHAPES[shape], COUNT, at_once=at_once)
    assert 0.75 < history.size / taken < 1.35


FLOODS: dict[str, Shape] = {
    "random sids": lambda n: {"sid": f"{n:022}", "message": 1, "id": f"{ID}-{n}"},
    "random sids, final": lambda n: {
        "sid": f"{n:022}",
        "message": 1,
        "id": f"{ID}-{n}",
        "final": True,
    },
    "names in one session": lambda n: {"sid": SID, "message": 1, "dedupe": f"d-{n}"},
    "one key": lambda n: {"sid": SID, "message": n, "id": f"{ID}-{n}", "key": "k"},
    "keys": lambda n: {"sid": SID, "message": n, "id": f"{ID}-{n}", "key": f"k-{n}"},
    "bars behind an older one": lambda n: {
        "sid": f"{n % 150 if n > 1 else 150:022}",
        "message": n,
        "id": f"{ID}-{n}",
        "key": "k",
    },
    "unnumbered": lambda n: {"sid": SID, "message": n},
    "repetitions": lambda n: {
        "sid": f"{n // 9:022}",
        "message": 1,
        "id": f"{ID}{n % 9}-{n // 9 + 1}",
        "dedupe": "d",
    },
    "a final message that keeps each session, and what goes of many publishers": lambda n: {
        "sid": f"{n % 100:022}",
        "message": "x" * (3000 if n > 100 else 1),
        "id": f"{ID}{n // 100}-{n % 100 + 1}",
        "key": "k" if n <= 100 else None,
        "final": n <= 100,
    },
}


def test_a_flood_of_publishers_is_forgotten_at_its_own_bound() -> None:
    """Half a kilobyte each, and no trace of them in the interpreter's own tables."""
    bound = 400_000
    history = History(max_age_s=300, max_bytes=bound, clock=lambda: 0.0)
    into = intake(history)
    into._memory.numbers._max_publishers = 1000
    tracemalloc.start()
    for n in range(1, 8_000):
        into.deliver(Delivery(json.dumps({"sid": SID, "message": 1, "id": f"{ID}{n}-1"}).encode()))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(into._memory.numbers) == 1000
    assert taken < bound * 1.5 / 8 + 1000 * 600


@pytest.mark.parametrize("at_once", [1, 50], ids=["one by one", "in arrays"])
@pytest.mark.parametrize("flood", FLOODS)
def test_no_flood_takes_more_than_the_bound(flood: str, at_once: int) -> None:
    bound = 400_000
    history = History(max_age_s=300, max_bytes=bound, clock=lambda: 0.0)
    taken = fill(history, FLOODS[flood], 5_000, at_once=at_once)
    assert history.size <= bound
    assert taken < bound * 1.5


@pytest.mark.parametrize("shape", ["a session each, with everything", "bars", "keys"])
def test_turned_off_it_knows_no_more_keys_than_there_is_room_for(
    shape: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = 200_000
    monkeypatch.setattr(newest, "KEPT_BYTES", bound)
    history = History(max_age_s=0, max_bytes=0, clock=lambda: 0.0)
    taken = fill(history, (SHAPES | FLOODS)[shape], COUNT)
    assert len(history._newest) > 50
    assert taken < bound * 1.5
    assert (len(history), history.sessions, history.size) == (0, 0, 0)
