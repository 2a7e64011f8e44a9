"""The whole examination: everything is looked at at the same time, within a bounded time."""

import asyncio
import time

from progress_ws.broker.topology import Names
from progress_ws.doctor import broker, heard, management, node
from progress_ws.doctor.environment import Environment
from progress_ws.doctor.findings import Finding, State, unchecked
from progress_ws.doctor.verdict import Subject
from progress_ws.doctor.web import Question, ask

NO_MANAGEMENT = unchecked(
    "queues", "needs RabbitMQ's management API: --management http://user:password@host:15672"
)
BY_BOTH = ("alarm", "exchange")


async def examine(environment: Environment, *, management_url: str | None) -> list[Finding]:
    """Look at broker, node and management API; ends within some 12 s."""
    said = heard.Heard(clock_s=time.monotonic, wall_clock_s=time.time)
    subject, url = _subject(environment), environment.node_url
    of_broker, of_node, of_management = await asyncio.gather(
        _look_at_broker(subject, said),
        ask(*(node.questions(url, environment.token) if url else ())),
        ask(*(_questions(subject, management_url) if management_url else ())),
    )
    # Judged only now, since what was heard in the meantime belongs to it.
    found = of_broker
    if url:
        found += node.findings(
            url,
            of_node,
            said,
            has_token=environment.token is not None,
            needs_token=subject is None and not environment.is_guess,
            is_guess=environment.is_guess,
        )
    found.append(said.clocks.finding())
    if not management_url:
        return [*found, NO_MANAGEMENT] if subject else found
    prefix = environment.prefix
    return joined(found, [*management.findings(management_url, of_management, said, prefix=prefix)])


def _subject(environment: Environment) -> Subject | None:
    if environment.amqp_url is None:
        return None
    return Subject(
        environment.amqp_url, environment.prefix, environment.role, environment.has_history
    )


async def _look_at_broker(subject: Subject | None, said: heard.Heard) -> list[Finding]:
    if subject is None:
        return [unchecked("broker", "PROGRESS_WS_AMQP_URL is unset or wrong")]
    return await broker.examine(subject, said)


def _questions(subject: Subject | None, management_url: str) -> list[Question]:
    vhost, prefix = (subject.vhost, subject.prefix) if subject else ("/", Names().prefix)
    return management.questions(management_url, vhost=vhost, prefix=prefix)


def joined(found: list[Finding], more: list[Finding]) -> list[Finding]:
    """Put together what two ways of looking found; a problem counts, whichever has seen it."""
    second = {finding.check: finding for finding in more if finding.check in BY_BOTH}

    def better(first: Finding) -> Finding:
        other = second.pop(first.check, None)
        knows_more = first.state is State.UNCHECKED or (other and other.state is State.PROBLEM)
        return other if other is not None and knows_more else first

    kept = [better(finding) for finding in found]
    return kept + [f for f in more if f.check not in BY_BOTH or f.check in second]
