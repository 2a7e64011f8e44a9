"""tqdm's namesake, beside tqdm's own behaviour."""

import io
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import tqdm as original

from progress_ws import Cancelled
from progress_ws.tqdm import tqdm, trange
from tests.adapters.conftest import SID, Screen

FIXED = "{desc}{n_fmt}/{total_fmt} {unit}{postfix}"
"""A format without times, so that two drawings can be compared."""


def drawn(kind: Any, use: Any, **arguments: Any) -> str:
    """What a kind of tqdm draws while it is used."""
    file = io.StringIO()
    arguments = {"file": file, "mininterval": 0, "bar_format": FIXED, **arguments}
    use(kind, arguments)
    return file.getvalue()


def seen(screen: Screen) -> dict[str, Any]:
    return {"sid": SID, "publisher": screen, "file": io.StringIO()}


# -- as tqdm does -------------------------------------------------------------------------------


def loop(kind: Any, arguments: dict[str, Any]) -> None:
    for _ in kind(range(5), **arguments):
        pass


def by_hand(kind: Any, arguments: dict[str, Any]) -> None:
    with kind(total=10, **arguments) as bar:
        bar.update()
        bar.update(3)
        bar.update(-1)
        bar.set_postfix(loss=0.5)
        bar.set_description("second")
        bar.total = 20
        bar.n = 7
        bar.refresh()
        bar.reset(total=4)
        bar.update(4)
        bar.write("a line", file=arguments["file"])
        bar.clear()
        bar.unpause()


def nested(kind: Any, arguments: dict[str, Any]) -> None:
    for _ in kind(range(2), **arguments):
        for _ in kind(range(2), **(arguments | {"desc": "inner", "leave": False})):
            pass


def left(kind: Any, arguments: dict[str, Any]) -> None:
    for n in kind(range(5), **arguments):
        if n == 2:
            break


def closed(kind: Any, arguments: dict[str, Any]) -> None:
    bar = kind(total=3, **arguments)
    bar.update(2)
    bar.close()
    bar.close()
    bar.update()
    arguments["file"].write(str(abs(bar.pos)))


@pytest.mark.parametrize("use", [loop, by_hand, nested, left, closed])
@pytest.mark.parametrize("more", [
    {},
    {"desc": "Import", "unit": "rows", "leave": False},
    {"unit_scale": 1024, "unit": "B", "postfix": {"a": 1}},
    {"initial": 2, "position": 3, "colour": "red"},
    {"miniters": 2, "ascii": True, "smoothing": 0, "dynamic_ncols": True, "ncols": 40},
    {"delay": 60},
    {"disable": True},
    {"disable": None},
])  # fmt: skip
def test_it_draws_what_tqdm_draws(screen: Screen, use: Any, more: dict[str, Any]) -> None:
    expected = drawn(original.tqdm, use, **more)
    assert drawn(tqdm, use, **more) == expected
    shown = more | {"sid": SID, "publisher": screen}
    assert drawn(tqdm, use, **shown) == expected


def test_it_has_what_tqdm_has(screen: Screen) -> None:
    assert tqdm.__mro__[1] is original.tqdm
    bar = tqdm([1, 2, 3], **seen(screen))
    assert (len(bar), bool(bar), 2 in bar) == (3, True, True)
    assert list(trange(1, 4, file=io.StringIO())) == [1, 2, 3]
    with pytest.raises(original.TqdmKeyError, match="nonsense"):
        tqdm([], nonsense=1, **seen(screen))
    assert [bar.key for bar in screen.bars] == ["progress"]


def test_without_a_sid_it_opens_nothing() -> None:
    code = """
import io, sys
from progress_ws.tqdm import tqdm, trange
assert list(tqdm(range(3), file=io.StringIO(), desc="x")) == [0, 1, 2]
with tqdm(total=2, file=io.StringIO()) as bar: bar.update()
assert "aio_pika" not in sys.modules and "progress_ws.publish.default" not in sys.modules
assert type(iter(trange(2, file=io.StringIO()))).__name__ == "generator"
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=30)


# -- in the browser -----------------------------------------------------------------------------


def test_a_loop_is_a_bar(screen: Screen) -> None:
    for n in tqdm(range(5), desc="Import", unit="rows", **seen(screen)):
        if n == 2:
            update = screen.shows()
            assert (update["current"], update["total"], update["unit"]) == (2, 5, "rows")
            assert (update["title"], update["state"]) == ("Import", "running")
    assert (screen.shows()["state"], screen.shows()["current"]) == ("done", 5)


def test_every_item_is_counted_however_seldom_the_terminal_is_drawn(screen: Screen) -> None:
    for n in (bar := tqdm(range(5), mininterval=3600, **seen(screen))):
        bar.set_postfix(row=n)
        update = screen.shows()
        assert (update["current"], update["text"]) == (n, f"row={n}")


def test_steps_by_hand(screen: Screen) -> None:
    with tqdm(total=10, **seen(screen)) as bar:
        bar.update(3)
        assert screen.shows()["current"] == 3
        assert "unit" not in screen.shows()
        bar.n = 5
        bar.total = 20
        bar.refresh()
        assert (screen.shows()["current"], screen.shows()["total"]) == (5, 20)
        bar.reset(total=7)
        assert (screen.shows()["current"], screen.shows()["total"]) == (0, 7)
        bar.reset()
        bar.update(1.5)
        assert screen.shows()["current"] == 1.5
    assert screen.shows()["state"] == "done"


def test_reset_it_is_a_greater_run(screen: Screen) -> None:
    """A browser lets no count go back within a run."""
    bar = tqdm(total=3, desc="Training", cancellable=True, **seen(screen))
    for n in range(3):
        bar.reset()
        bar.set_postfix(epoch=n)
        bar.update(3)
        assert screen.shows().items() >= {"current": 3, "title": "Training"}.items()
        assert screen.shows()["text"] == f"epoch={n}"
    runs = [bar.run for bar in screen.bars]
    assert len(runs) == 3
    assert runs == sorted(runs)
    screen.bar().request.make()
    bar.reset()
    with pytest.raises(Cancelled):
        bar.update()
    bar.close()
    bar.reset()
    assert len(screen.bars) == 3


def test_descriptions_and_postfixes(screen: Screen) -> None:
    bar = tqdm(total=2, desc="Training", **seen(screen))
    bar.set_postfix(loss=0.25)
    assert screen.shows()["text"] == "loss=0.25"
    bar.set_description("Epoch 2")
    update = screen.shows()
    assert (update["title"], update["phase"], update["text"]) == (
        "Training",
        "Epoch 2",
        "loss=0.25",
    )
    bar.set_postfix_str("", refresh=False)
    bar.set_description_str("Epoch 3", refresh=False)
    bar.refresh()
    assert screen.shows()["phase"] == "Epoch 3"
    bar.close()


def test_it_scales_and_begins_where_tqdm_does(screen: Screen) -> None:
    with tqdm(total=10, initial=2, unit="B", unit_scale=1024, **seen(screen)) as bar:
        assert (screen.shows()["current"], screen.shows()["total"]) == (2048, 10240)
        bar.update()
        assert screen.shows()["current"] == 3072
    with tqdm(range(3), unit_scale=10, **seen(screen)) as bar:
        list(bar)
    assert screen.shows()["current"] == 30


def test_an_unknown_total(screen: Screen) -> None:
    for _ in tqdm(iter(range(3)), **seen(screen)):
        assert "total" not in screen.shows()
    assert (screen.shows()["state"], screen.shows()["current"]) == ("done", 3)
    list(tqdm(iter(range(3)), total=float("inf"), **seen(screen)))
    assert "total" not in screen.shows()


def test_nested_bars_have_keys_of_their_own(screen: Screen) -> None:
    for _ in tqdm(range(2), **seen(screen)):
        for _ in tqdm(range(3), desc="inner", leave=False, **seen(screen)):
            assert screen.shows("progress/1")["title"] == "inner"
    assert [bar.key for bar in screen.bars] == ["progress", "progress/1", "progress/1"]
    assert {str(bar.state) for bar in screen.bars} == {"done"}
    tqdm(range(2), position=4, **seen(screen)).close()
    tqdm(range(2), key="mine", **seen(screen)).close()
    assert [bar.key for bar in screen.bars[3:]] == ["progress/4", "mine"]


def test_disable(screen: Screen) -> None:
    list(tqdm(range(3), disable=True, **seen(screen)))
    assert screen.bars == []
    arguments = seen(screen)
    list(tqdm(range(3), disable=None, **arguments))
    assert arguments["file"].getvalue() == ""
    assert screen.shows()["state"] == "done"


# -- how it ends --------------------------------------------------------------------------------


def test_a_loop_that_is_left_is_cancelled(screen: Screen) -> None:
    for n in tqdm(range(5), mininterval=3600, **seen(screen)):
        if n == 3:
            break
    assert (screen.shows()["state"], screen.shows()["current"]) == ("cancelled", 3)
    with pytest.raises(ValueError, match="broken"):
        for _ in tqdm(range(5), **seen(screen)):
            raise ValueError("broken")
    assert screen.shows()["state"] == "cancelled"


def broken() -> Iterator[int]:
    yield 1
    raise ValueError("broken")


def test_what_is_looped_over_may_fail(screen: Screen) -> None:
    with pytest.raises(ValueError, match="broken"):
        list(tqdm(broken(), **seen(screen)))
    assert screen.shows()["error"] == "ValueError: broken"


@pytest.mark.parametrize("is_loop", [True, False])
def test_a_block_left_by_an_exception_has_failed(screen: Screen, is_loop: bool) -> None:
    with pytest.raises(ValueError, match="broken"):
        with tqdm(range(5), **seen(screen)) as bar:
            for _ in bar if is_loop else [1]:
                raise ValueError("broken")
    assert (screen.shows()["state"], screen.shows()["error"]) == ("failed", "ValueError: broken")


def test_a_loop_left_in_a_block_is_cancelled(screen: Screen) -> None:
    with tqdm(range(5), **seen(screen)) as bar:
        for _ in bar:
            break
    assert screen.shows()["state"] == "cancelled"


def test_closed_in_a_finally_it_has_failed_only_if_something_failed_there(screen: Screen) -> None:
    def job(*, fails: bool) -> None:
        bar = tqdm(total=3, **seen(screen))
        try:
            bar.update()
            if fails:
                raise ValueError("broken")
        finally:
            bar.close()

    with pytest.raises(ValueError, match="broken"):
        job(fails=True)
    assert screen.shows()["error"] == "ValueError: broken"
    try:
        raise KeyError("before")
    except KeyError:
        job(fails=False)
    assert screen.shows()["state"] == "done"


@pytest.mark.parametrize(("n", "state"), [(2, "cancelled"), (3, "done")])
def test_forgotten_it_ends_too(screen: Screen, n: int, state: str) -> None:
    bar = tqdm(total=3, **seen(screen))
    bar.update(n)
    del bar
    assert screen.shows()["state"] == state


def test_a_browser_may_stop_it(screen: Screen) -> None:
    asked = []
    seconds = []
    more = {"cancellable": True, "on_cancel": lambda: asked.append(1), **seen(screen)}
    with pytest.raises(Cancelled):
        for n in tqdm(range(5), mininterval=3600, **more):
            seconds.append(n)
            if n == 2:
                screen.bar().request.make()
    assert (seconds, asked) == ([0, 1, 2], [1])
    assert screen.shows()["state"] == "cancelled"
    with pytest.raises(Cancelled):
        with tqdm(total=5, mininterval=0, **more) as bar:
            screen.bar().request.make()
            bar.set_postfix(a=1)  # takes tqdm's lock: nothing is raised there
            bar.update()
    assert screen.shows()["state"] == "cancelled"
    with tqdm(total=1, file=io.StringIO()) as bar:
        bar.update()  # the lock is free
