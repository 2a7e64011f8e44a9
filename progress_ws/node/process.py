"""One node as a process: listens, waits for the signal to stop, drains."""

import asyncio
import errno
import os
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

import structlog
from aiohttp import web

from progress_ws.broker.urls import reachable
from progress_ws.errors import SettingsError
from progress_ws.node.admission import BACKLOG, NodeRunner
from progress_ws.node.drain import drain
from progress_ws.node.garbage import spare_the_old
from progress_ws.node.keys import READINESS, SIBLINGS, SOCKETS
from progress_ws.node.listening import PacedSite, bound
from progress_ws.node.settings import Settings, variable
from progress_ws.node.siblings import Siblings
from progress_ws.node.tasks import Owner

log = structlog.get_logger(__name__)

CreateApp = Callable[[Settings], web.Application]
OnListening = Callable[[str], None]
"""Called once with the address, as a URL, when it is had."""

SHUTDOWN_TIMEOUT_S = 2.0
OTHER_FILES = 100
"""Open files beside those of browsers: the broker's connections, the library's own, uploads."""


async def run_node(
    settings: Settings,
    create_app: CreateApp,
    *,
    siblings: Siblings | None = None,
    stop: asyncio.Event | None = None,
    on_listening: OnListening | None = None,
) -> int:
    """Serve until SIGTERM, SIGINT or `stop`; return the exit status.

    It listens first, so that an address that cannot be had is told before anything else is, and
    accepts last, once the application is set up.

    SIGTERM drains over the configured time, SIGINT (a terminal's Ctrl-C) at once.
    """
    sockets = await _listen(settings, shared=siblings is not None)
    allow_files(settings.max_connections)
    app = create_app(settings)
    if siblings is not None:
        app[SIBLINGS] = siblings
    stop, hurry = stop or asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        hurry.set()
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    app[READINESS].on_failure = stop.set
    owner = Owner(on_death=app[READINESS].fail)
    owner.start("garbage", spare_the_old())
    runner = NodeRunner(app, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    try:
        await PacedSite(runner, sockets).start()
        if siblings is not None:
            with suppress(FileNotFoundError):  # of a predecessor that was killed
                os.unlink(siblings.socket_path)
            await web.UnixSite(runner, siblings.socket_path).start()
        url = reachable(settings.host, sockets[0].getsockname()[1])
        log.info("listening", url=url)
        if on_listening is not None:
            on_listening(url)
        await stop.wait()
        await drain(app[SOCKETS], over_s=settings.drain_seconds, hurry=hurry)
    finally:
        await runner.cleanup()
        await owner.stop()
    log.info("stopped")
    return 0 if app[READINESS].failed is None else 1


def allow_files(connections: int) -> None:
    """Raise this process's own limit of open files, as far as its user may; tell if that is short.

    Most hosts let a process have 1,024 of them, and many more if it asks.
    """
    wanted = connections + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    except (OSError, ValueError):  # macOS has a lower limit than the one that it tells
        allowed = soft
    if allowed < connections:
        log.warning(
            "fewer open files are allowed than PROGRESS_WS_MAX_CONNECTIONS says",
            allowed=allowed,
            connections=connections,
            mend="raise the hard limit (ulimit -Hn, LimitNOFILE), or lower the setting",
        )


async def _listen(settings: Settings, *, shared: bool) -> list[socket.socket]:
    try:
        return await bound(settings.host, settings.port, backlog=BACKLOG, reuse_port=shared)
    except OSError as exc:
        raise cannot_listen(settings, exc) from exc


def cannot_listen(settings: Settings, exc: OSError) -> SettingsError:
    """Say which setting an address that cannot be had comes from."""
    name, value = "port", str(settings.port)
    if exc.errno in (errno.EADDRNOTAVAIL, None) or isinstance(exc, socket.gaierror):
        name, value = ("host", settings.host)
    reason = os.strerror(exc.errno) if exc.errno and exc.errno > 0 else str(exc)
    mend = "it must be free and this host's own"
    if exc.errno == errno.EACCES:
        mend = "it must be one that this user may have: as a rule 1024 or higher"
    return SettingsError(
        f"{variable(name)}={value} is wrong: cannot listen on "
        f"{settings.host}:{settings.port}: {reason}; {mend}"
    )
