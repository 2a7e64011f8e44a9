"""What each of the three roles may do on RabbitMQ: the rights that it needs, and no more."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Literal, NamedTuple

from progress_ws.broker.topology import Names


class Role(StrEnum):
    """What a login is for: to publish, to publish and be cancelled, to be a node."""

    PUBLISHER = "publisher"
    WORKER = "worker"
    NODE = "node"


Verb = Literal["configure", "write", "read"]


class Right(NamedTuple):
    """One right on one name.

    Attributes:
        name: as a person reads it: `progress-ws.node.*` stands for any node's queue.
    """

    verb: Verb
    kind: Literal["exchange", "queue"]
    name: str

    def __str__(self) -> str:
        return f"{self.verb} on {self.name!r}"


def needs(role: Role, prefix: str) -> frozenset[Right]:
    """Return the rights without which a login cannot play a role."""
    verbs: tuple[Verb, ...] = ("configure", "write", "read")
    control = Names(prefix).control
    rights = {Right("write", "exchange", prefix)}
    if role is Role.WORKER:
        rights |= {Right(verb, "queue", f"{prefix}.pub.*") for verb in verbs}
        rights.add(Right("read", "exchange", control))
    elif role is Role.NODE:
        rights |= {Right(verb, "exchange", prefix) for verb in verbs}
        rights |= {Right(verb, "exchange", control) for verb in verbs if verb != "read"}
        for name in (f"{prefix}.node.*", f"{prefix}.history"):
            rights |= {Right(verb, "queue", name) for verb in verbs}
    return frozenset(rights)


def all_needs(prefix: str) -> list[Right]:
    """Return the rights of all roles, in an order that stays the same."""
    return sorted(frozenset[Right]().union(*(needs(role, prefix) for role in Role)))


def permissions(role: Role, prefix: str) -> tuple[str, str, str]:
    """Return the regular expressions (configure, write, read) that give a role what it needs."""
    name = prefix.replace(".", r"\.")
    if role is Role.PUBLISHER:
        return "^$", f"^{name}$", "^$"
    if role is Role.WORKER:
        return rf"^{name}\.pub\.", rf"^{name}($|\.pub\.)", rf"^{name}\.(control$|pub\.)"
    everything = rf"^{name}($|\.)"
    return everything, everything, everything


def listed(rights: Iterable[Right]) -> str:
    """Write rights for people, those on one name together."""
    by_name: dict[str, list[str]] = {}
    for verb, _, name in sorted(rights):
        by_name.setdefault(name, []).append(verb)
    return "; ".join(f"{', '.join(verbs)} on {name!r}" for name, verbs in sorted(by_name.items()))
