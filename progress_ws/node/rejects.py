"""Tells the log what was no message: once per reason and minute, and never its content."""

from collections.abc import Callable

import structlog

from progress_ws.core.intake import Delivery
from progress_ws.core.quota import OncePer
from progress_ws.errors import InvalidMessage

log = structlog.get_logger(__name__)

INTERVAL_S = 60.0


class RejectLog:
    """The `on_reject` of a node's intake."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._once = OncePer(INTERVAL_S)

    def __call__(self, flaw: InvalidMessage, delivery: Delivery) -> None:
        """Log a rejected message, if its reason has not been logged in the last minute."""
        held = self._once.admit(flaw.reason, self._clock())
        if held is None:
            return
        log.warning(
            "message rejected",
            reason=flaw.reason,
            detail=flaw.detail,
            bytes=len(delivery.body),
            message_id=delivery.message_id,
            type=delivery.type,
            more_since_last=held,
        )
