"""To post: to hand over a message and go on."""

import asyncio
from functools import partial
from time import time
from typing import Any

from progress_ws.broker.sender import Sender
from progress_ws.core.backlog import Backlog
from progress_ws.core.codec import UNWRITABLE, encode, new_draft
from progress_ws.core.message import Draft
from progress_ws.errors import ProgressError
from progress_ws.publish.outage import Outage

NOT_STARTED = "the publisher is not started: use it in `async with Publisher(…)`"


class Posting:
    """The part of a publisher that posts."""

    def __init__(self, *, max_message_bytes: int) -> None:
        """`max_message_bytes`: as configured on the nodes."""
        self._max_message_bytes = max_message_bytes
        self._draft = partial(new_draft, max_message_bytes=max_message_bytes)
        self._sender: Sender | None = None
        self._backlog: Backlog | None = None
        self._running: asyncio.Task[None] | None = None
        self._outage = Outage()

    @property
    def dropped(self) -> int:
        """Count the posted messages that found the buffer full."""
        return self._outage.dropped

    def post(
        self,
        sid: str,
        message: Any,
        # To be named, as those of `send`. That is not demanded: Python would then look for each of
        # them at every call, a tenth of what a call takes.
        key: str | None = None,
        run: str | None = None,
        final: bool = False,
        stall_s: float | None = None,
        dedupe: str | None = None,
    ) -> None:
        """Take a message to be sent soon; return at once, whatever the broker does.

        While the broker is away the newest of each key waits. With the buffer full, the message
        is dropped, counted in `dropped`, and a warning is logged once; what has a key still finds
        room then, an eighth of the buffer, and what is final another eighth.

        Raises:
            InvalidMessage: no node would accept it; the text names the field.
        """
        if key is None and run is None and stall_s is None and dedupe is None and not final:
            # What is like those that were posted just before joins them. It is all done here, for
            # whoever posts very many: every further call would cost a tenth of it.
            backlog = self._backlog
            if backlog is not None and (posts := backlog.open) is not None:
                try:
                    known, text = backlog.sids[sid], encode(message)
                    items = posts.items
                    if len(items) < posts.limit and len(text) <= backlog.short_bytes:
                        items.append((known, text, time()))
                        return
                except (KeyError, *UNWRITABLE):
                    pass  # a new sid, or there is something to be told
        draft = self._draft(
            sid, message, key=key, run=run, final=final, stall_s=stall_s, dedupe=dedupe
        )
        self.post_draft(draft)

    def post_draft(self, draft: Draft) -> None:
        """Do as `post` with what has been checked already."""
        sender = self._started()
        self._outage.post()
        if not sender.post(draft):
            self._outage.drop()

    def _started(self) -> Sender:
        if self._sender is None or self._running is None:
            raise ProgressError(NOT_STARTED)
        if self._running.done():
            cause = None if self._running.cancelled() else self._running.exception()
            raise ProgressError("the publisher has ended") from cause
        return self._sender
