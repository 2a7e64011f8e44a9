"""A publisher that keeps what its bars say, without a broker."""

from collections.abc import Iterator
from typing import Any

import pytest

from progress_ws import new_sid
from progress_ws.core.progress import Request, Update
from progress_ws.publish.bar import Bar

SID = new_sid()


class Screen:
    """What a browser would show: `progress` as publishers have it, and its bars by their keys."""

    def __init__(self) -> None:
        self.bars: list[Bar] = []
        self._said: dict[Bar, list[Update]] = {}

    def progress(self, sid: str, *, key: str = "progress", **options: Any) -> Bar:
        assert sid == SID
        request = Request(
            wanted=options.pop("cancellable", False),
            raises=options.pop("raise_cancelled", False),
            on_cancel=options.pop("on_cancel", None),
        )
        bar = Bar(self, sid, key=key, request=request, **options)
        self.bars.append(bar)
        self.report(bar)
        return bar

    def report(self, bar: Bar) -> None:
        if (update := bar.update()) is not None:
            self._said.setdefault(bar, []).append(update)

    def settle(self) -> None:
        pass

    async def asettle(self) -> None:
        pass

    def bar(self, key: str = "progress") -> Bar:
        """The newest bar of a key."""
        return [bar for bar in self.bars if bar.key == key][-1]

    def shows(self, key: str = "progress") -> Update:
        """What the newest bar of a key says by now."""
        bar = self.bar(key)
        if not bar.has_ended:
            bar._said_s = -1000.0  # it is looked at long after the last time
            self.report(bar)
        return self._said[bar][-1]


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Of the machine that the tests run on."""
    for name in ("SID", "AMQP_URL", "URL", "PUBLISH_TOKEN", "PREFIX"):
        monkeypatch.delenv(f"PROGRESS_WS_{name}", raising=False)
    yield
