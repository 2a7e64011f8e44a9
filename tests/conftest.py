"""Real parts for tests: RabbitMQ, nodes, nginx, Chromium, each started only when a test asks."""

import gc
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.local import Installation, Nginx, Node, Process, RabbitMQ
from tests.support.chromium import Chromium
from tests.support.parts import RUNNING, new_vhost, running, subfolder

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext

SHOWN_CHARS = 5_000
LONG_NAME_BYTES = 16
PRINTED_BEFORE = pytest.StashKey[dict[Process, int]]()


@pytest.fixture(autouse=True, scope="module")
def collected() -> Iterator[None]:
    """Let what a module left unclosed be an error of that module, not of a later one."""
    yield
    gc.collect()


@pytest.fixture
def no_collector() -> Iterator[None]:
    """For what exhausts the stack: hypothesis watches the collector by a function of Python's,
    which fails if it is called there, and a warning of that would be an error.
    """
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="session")
def session_folder() -> Iterator[Path]:
    """A folder with a short path for whatever runs during the session."""
    with tempfile.TemporaryDirectory(prefix="progress-ws-", ignore_cleanup_errors=True) as name:
        # nginx, started by root, works as another user, who must be able to enter.
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="session")
def installation(request: pytest.FixtureRequest) -> Installation:
    """Which RabbitMQ the tests run against: the distribution's, or 4 with `--rabbitmq=4`."""
    if request.config.getoption("--rabbitmq") is None:
        return Installation()
    newer = Installation.newer()
    if newer is None:
        pytest.fail("RabbitMQ 4 is not there: deploy/trixie.sh makes it")
    return newer


@pytest.fixture(scope="session")
def rabbitmq(session_folder: Path, installation: Installation) -> Iterator[RabbitMQ]:
    """The suite's own RabbitMQ: one for all tests, so nobody may stop it or freeze it."""
    with running(RabbitMQ(session_folder / "rabbitmq", installation=installation)) as broker:
        yield broker


@pytest.fixture
def own_rabbitmq(session_folder: Path, installation: Installation) -> Iterator[RabbitMQ]:
    """A RabbitMQ for one test alone, which may kill and freeze it; costs its start, some 10 s."""
    with running(RabbitMQ(subfolder(session_folder), installation=installation)) as broker:
        yield broker


@pytest.fixture
def vhost(rabbitmq: RabbitMQ) -> Iterator[str]:
    """An empty virtual host of the suite's RabbitMQ, for this test."""
    with new_vhost(rabbitmq) as name:
        yield name


@pytest.fixture
def amqp_url(rabbitmq: RabbitMQ, vhost: str) -> str:
    """The address of that virtual host."""
    return rabbitmq.amqp_url(vhost)


@pytest.fixture(params=["embedded", pytest.param("rabbitmq", marks=pytest.mark.broker)])
def broker_url(request: pytest.FixtureRequest) -> str | None:
    """For a test that must hold on both brokers: `None` (embedded), then a RabbitMQ address."""
    if request.param == "embedded":
        return None
    url: str = request.getfixturevalue("amqp_url")
    return url


@pytest.fixture
def node_process(tmp_path: Path) -> Iterator[Callable[..., Node]]:
    """Start nodes as processes: `node_process(amqp_url=…, workers=2)`.

    Settings go by their names in lower case; `command=("progress_ws.demo",)` runs another entry
    point, `wait=False` returns before the node is ready.
    """
    with ExitStack() as stack:

        def start(*, wait: bool = True, **settings: object) -> Node:
            return stack.enter_context(running(Node(tmp_path, **settings), wait=wait))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def nginx(session_folder: Path) -> Iterator[Callable[[Sequence[Node]], Nginx]]:
    """Start nginx in front of nodes: `nginx([a, b, c])`."""
    with ExitStack() as stack:

        def start(nodes: Sequence[Node]) -> Nginx:
            ports = [node.port for node in nodes]
            return stack.enter_context(running(Nginx(subfolder(session_folder), ports)))

        yield start


@pytest.fixture(scope="session")
def chromium_process(session_folder: Path) -> Iterator[Chromium]:
    """The suite's own Chromium, since its start costs seconds; use `chromium` or `context`."""
    with running(Chromium(subfolder(session_folder))) as process:
        yield process


@pytest.fixture
async def chromium(chromium_process: Chromium) -> AsyncIterator["Browser"]:
    """Debian's Chromium, driven by playwright: `page = await chromium.new_page()`."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(chromium_process.url, no_defaults=True)
        yield browser
        await browser.close()


@pytest.fixture
async def context(chromium: "Browser") -> AsyncIterator["BrowserContext"]:
    """A person's browser, of which playwright shows every tab at all times."""
    context = await chromium.new_context()
    yield context
    await context.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the same tests be run against another RabbitMQ than the distribution's."""
    parser.addoption("--rabbitmq", choices=["4"], help="the version, as deploy/trixie.sh has it")


def pytest_configure() -> None:
    """Have a suite that is told to end (SIGTERM, a closed terminal) end what it started, too.

    SIGINT may come ignored from a shell that started the suite in its background; then no child
    would heed it either.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long bytes by their argument: all workers must come to the same names of tests."""
    return argname if isinstance(val, bytes) and len(val) > LONG_NAME_BYTES else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the fault tests counted, whichever worker ran them."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, row in getattr(report, "user_properties", ()):
                if name == "ledger" and report.when == "call":
                    figures = ", ".join(f"{what} {figure}" for what, figure in row.items())
                    terminalreporter.write_line(f"{report.nodeid}: {figures}")


def pytest_unconfigure() -> None:
    """End what an interrupted suite did not come to end."""
    for process in RUNNING:
        process.close()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note what was printed before the test."""
    item.stash[PRINTED_BEFORE] = {process: len(process.output) for process in RUNNING}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, object]:
    """Show with a failing test what the running processes printed during it."""
    report = yield
    before = item.stash.get(PRINTED_BEFORE, {})
    for process in RUNNING if report.failed else ():
        if said := process.output[before.get(process, 0) :]:
            report.sections.append((f"{process.log.stem} said", said[-SHOWN_CHARS:]))
    return report
