"""Whether a login has a right: asked so that nothing is made on the broker and nothing is sent.

Each question is a call that the broker, after it has looked at the right, refuses for another
reason: a declaration with an argument of an impossible type, a message with an expiration that is
none, a consumer of a queue that is not there, the removal of a binding that nobody has.
"""

import asyncio
import re
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

from aiormq.abc import AbstractChannel as UnderlayChannel
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)
from pamqp.commands import Basic

from progress_ws.broker.rights import Right
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
