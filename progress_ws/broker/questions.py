"""Whether a login has a right: asked so that nothing is made on the broker and nothing is sent.

Each question is a call that the broker, after it has looked at the right, refuses for another
reason: a declaration with an argument of an impossible type, a message with an expiration that is
none, a consumer of a queue that is not there, the removal of a binding that nobody has.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel as UnderlayChannel
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)
from pamqp.commands import Basic

from progress_ws.broker.connection import LOSSES, connect, is_blocked
from progress_ws.broker.rights import Right
from progress_ws.broker.seam import LinkLost
from progress_ws.broker.topology import Names

ANSWER_TIMEOUT_S = 3.0
NAME = "doctor"
"""What stands in the place of a node's name."""
_REFUSED_KIND = re.compile(r"access to (?P<kind>exchange|queue) ")

OnMessage = Callable[[DeliveredMessage], Coroutine[Any, Any, None]]


async def is_refused(channel: UnderlayChannel, right: Right, names: Names) -> bool:
    """Tell whether the broker says no; a stream that does not answer at all says nothing.

    The channel is of no use afterwards.

    Raises:
        TimeoutError: the broker does not answer.
    """
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await _ask(channel, right, names)
    except ChannelAccessRefused as exc:
        found = _REFUSED_KIND.search(str(exc))
        # A binding takes two rights; this is about one of them.
        return found is None or found["kind"] == right.kind
    except (ChannelPreconditionFailed, ChannelNotFoundEntity):
        return False
    except TimeoutError:
        if right.name != names.history:
            raise
    return False


class Tried(NamedTuple):
    """What came of trying to publish.

    Attributes:
        refused: the rights that were missing.
        blocked: the broker takes nothing, because it has an alarm.
    """

    refused: frozenset[Right]
    blocked: bool


async def find_refused(url: str, names: Names, rights: Iterable[Right]) -> frozenset[Right]:
    """Return those of these rights that the login lacks; those to publish have `try_publishing`.

    Raises:
        LinkLost: the connection cannot be had, or the broker does not answer.
    """
    rights = list(rights)
    async with connect(url, name="progress-ws doctor: rights") as connection:
        # All of them before the first question: a number that is used again makes trouble.
        channels = await asyncio.gather(*(open_channel(connection) for _ in rights))
        asking = (is_refused(*pair, names) for pair in zip(channels, rights, strict=True))
        answers = await asyncio.gather(*asking)
    return frozenset(right for right, is_no in zip(rights, answers, strict=True) if is_no)


async def try_publishing(url: str, names: Names, rights: Iterable[Right]) -> Tried:
    """Tell which of these rights, to publish, are missing, and whether there is an alarm.

    On a connection of its own: in an alarm the broker stops reading those that publish.

    Raises:
        LinkLost: it cannot be had.
    """
    rights = list(rights)
    refused = set()
    async with connect(url, name="progress-ws doctor: publishing") as connection:
        channels = [await open_channel(connection) for _ in rights]
        another = await open_channel(connection)
        for channel, right in zip(channels, rights, strict=True):
            with suppress(TimeoutError):  # in an alarm it may be that nothing is answered
                if await is_refused(channel, right, names):
                    refused.add(right)
            with suppress(TimeoutError, *LOSSES):
                if not is_blocked(connection):
                    async with asyncio.timeout(ANSWER_TIMEOUT_S):
                        await another.basic_qos(prefetch_count=1)  # not answered once it is blocked
                        continue
            if is_blocked(connection):
                return Tried(frozenset(refused), blocked=True)
            raise LinkLost("RabbitMQ does not answer who tries to publish")
    return Tried(frozenset(refused), blocked=False)


async def open_channel(connection: AbstractConnection) -> UnderlayChannel:
    """Open a channel without what the library adds to it."""
    return await (await connection.channel()).get_underlay_channel()


async def consume_new(channel: UnderlayChannel, queue: str, on_message: OnMessage) -> None:
    """Consume what is new in a stream, one message at most; a queue of another kind refuses it."""
    await channel.basic_qos(prefetch_count=1)
    await channel.basic_consume(queue, on_message, arguments={"x-stream-offset": "next"})


async def _ask(channel: UnderlayChannel, right: Right, names: Names) -> None:
    name = right.name.replace("*", f"{NAME}.{secrets.token_hex(4)}")
    match right.verb, right.kind:
        case "configure", "exchange":
            await channel.exchange_declare(
                name, exchange_type="fanout", durable=True, arguments={"alternate-exchange": 0}
            )
        case "configure", _:
            await channel.queue_declare(name, arguments={"x-dead-letter-exchange": 0})
        case "read", "queue":
            await consume_new(channel, name, _ignored)
        case "read", _:
            room = "node" if name == names.exchange else "pub"  # of whoever needs this right
            await _remove_nothing(channel, f"{names.prefix}.{room}.{NAME}", name)
        case _, "queue":
            await _remove_nothing(channel, name, names.exchange)
        case _:
            never = Basic.Properties(expiration="a question of progress-ws doctor")
            await channel.basic_publish(b"", exchange=name, properties=never)


async def _remove_nothing(channel: UnderlayChannel, queue: str, exchange: str) -> None:
    await channel.queue_unbind(queue, exchange, f"{NAME}-{secrets.token_hex(8)}")


async def _ignored(_message: DeliveredMessage) -> None:
    """What is new in a stream stays there for others."""
