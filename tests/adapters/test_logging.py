"""Log records as lines of a bar, and as messages."""

import asyncio
import logging
from typing import Any

import pytest

from progress_ws import BlockingPublisher, new_sid
from progress_ws.logging import ERROR_STAYS_S, ProgressHandler
from progress_ws.node.settings import Settings
from tests.adapters.conftest import SID, Screen
from tests.node.conftest import TOKEN, live_when_ready


@pytest.fixture
def logger() -> logging.Logger:
    return logging.Logger("job")  # noqa: LOG001 - one by itself, without pytest's handlers


class Posts:
    """A publisher that keeps what is posted."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, str | None]] = []

    def post(self, sid: str, message: str, *, key: str | None) -> None:
        assert sid == SID
        self.posted.append((message, key))


def test_the_newest_line_is_the_text_of_a_bar(screen: Screen, logger: logging.Logger) -> None:
    logger.addHandler(ProgressHandler(screen.progress(SID), level="INFO"))
    logger.info("reading %s", "a.csv")
    assert screen.shows()["text"] == "reading a.csv"
    logger.debug("no news")
    logger.info("two\nlines")
    assert screen.shows()["text"] == "two"
    logger.handlers[0].setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.warning("slow")
    assert screen.shows()["text"] == "WARNING slow"
    logger.info("x" * 10_000)
    assert len(screen.shows()["text"]) == 500


def test_an_error_stays_for_a_while(screen: Screen, logger: logging.Logger) -> None:
    now_s = [100.0]
    logger.addHandler(ProgressHandler(screen.progress(SID), clock=lambda: now_s[0]))
    try:
        raise ValueError("row 7\nsecret")
    except ValueError:
        logger.exception("a row is broken")
    expected = "a row is broken: ValueError: row 7"
    assert screen.shows()["text"] == expected
    logger.warning("next row")
    assert screen.shows()["text"] == expected
    logger.critical("worse")
    assert screen.shows()["text"] == "worse"
    now_s[0] += ERROR_STAYS_S
    logger.info("next row")
    assert screen.shows()["text"] == "next row"


def test_without_a_bar_they_are_messages(logger: logging.Logger) -> None:
    publisher: Any = Posts()
    logger.addHandler(ProgressHandler(sid=SID, publisher=publisher, key="import"))
    logger.info("one")
    logger.error("two")
    assert publisher.posted == [("one", "import"), ("two", None)]


def test_without_a_sid_it_is_silent(logger: logging.Logger) -> None:
    publisher: Any = Posts()
    logger.addHandler(ProgressHandler(publisher=publisher))
    logger.error("one")
    assert publisher.posted == []


@pytest.mark.parametrize("name", ["progress_ws", "progress_ws.x", "aiormq.connection", "aio_pika"])
def test_what_publishing_logs_is_ignored(screen: Screen, name: str) -> None:
    handler = ProgressHandler(screen.progress(SID))
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        logger.error("the broker is away")
    finally:
        logger.removeHandler(handler)
    assert "text" not in screen.shows()


def test_it_never_raises(
    screen: Screen, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        def post(self, *_args: object, **_options: object) -> None:
            logger.error("again")
            raise ValueError("broken")

    broken: Any = Broken()
    logger.addHandler(ProgressHandler(sid=SID, publisher=broken))
    logger.addHandler(ProgressHandler(screen.progress(SID)))
    logger.info("%d", "no number")
    assert "--- Logging error ---" in capsys.readouterr().err


async def test_all_that_a_program_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The root's handler at the lowest level, while the publisher connects and sends."""
    root = logging.getLogger()
    sid = new_sid()
    async with live_when_ready(Settings(publish_token=TOKEN)) as node:
        async with node.tab(sid=sid) as browser:
            monkeypatch.setenv("PROGRESS_WS_SID", sid)
            with BlockingPublisher(node.url, token=TOKEN) as publisher:
                handler = ProgressHandler(publisher=publisher)
                # Not of the node and the browser, which run here, too: they log each message.
                handler.addFilter(lambda record: record.name.startswith(("job", "asyncio")))
                level = root.level
                root.setLevel(logging.DEBUG)
                root.addHandler(handler)
                try:
                    await asyncio.to_thread(_log)
                    frames = [await browser.frame()]
                    while frames[-1]["message"] != "the end":
                        frames.append(await browser.frame())
                finally:
                    root.removeHandler(handler)
                    root.setLevel(level)
                await asyncio.to_thread(publisher.close)
    said = [frame["message"] for frame in frames]
    assert [line for line in said if str(line).startswith("error")] == ["error 0", "error 1"]


def _log() -> None:
    for n in range(2):
        logging.getLogger("job").info("line %d", n)
        logging.getLogger("job").error("error %d", n)
    logging.getLogger("job").info("the end")
