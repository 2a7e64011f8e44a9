"""Looks at RabbitMQ for a few seconds."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import TypeVar

from progress_ws.broker.connection import place
from progress_ws.broker.probe import Probe, follow_history, open_probe
from progress_ws.broker.questions import ANSWER_TIMEOUT_S, Tried, find_refused, try_publishing
from progress_ws.broker.rights import all_needs
from progress_ws.broker.seam import LinkLost, NoVhost
from progress_ws.doctor import heard, reach
from progress_ws.doctor.findings import Finding, unchecked
from progress_ws.doctor.verdict import STREAM_LATE_S, Seen, Subject, fell_silent, findings, no_vhost

CONNECT_S = 4.0
LISTEN_S = 5.0
"""Every node is heard twice in this time."""
LIMIT_S = 11.0

NOTHING_ELSE = [
    unchecked(check, "not without RabbitMQ")
    for check in ("rights", "alarm", "exchange", "cancel", "history", "nodes")
]

T = TypeVar("T")


async def examine(subject: Subject, said: heard.Heard) -> list[Finding]:
    """Look, and return the findings; ends within some 12 s whatever the broker does."""
    where = reach.broker(place(subject.url))
    seen = Seen()
    try:
        async with asyncio.timeout(LIMIT_S), AsyncExitStack() as stack:
            async with asyncio.timeout(CONNECT_S):
                opened = open_probe(subject.url, subject.names)
                probe = await stack.enter_async_context(opened)
            seen.version = probe.version
            await _look(probe, subject, seen, said)
    except NoVhost as exc:
        return [no_vhost(subject, exc), *NOTHING_ELSE]
    except (LinkLost, TimeoutError) as exc:
        is_silence = TimeoutError in (type(exc), type(exc.__cause__))
        let_in = bool(seen.version)
        found = fell_silent(subject) if let_in and is_silence else reach.unreachable(where, exc)
        return [found, *NOTHING_ELSE]
    return list(findings(subject, seen, said))


async def _look(probe: Probe, subject: Subject, seen: Seen, said: heard.Heard) -> None:
    names, rights = subject.names, all_needs(subject.prefix)
    to_publish = [right for right in rights if (right.verb, right.kind) == ("write", "exchange")]
    seen.missing = await probe.missing(names.exchange)
    seen.missing_control = await probe.missing(names.control)
    if seen.missing is None:
        seen.kind = await _settled(probe.check_kind())
    seen.refused = await find_refused(subject.url, names, set(rights) - set(to_publish))

    async def listen() -> None:
        if seen.missing is None:
            await probe.listen(said.take, for_s=LISTEN_S)

    def begun() -> None:
        seen.history_begun_s = time.monotonic()

    seen.tried, seen.listened, seen.history = await asyncio.gather(
        _settled(try_publishing(subject.url, names, to_publish)),
        _settled(listen()),
        _settled(follow_history(subject.url, names, begun, for_s=LISTEN_S + STREAM_LATE_S)),
    )
    async with asyncio.timeout(ANSWER_TIMEOUT_S):  # else it fell silent in the meantime
        await probe.missing(names.exchange)
    seen.listened_s, seen.ended_s = LISTEN_S, time.monotonic()
    if isinstance(seen.tried, Tried):
        seen.refused |= seen.tried.refused
    said.is_complete = seen.can_hear


async def _settled(looking: Coroutine[object, object, T]) -> T | LinkLost:
    try:
        return await looking
    except LinkLost as exc:
        return exc
