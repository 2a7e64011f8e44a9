"""What RabbitMQ's management API says of queues and alarms. Nothing here waits."""

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec

from progress_ws.broker.questions import NAME
from progress_ws.broker.seam import LinkLost
from progress_ws.broker.topology import NODE_QUEUE_BYTES
from progress_ws.broker.urls import censored
from progress_ws.core import codec
from progress_ws.doctor import heard, reach
from progress_ws.doctor.findings import Finding, ok, problem, unchecked
from progress_ws.doctor.web import Answer, Question
from progress_ws.errors import InvalidMessage

CHECK = "management"
PAGE = 500
FULL = 0.9
"""Of its bound: from about there on the oldest go."""

T = TypeVar("T")


class _Queue(msgspec.Struct):
    name: str
    consumers: int | None = None
    messages: int = 0
    message_bytes: int = 0


class _Page(msgspec.Struct):
    items: list[_Queue]


class _Broker(msgspec.Struct):
    name: str
    running: bool = True
    mem_alarm: bool = False
    disk_free_alarm: bool = False


class _Exchange(msgspec.Struct):
    type: str
    durable: bool


def questions(url: str, *, vhost: str, prefix: str) -> list[Question]:
    """Return what the management API is asked."""
    place = quote(vhost, safe="")
    ours = {
        "page": 1,
        "page_size": PAGE,
        "use_regex": "true",
        "name": rf"^{re.escape(prefix)}\.node\.",
        "columns": "name,consumers,messages,message_bytes",
    }
    return [
        Question(f"{url}/api/queues/{place}?{urlencode(ours)}"),
        Question(f"{url}/api/nodes"),
        Question(f"{url}/api/exchanges/{place}/{quote(prefix, safe='')}"),
    ]


def findings(
    url: str, answers: Sequence[Answer | LinkLost], said: heard.Heard, *, prefix: str
) -> Iterator[Finding]:
    """Judge the answers, beside what was heard on the exchange."""
    queues, brokers, exchange = answers
    shown = censored(url)
    if isinstance(queues, LinkLost):
        yield reach.unreachable(
            reach.node(f"the management API at {shown}", "--management", CHECK), queues
        )
        return
    if queues.status in (401, 403):
        yield problem(
            CHECK,
            f"the management API at {shown} refuses this login",
            "correct user and password in --management; the user needs the tag monitoring",
        )
        return
    page = _read(queues, _Page)
    if page is None:
        yield problem(
            CHECK,
            f"what answers at {shown} is no management API of RabbitMQ (HTTP {queues.status})",
            "correct --management; on the broker: rabbitmq-plugins enable rabbitmq_management",
        )
        return
    yield from _queues(page.items, said, prefix=prefix)
    yield _alarms(_read(brokers, list[_Broker]))
    yield from _kind(_read(exchange, _Exchange), prefix)


def _read(answer: Answer | LinkLost, type: type[T]) -> T | None:
    if isinstance(answer, LinkLost) or answer.status != 200:
        return None
    try:
        return codec.decode(answer.body, type)
    except InvalidMessage:
        return None


def _queues(queues: list[_Queue], said: heard.Heard, *, prefix: str) -> Iterator[Finding]:
    troubles = [
        finding
        for queue in queues
        if (node := _node(queue, prefix)) != NAME
        for finding in _queue(queue, node, said)
    ]
    yield from troubles
    if not troubles:
        count = sum(_node(queue, prefix) != NAME for queue in queues)
        yield ok("queues", f"{count} of nodes, each read and within its bound")


def _node(queue: _Queue, prefix: str) -> str:
    return queue.name.removeprefix(f"{prefix}.node.").rpartition(".")[0]


def _queue(queue: _Queue, node: str, said: heard.Heard) -> Iterator[Finding]:
    if queue.message_bytes >= FULL * NODE_QUEUE_BYTES:
        yield problem(
            "queues",
            f"the queue of node {node!r} is at its bound ({queue.messages} messages wait): the "
            "oldest are dropped",
            "see why it does not keep up (its CPU, or it is frozen); it repairs what it missed "
            "from the history, so a restart is harmless",
        )
    elif node in said.nodes:
        return  # it lives; these statistics may be older than its consumer
    elif queue.consumers == 0:
        yield problem(
            "queues",
            f"nobody reads the queue of node {node!r}",
            "restart that node: it makes a new queue, and this one goes with its connection",
        )
    elif said.is_complete:
        yield problem(
            "queues",
            f"node {node!r} has a queue, but was not heard: it is frozen, or cannot publish",
            "look into its log and at its GET /readyz; a restart is harmless",
        )


def _alarms(brokers: list[_Broker] | None) -> Finding:
    if brokers is None:
        return unchecked("alarm", "the user in --management lacks the tag monitoring")
    short = [
        f"{broker.name} of {what}"
        for broker in brokers
        for what, has in (("memory", broker.mem_alarm), ("disk space", broker.disk_free_alarm))
        if has
    ]
    down = [broker.name for broker in brokers if not broker.running]
    if short:
        return problem(
            "alarm",
            f"RabbitMQ takes no messages: {' and '.join(short)} is short",
            "free some there, or raise the limit (rabbitmqctl set_vm_memory_high_watermark, "
            "set_disk_free_limit); what is published waits until then",
        )
    if down:
        return problem(
            "alarm", f"a part of the RabbitMQ cluster is down: {', '.join(down)}", "start it again"
        )
    return ok("alarm", f"none on {', '.join(broker.name for broker in brokers)}")


def _kind(exchange: _Exchange | None, prefix: str) -> Iterator[Finding]:
    if exchange is not None and (exchange.type, exchange.durable) != ("fanout", True):
        kind = f"{'durable' if exchange.durable else 'transient'} {exchange.type}"
        yield problem(
            "exchange",
            f"the exchange {prefix!r} exists, but is not a durable fanout exchange: it is {kind}",
            "delete it (a node declares it anew), or set PROGRESS_WS_PREFIX to another name",
        )
