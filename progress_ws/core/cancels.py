"""A browser's wish to stop a job, on its way to whoever does it."""

import msgspec

CANCEL, TAKEN = "progress-ws.cancel", "progress-ws.taken"
"""The AMQP property `type` of a request, and of the word that somebody has taken it."""


class CancelRequest(msgspec.Struct, frozen=True):
    """A request, from a node to the publisher of a key.

    Attributes:
        request: a random name, by which it is said that it has been taken.
        sid: the session.
        key: what is to stop.
    """

    request: str
    sid: str
    key: str


class Taken(msgspec.Struct, frozen=True):
    """Somebody listens to that key, and has been told."""

    request: str
