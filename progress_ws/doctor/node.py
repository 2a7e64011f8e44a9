"""What a node says of itself over HTTP, and what that means. Nothing here waits."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from progress_ws.broker.seam import LinkLost
from progress_ws.core import codec
from progress_ws.doctor import heard, reach
from progress_ws.doctor.findings import Finding, ok, problem, unchecked
from progress_ws.doctor.web import Answer, Question
from progress_ws.errors import InvalidMessage

NO_MESSAGE = b"{}"
"""Without a sid and a message: a node that takes the token refuses it, and publishes nothing."""
MENDS = {
    "draining": "start it again, or ask another one",
    "catching up": "wait some seconds; its log says if it cannot read the history",
    "no heartbeat": "wait 10 s, in which it subscribes anew; else look for an alarm of RabbitMQ",
}
OF_ITS_BROKER = "run progress-ws doctor on its machine with its environment"

T = TypeVar("T")


class _Ready(msgspec.Struct):
    ok: bool
    reason: str = ""


class _Member(msgspec.Struct):
    node: str
    version: str


class _Cluster(msgspec.Struct):
    node: str
    nodes: list[_Member]


def questions(url: str, token: str | None) -> list[Question]:
    """Return what a node is asked."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return [
        Question(f"{url}/readyz"),
        Question(f"{url}/api/v1/cluster"),
        Question(f"{url}/api/v1/messages", NO_MESSAGE, headers),
    ]


def findings(
    url: str,
    answers: Sequence[Answer | LinkLost],
    said: heard.Heard,
    *,
    has_token: bool,
    needs_token: bool,
    is_guess: bool = False,
) -> Iterator[Finding]:
    """Judge the answers, beside what was heard on the exchange.

    Args:
        needs_token: messages are meant to be published through it.
        is_guess: nobody said that there is a node at this address.
    """
    ready, cluster, messages = answers
    if isinstance(ready, LinkLost):
        yield (
            unchecked("node", f"no node answers at {url}: start it, if it is to run here")
            if is_guess
            else reach.unreachable(reach.node(f"the node at {url}"), ready)
        )
        return
    health, members = _read(ready, _Ready), _read(cluster, _Cluster)
    if health is None and members is None and not _is_problem(messages):
        yield _no_node(url, ready, is_guess=is_guess)
        return
    if ready.ahead_s is not None:
        said.clocks.note(f"the node at {url}", ready.ahead_s)
    name = f"node {members.node!r} at {url}" if members is not None else f"the node at {url}"
    yield _readiness(name, health)
    if members is not None:
        is_ready = health is not None and health.ok
        yield from _membership(name, members, said, is_ready=is_ready)
    yield _token(url, messages, has_token=has_token, needs_token=needs_token)


def _read(answer: Answer | LinkLost, type: type[T]) -> T | None:
    if isinstance(answer, LinkLost):
        return None
    try:
        return codec.decode(answer.body, type)
    except InvalidMessage:
        return None


def _is_problem(answer: Answer | LinkLost) -> bool:
    """Tell whether a node refused a request: anybody may answer 403, but not in this way."""
    return isinstance(answer, Answer) and answer.type == "application/problem+json"


def _no_node(url: str, answer: Answer, *, is_guess: bool) -> Finding:
    if is_guess:
        return problem(
            "node",
            f"something else than a progress-ws node answers at {url} (HTTP {answer.status})",
            "set PROGRESS_WS_PORT to a port that nobody listens on",
        )
    if answer.location:
        return problem(
            "node",
            f"{url} sends whoever asks on to {answer.location} (HTTP {answer.status})",
            "set PROGRESS_WS_URL to the address that it sends to, without the path",
        )
    return problem(
        "node",
        f"what answers at {url} is no progress-ws node (HTTP {answer.status})",
        "set PROGRESS_WS_URL to the address of a node, or mend the proxy in front of it",
    )


def _readiness(name: str, health: _Ready | None) -> Finding:
    if health is None:
        return unchecked("node", f"a proxy keeps /readyz of {name} from us: ask the node itself")
    if health.ok:
        return ok("node", f"{name} is ready")
    mends = (mend for begin, mend in MENDS.items() if health.reason.startswith(begin))
    return problem("node", f"{name} is not ready: {health.reason}", next(mends, OF_ITS_BROKER))


def _membership(
    name: str, members: _Cluster, said: heard.Heard, *, is_ready: bool
) -> Iterator[Finding]:
    if not said.is_complete:
        yield from heard.differing({member.node: member.version for member in members.nodes})
    elif is_ready and members.node not in said.nodes:
        yield problem(
            "node",
            f"{name} is on another exchange than this environment: it was not heard here",
            "give both the same PROGRESS_WS_AMQP_URL (unset: the node is alone) and "
            "PROGRESS_WS_PREFIX",
        )


def _token(url: str, answer: Answer | LinkLost, *, has_token: bool, needs_token: bool) -> Finding:
    if not has_token and not needs_token:
        return unchecked("token", "PROGRESS_WS_PUBLISH_TOKEN is unset, and not needed here")
    if not has_token:
        return problem(
            "token",
            "PROGRESS_WS_PUBLISH_TOKEN is unset: nothing can be published over a node's URL",
            "set it to the token that the node has",
        )
    if not isinstance(answer, Answer) or not _is_problem(answer):
        said = f"HTTP {answer.status}" if isinstance(answer, Answer) else "nothing"
        return unchecked("token", f"{url}/api/v1/messages answered {said}, not as a node does")
    if answer.status == 401:
        return problem(
            "token",
            f"the node at {url} refuses this PROGRESS_WS_PUBLISH_TOKEN",
            "set it to the token that the node has",
        )
    if answer.status == 403:
        return problem(
            "token",
            f"publishing over HTTP is off at {url}",
            "set PROGRESS_WS_PUBLISH_TOKEN on the node and restart it",
        )
    return ok("token", f"the node at {url} takes it")
