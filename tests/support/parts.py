"""The parts that run for the tests; a failing test shows what they printed."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from deploy.local import Process, RabbitMQ

P = TypeVar("P", bound=Process)

#: Everything that was started and has not been ended.
RUNNING: list[Process] = []


@contextmanager
def running(process: P, *, wait: bool = True) -> Iterator[P]:
    """Start a process, wait until it is ready, and end it with everything that it started."""
    RUNNING.append(process)
    try:
        process.start()
        if wait:
            process.wait_ready()
        yield process
    finally:
        process.close()
        RUNNING.remove(process)


@contextmanager
def new_vhost(rabbitmq: RabbitMQ) -> Iterator[str]:
    """Make an empty virtual host; it is removed, with all connections to it, at the end."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    rabbitmq.management.add_vhost(name)
    yield name
    rabbitmq.management.delete_vhost(name)


def subfolder(folder: Path) -> Path:
    """A name for a folder that does not exist yet."""
    return folder / uuid.uuid4().hex[:8]
