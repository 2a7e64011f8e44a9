"""What `import progress_ws` costs a worker, and what it gives."""

import subprocess
import sys

import progress_ws

PUBLIC = [
    "Bar",
    "BlockingPublisher",
    "Cancelled",
    "InvalidMessage",
    "ProgressError",
    "PublishError",
    "Publisher",
    "new_sid",
    "track",
]
HEAVY = ("aiohttp", "aio_pika", "aiormq", "structlog", "prometheus_client", "uvloop")


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )


def test_it_loads_nothing_heavy_and_is_silent() -> None:
    done = python(f"import sys, progress_ws; print(sys.modules.keys() & set({HEAVY}))")
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_it_configures_no_logging_and_starts_nothing() -> None:
    python(
        "import asyncio, logging, signal, threading\n"
        "before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)\n"
        "import progress_ws\n"
        "assert not logging.root.handlers\n"
        "assert threading.active_count() == 1\n"
        "assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))\n"
    )


def test_the_public_names_are_these_and_no_others() -> None:
    assert sorted(progress_ws.__all__) == PUBLIC
    visible = {name for name in vars(progress_ws) if not name.startswith("_")}
    rooms = {"broker", "core", "errors", "node", "publish", "cli", "demo", "doctor"}
    rooms |= {"celery", "logging", "rich", "tqdm"}  # as other tests have loaded them
    assert visible - rooms == set(PUBLIC)
