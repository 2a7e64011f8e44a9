"""Live progress for web applications that run on more than one server.

from progress_ws import Publisher

async with Publisher("amqp://…") as publisher:
    await publisher.send(sid, {"rows": 10})
"""

from progress_ws.core.message import new_sid
from progress_ws.errors import Cancelled, InvalidMessage, ProgressError, PublishError
from progress_ws.publish.bar import Bar
from progress_ws.publish.blocking import BlockingPublisher
from progress_ws.publish.publisher import Publisher
from progress_ws.publish.track import track

__all__ = [
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
