"""rich's namesake, beside rich's own behaviour."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Original

from progress_ws import Cancelled
from progress_ws.rich import Progress
from tests.adapters.conftest import SID, Screen

Make = Callable[..., Progress]


def made(kind: Any, **options: Any) -> Any:
    """A display whose clock stands still, that draws into memory when it is told to."""
    console = Console(file=io.StringIO(), force_terminal=True, width=60)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    return kind(*columns, console=console, auto_refresh=False, get_time=float, **options)


@pytest.fixture
def make(screen: Screen) -> Make:
    return lambda **options: made(Progress, sid=SID, publisher=screen, **options)


# -- as rich does -------------------------------------------------------------------------------


def by_hand(progress: Any) -> None:
    first = progress.add_task("[red]First[/red]", total=10)
    second = progress.add_task("Second", start=False, total=None, visible=False, field=1)
    with progress:
        progress.update(first, advance=2, refresh=True)
        progress.advance(first)
        progress.start_task(second)
        progress.update(second, visible=True, completed=5, description="Later", field=2)
        progress.update(first, total=3, refresh=True)
        assert progress.tasks[0].finished
        progress.reset(first, total=7, description="Again")
        progress.stop_task(second)
        progress.refresh()
        progress.remove_task(second)
        progress.console.print("a line")
        progress.refresh()


def tracked(progress: Any) -> None:
    with progress:
        for n in progress.track(range(3), description="[b]Loop"):
            if n == 1:
                progress.update(progress.task_ids[0], description="Half")
        list(progress.track(iter([1, 2]), total=4, completed=1))
        task = progress.add_task("Given", total=None)
        list(progress.track(iter([1, 2]), task_id=task))
        for _ in progress.track(range(9)):
            break


def read(progress: Any) -> None:
    with progress:
        with progress.wrap_file(io.BytesIO(b"abc"), total=3) as file:
            assert file.read() == b"abc"


@pytest.mark.parametrize("use", [by_hand, tracked, read])
@pytest.mark.parametrize("more", [{}, {"transient": True}, {"disable": True}])
def test_it_draws_what_rich_draws(screen: Screen, use: Any, more: dict[str, Any]) -> None:
    drawn = []
    for kind, options in (
        (Original, {}),
        (Progress, {}),
        (Progress, {"sid": SID, "publisher": screen}),
    ):
        progress = made(kind, **more, **options)
        use(progress)
        drawn.append((progress.console.file.getvalue(), [task.fields for task in progress.tasks]))
    assert drawn[0] == drawn[1] == drawn[2]
    assert bool(screen.bars) != more.get("disable", False)


# -- in the browser -----------------------------------------------------------------------------


def test_tasks_are_bars(screen: Screen, make: Make) -> None:
    with make() as progress:
        first = progress.add_task("[red]Download[/red] [/", total=10)
        second = progress.add_task("Unpack", total=None)
        third = progress.add_task("Named", key="mine")
        progress.update(first, advance=2)
        progress.advance(second, 5)
        progress.update(third, completed=100)
        assert (screen.shows()["current"], screen.shows()["total"]) == (2, 10)
        assert screen.shows("progress/1")["current"] == 5
        assert "total" not in screen.shows("progress/1")
        assert screen.shows("mine")["state"] == "done"
        progress.update(first, description="Verify")
        assert screen.shows()["phase"] == "Verify"
        progress.update(first, completed=10)
        assert screen.shows()["state"] == "done"
    assert screen.shows("progress/1")["state"] == "done"


def test_a_description_loses_its_colours(screen: Screen, make: Make) -> None:
    progress = make()
    progress.add_task("[red]Download[/red]")
    assert screen.shows()["title"] == "Download"
    progress.add_task("odd [/", key="odd")
    assert screen.shows("odd")["title"] == "odd [/"


def test_what_is_hidden_or_not_started_is_not_shown(screen: Screen, make: Make) -> None:
    progress = make()
    hidden = progress.add_task("hidden", visible=False)
    waiting = progress.add_task("waiting", start=False)
    progress.update(hidden, advance=1)
    progress.update(waiting, advance=1)
    assert screen.bars == []
    progress.update(hidden, visible=True)
    progress.start_task(waiting)
    assert [bar.key for bar in screen.bars] == ["progress", "progress/1"]
    assert screen.shows()["current"] == 1


def test_reset_or_given_more_to_do_it_begins_anew(screen: Screen, make: Make) -> None:
    progress = make()
    task = progress.add_task("task", total=2)
    progress.reset(task, completed=1)
    assert (len(screen.bars), screen.shows()["current"]) == (1, 1)
    progress.advance(task)
    assert screen.shows()["state"] == "done"
    progress.reset(task)
    assert (len(screen.bars), screen.shows()["current"]) == (2, 0)
    progress.advance(task, 2)
    progress.update(task, total=3)
    assert (len(screen.bars), screen.shows()["state"]) == (3, "running")
    progress.advance(task)
    progress.advance(task)
    assert (len(screen.bars), screen.shows()["state"]) == (3, "done")
    other = progress.add_task("other", total=9)
    progress.advance(other, 5)
    progress.reset(other, start=False)
    assert len(screen.bars) == 4
    progress.start_task(other)
    progress.advance(other)
    progress.reset(other)  # a browser lets no count go back within a run
    key = f"progress/{other}"
    assert (len(screen.bars), screen.shows(key)["current"]) == (5, 0)


# -- how it ends --------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["stop_task", "remove_task"])
@pytest.mark.parametrize(("total", "state"), [(10, "cancelled"), (None, "done")])
def test_a_task_that_is_left(
    screen: Screen, make: Make, end: str, total: int | None, state: str
) -> None:
    progress = make()
    getattr(progress, end)(progress.add_task("task", total=total))
    assert screen.shows()["state"] == state


def test_the_end_of_the_display_is_the_end_of_its_tasks(screen: Screen, make: Make) -> None:
    progress = make()
    progress.start()
    progress.add_task("task", total=10)
    progress.add_task("unknown", total=None)
    progress.stop()
    assert [str(bar.state) for bar in screen.bars] == ["cancelled", "done"]


@pytest.mark.parametrize("auto_refresh", [False, True])
def test_loops(screen: Screen, auto_refresh: bool) -> None:
    console = Console(file=io.StringIO())
    shown: dict[str, Any] = {"sid": SID, "publisher": screen, "console": console}
    with Progress(auto_refresh=auto_refresh, **shown) as progress:
        assert list(progress.track(range(3), description="Loop")) == [0, 1, 2]
        assert (screen.shows()["state"], screen.shows()["current"]) == ("done", 3)
        assert list(progress.track(iter([1, 2]))) == [1, 2]
        assert (screen.shows("progress/1")["state"], screen.shows("progress/1")["current"]) == (
            "done",
            2,
        )
        for n in progress.track(range(5)):
            if n == 2:
                break
        with pytest.raises(ValueError, match="broken"):
            list(progress.track(broken(), total=3))
        assert screen.shows("progress/3")["error"] == "ValueError: broken"
    assert screen.shows("progress/2")["state"] == "cancelled"
    assert screen.shows("progress/2")["current"] == 2
    for _ in Progress(auto_refresh=auto_refresh, **shown).track(range(5)):
        break
    assert screen.shows()["state"] == "cancelled"


def broken() -> Iterator[int]:
    yield 1
    raise ValueError("broken")


def test_an_exception_that_leaves_the_block(screen: Screen, make: Make) -> None:
    with pytest.raises(ValueError, match="broken"):
        with make() as progress:
            progress.advance(progress.add_task("other", total=1))
            for _ in progress.track(range(5)):
                raise ValueError("broken")
    assert screen.shows()["state"] == "done"
    assert screen.shows("progress/1")["error"] == "ValueError: broken"


@pytest.mark.parametrize("auto_refresh", [False, True])
def test_a_browser_may_stop_a_loop(screen: Screen, auto_refresh: bool) -> None:
    console = Console(file=io.StringIO())
    options: dict[str, Any] = {"sid": SID, "publisher": screen, "console": console}
    got = []
    with pytest.raises(Cancelled):
        with Progress(auto_refresh=auto_refresh, cancellable=True, **options) as progress:
            for n in progress.track(range(5)):
                got.append(n)
                screen.bar().request.make()
    assert (got, screen.shows()["state"]) == ([0], "cancelled")


def test_a_browser_may_stop_a_task(screen: Screen, make: Make) -> None:
    asked = []
    with pytest.raises(Cancelled):
        with make(cancellable=True, on_cancel=lambda: asked.append(1)) as progress:
            task = progress.add_task("task")
            screen.bar().request.make()
            progress.update(task, advance=1)
    assert (asked, screen.shows()["state"]) == ([1], "cancelled")
