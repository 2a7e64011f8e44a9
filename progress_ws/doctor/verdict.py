"""What is to be said of what was seen on RabbitMQ. Nothing here waits."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from progress_ws.broker.connection import place
from progress_ws.broker.probe import Missing
from progress_ws.broker.questions import Tried
from progress_ws.broker.rights import Right, Role
from progress_ws.broker.seam import LinkLost, LinkRefused, NoStream
from progress_ws.broker.topology import Names
from progress_ws.doctor import heard, login
from progress_ws.doctor.findings import Finding, ok, problem, told, unchecked

STREAM_LATE_S = 1.0
"""A message may come into the stream so much later, and its reader may begin so much later."""
ALARM = problem(
    "alarm",
    "RabbitMQ takes no messages: it has an alarm (memory or disk)",
    "free memory or disk space on the broker's machine (rabbitmqctl status says which); what is "
    "published waits until then",
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at, and as whom.

    Attributes:
        has_history: the nodes are meant to keep a history.
    """

    url: str
    prefix: str
    role: Role
    has_history: bool = True

    @property
    def user(self) -> str:
        """Who logs in."""
        return unquote(urlsplit(self.url).username or "guest")

    @property
    def vhost(self) -> str:
        """The virtual host."""
        return unquote(urlsplit(self.url).path[1:]) or "/"

    @property
    def names(self) -> Names:
        """The names on the broker."""
        return Names(self.prefix)


@dataclass(slots=True)
class Seen:
    """What was seen; an error stands for what could not be.

    Attributes:
        kind: what is to be said of the kind of the exchange; None: nothing.
        history: whether something came into the stream.
        history_begun_s: since when that was awaited, by the monotonic clock.
        listened_s: for how long the exchange was listened to.
        ended_s: when all of it ended.
    """

    version: str = ""
    missing: LinkLost | None = None
    missing_control: LinkLost | None = None
    refused: frozenset[Right] = frozenset()
    kind: LinkLost | None = None
    tried: Tried | LinkLost = field(default_factory=lambda: Tried(frozenset(), blocked=False))
    listened: LinkLost | None = None
    history: bool | LinkLost = False
    history_begun_s: float = 0.0
    listened_s: float = 0.0
    ended_s: float = 0.0

    @property
    def is_blocked(self) -> bool:
        """Whether the broker takes nothing."""
        return isinstance(self.tried, Tried) and self.tried.blocked

    @property
    def can_hear(self) -> bool:
        """Whether who was not heard is not there, on an exchange that works."""
        return self.listened is None and self.kind is None and not self.is_blocked


def no_vhost(subject: Subject, exc: LinkLost) -> Finding:
    """Say what to do about a virtual host that is refused."""
    return problem(
        "broker",
        str(exc).partition(": ")[0],
        f"correct the path of PROGRESS_WS_AMQP_URL (rabbitmqctl list_vhosts), or give the user "
        f"its rights there: {_grant(subject)}",
    )


def fell_silent(subject: Subject) -> Finding:
    """Say what to do about a broker that let us in and does not answer any more."""
    return problem(
        "broker",
        f"{place(subject.url)} let user {subject.user!r} in, and then fell silent",
        "see whether its machine is overloaded or it is frozen (rabbitmq-diagnostics status), and "
        "restart it if so",
    )


def findings(subject: Subject, seen: Seen, said: heard.Heard) -> Iterator[Finding]:
    """Judge what was seen and heard."""
    name = f"RabbitMQ {seen.version}".strip() + place(subject.url).removeprefix("RabbitMQ")
    yield ok("broker", f"{name}, virtual host {subject.vhost!r}, user {subject.user!r}")
    yield login.finding(
        seen.refused,
        role=subject.role,
        prefix=subject.prefix,
        user=subject.user,
        vhost=subject.vhost,
    )
    yield _alarm(seen)
    yield _exchange(subject, seen)
    yield _cancel(subject, seen)
    yield _history(subject, seen, said)
    yield from _nodes(subject, seen, said)


def _grant(subject: Subject) -> str:
    return login.command(
        role=subject.role, prefix=subject.prefix, user=subject.user, vhost=subject.vhost
    )


def _lost(check: str, exc: LinkLost) -> Finding:
    return problem(check, str(exc), "ask again; if it stays so, look into RabbitMQ's log")


def _alarm(seen: Seen) -> Finding:
    if isinstance(seen.tried, LinkLost):
        return _lost("alarm", seen.tried)
    return ALARM if seen.is_blocked else ok("alarm", "none: RabbitMQ takes messages")


def _exchange(subject: Subject, seen: Seen) -> Finding:
    name = subject.prefix
    may_configure = Right("configure", "exchange", name) not in seen.refused
    if seen.missing is not None:
        if subject.role is Role.NODE and may_configure:
            return ok("exchange", f"{name!r} does not exist yet: a node declares it at its start")
        return told("exchange", seen.missing)
    if seen.kind is not None:
        is_no = isinstance(seen.kind, LinkRefused)
        return told("exchange", seen.kind) if is_no else _lost("exchange", seen.kind)
    if may_configure:
        return ok("exchange", f"{name!r} is there, a durable fanout")
    return ok("exchange", f"{name!r} is there (its kind is told to logins that may configure it)")


def _cancel(subject: Subject, seen: Seen) -> Finding:
    name = subject.names.control
    if seen.missing_control is None:
        return ok("cancel", f"{name!r} is there")
    if subject.role is Role.WORKER:
        return problem(
            "cancel",
            f"the exchange {name!r} does not exist: nobody can ask this publisher to stop",
            "start a node whose login may configure it, of a version that hands on cancel requests",
        )
    return unchecked("cancel", f"the exchange {name!r} does not exist yet")


def _history(subject: Subject, seen: Seen, said: heard.Heard) -> Finding:
    name, history = subject.names.history, seen.history
    match history:
        case Missing():
            return _no_history(subject, seen, str(history))
        case NoStream() if subject.role is not Role.NODE and _lacks_read(name, seen):
            return ok("history", f"{name!r} is there (a publisher need not read it)")
        case NoStream():
            return told("history", history)
        case LinkLost():
            return problem(
                "history",
                str(history),
                "wait some seconds if RabbitMQ has just started; if it stays so (3.10, killed just "
                f"after it made the stream, never brings it back) delete the queue {name!r} and "
                "restart a node, which makes it anew",
            )
    begun_s, ended_s = seen.history_begun_s + STREAM_LATE_S, seen.ended_s - STREAM_LATE_S
    if not history and said.came_between(begun_s, ended_s):
        return problem(
            "history",
            f"what crosses the exchange does not come into the stream {name!r}",
            f"bind the queue {name!r} to the exchange {subject.prefix!r}, as a node does when it "
            "starts: restart one",
        )
    return ok("history", f"the stream {name!r} answers" + " and gets what crosses" * history)


def _lacks_read(name: str, seen: Seen) -> bool:
    return Right("read", "queue", name) in seen.refused


def _no_history(subject: Subject, seen: Seen, text: str) -> Finding:
    if not subject.has_history:
        return unchecked("history", "it is off: PROGRESS_WS_HISTORY_SECONDS=0")
    if seen.missing is not None:
        return unchecked("history", "the nodes make its stream together with the exchange")
    if _is_older(seen.version, (3, 9)):
        mend = f"RabbitMQ {seen.version} has no streams: upgrade it to 3.9 or later"
    else:
        mend = (
            "restart a node: it makes the stream, or its log says why not (a right, a limit, the "
            "feature flag stream_queue, PROGRESS_WS_HISTORY_SECONDS=0)"
        )
    return problem("history", f"{text}: whatever a node misses is lost to its browsers", mend)


def _is_older(version: str, than: tuple[int, int]) -> bool:
    parts = version.split(".")[:2]
    return len(parts) == 2 and all(map(str.isdecimal, parts)) and tuple(map(int, parts)) < than


def _nodes(subject: Subject, seen: Seen, said: heard.Heard) -> Iterator[Finding]:
    if seen.missing is not None:
        yield unchecked("nodes", "there is no exchange to hear them on")
    elif isinstance(seen.listened, LinkRefused):
        yield unchecked("nodes", "this login may not listen to the exchange (only nodes must)")
    elif seen.listened is not None:
        yield _lost("nodes", seen.listened)
    elif seen.kind is not None or seen.is_blocked:
        yield unchecked("nodes", "none can be heard: see the exchange and the alarm above")
    else:
        yield from heard.findings(
            said, for_s=seen.listened_s, prefix=subject.prefix, is_node=subject.role is Role.NODE
        )
