"""The publisher of this process, for code that brings none."""

import os
import threading

from progress_ws.publish import target
from progress_ws.publish.blocking import BlockingPublisher

_lock = threading.Lock()
_publisher: BlockingPublisher | None = None


def default_publisher() -> BlockingPublisher:
    """Return the one publisher that `track` and the adapters share, made at the first call.

    Raises:
        SettingsError: the environment names neither RabbitMQ nor a node, or names it wrongly.
    """
    global _publisher
    with _lock:
        if _publisher is None:
            to = target.find(os.environ)
            _publisher = BlockingPublisher(to.url, token=to.token, prefix=to.prefix)
        return _publisher
