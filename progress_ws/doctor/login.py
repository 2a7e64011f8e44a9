"""Which of the three roles a login on RabbitMQ is enough for. Nothing here waits."""

from collections.abc import Collection
from shlex import quote

from progress_ws.broker.rights import Right, Role, listed, needs, permissions
from progress_ws.doctor.findings import Finding, ok, problem

CHECK = "rights"
PURPOSE = {
    Role.PUBLISHER: "to publish",
    Role.WORKER: "to be cancelled",
    Role.NODE: "to be a node",
}


def finding(
    refused: Collection[Right], *, role: Role, prefix: str, user: str, vhost: str
) -> Finding:
    """Judge what was refused to a user who wants to play a role."""
    lacking = {each: needs(each, prefix) & set(refused) for each in Role}
    enough = ", ".join(PURPOSE[each] for each in Role if not lacking[each]) or "for nothing"
    if not lacking[role]:
        not_enough = " or ".join(PURPOSE[each] for each in Role if lacking[each])
        rest = f"; not {not_enough}" if not_enough else ""
        return ok(CHECK, f"the login of user {user!r} is enough {enough}{rest}")
    return problem(
        CHECK,
        f"user {user!r} has not the rights {PURPOSE[role]}: it lacks {listed(lacking[role])} (what "
        f"it has is enough {enough})",
        f"on the broker's machine: {command(role=role, prefix=prefix, user=user, vhost=vhost)}",
    )


def command(*, role: Role, prefix: str, user: str, vhost: str) -> str:
    """Return what gives a user the rights that a role needs."""
    arguments = ["-p", vhost, user, *permissions(role, prefix)]
    return " ".join(["rabbitmqctl", "set_permissions", *map(quote, arguments)])
