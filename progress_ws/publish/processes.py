"""What forks and the end of a process mean for the background threads in it."""

import atexit
import concurrent.futures
import os
import sys
import threading
from collections.abc import Callable
from typing import Protocol

GRACE_S = 0.5
"""What a background thread may take beyond the time that it was given itself."""
FORK_WAIT_S = 5.0
ENDED = "the program ended"


class Tenant(Protocol):
    """A background thread, as this module sees it."""

    exit_timeout_s: float

    def hold(self) -> bool:
        """Bring it to rest, between two turns of its loop; False where that took too long."""

    def release(self) -> None:
        """Let it go on, from the thread that holds it."""

    def disown(self) -> None:
        """Close, in a child, the copies of what the parent's thread has open."""

    def leave(self, *, timeout_s: float, error: str) -> "concurrent.futures.Future[int] | None":
        """Begin to let its bars fail, to send what waits, and to end."""

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the thread."""


starting = threading.RLock()
"""Held while a thread is made, so that no child is born with half a one; a child has a new one."""

_running: set[Tenant] = set()
_held: dict[int, list[Callable[[], None]]] = {}
"""What each thread that is forking has to release, as nobody else can."""
_inherited: list[Tenant] = []
"""The copies that a child has of its parent's, kept for ever: their ends would close and cancel
what is the parent's, or by then has another meaning."""
_first_pid = os.getpid()
_finalizing_pid: int | None = None


def enter(tenant: Tenant) -> None:
    """Take care of a background thread from now on."""
    global _finalizing_pid
    _running.add(tenant)
    if _finalizing_pid != os.getpid():
        _finalizing_pid = os.getpid()
        _end_with_multiprocessing()


def depart(tenant: Tenant) -> None:
    """It has ended, and all that it had is closed."""
    _running.discard(tenant)


def _end_with_multiprocessing() -> None:
    """Children of multiprocessing, and Celery's, end without `atexit`, by finalizers of their own.

    A main process has them, too, but there they come before the program's own last words.
    """
    process = sys.modules.get("multiprocessing.process")
    if os.getpid() == _first_pid and (process is None or process.parent_process() is None):
        return
    for name in ("multiprocessing.util", "billiard.util"):
        if (util := sys.modules.get(name)) is not None:
            util.Finalize(None, _at_exit, exitpriority=0)


def _at_exit() -> None:
    tenants = list(_running)
    leaving = [t.leave(timeout_s=t.exit_timeout_s, error=ENDED) for t in tenants]
    limit_s = max((t.exit_timeout_s for t in tenants), default=0.0) + GRACE_S
    _done, late = concurrent.futures.wait([it for it in leaving if it is not None], limit_s)
    if not late:
        for tenant in tenants:
            tenant.join(GRACE_S)


def _before_fork() -> None:
    releases = _held[threading.get_ident()] = []
    if starting.acquire(timeout=FORK_WAIT_S):
        releases.append(starting.release)
    releases += [tenant.release for tenant in list(_running) if tenant.hold()]


def _in_parent() -> None:
    for release in _held.pop(threading.get_ident(), []):
        release()


def _in_child() -> None:
    global starting
    starting = threading.RLock()
    _held.clear()
    inherited = list(_running)
    _running.clear()
    for tenant in inherited:
        tenant.disown()
    _inherited.extend(inherited)


atexit.register(_at_exit)
os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
