"""What a publisher or a node finds in its environment, and what is wrong with it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches

from progress_ws.broker.rights import Role
from progress_ws.broker.urls import censored, check_node_url, reachable
from progress_ws.core.message import SID_RULE, is_sid
from progress_ws.doctor.findings import Finding, ok, problem, told, unchecked
from progress_ws.errors import SettingsError
from progress_ws.node.settings import PREFIX, Settings, variable

AMQP_URL, URL, SID = f"{PREFIX}AMQP_URL", f"{PREFIX}URL", f"{PREFIX}SID"
SHARED = {AMQP_URL, f"{PREFIX}PREFIX", f"{PREFIX}PUBLISH_TOKEN"}
SERVES = {variable(setting.name) for setting in fields(Settings)} - SHARED
OF_THE_DEMO = f"{PREFIX}DEMO_DIR"
KNOWN = SHARED | SERVES | {URL, SID, OF_THE_DEMO}
WHO = {
    Role.PUBLISHER: "of a publisher",
    Role.WORKER: "of a publisher that can be cancelled",
    Role.NODE: "of a node",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What is to be looked at; None: not set, or wrong.

    Attributes:
        role: what this environment is for.
        is_guess: the address of the node is the one that it would listen on.
        has_history: the node is meant to keep one.
    """

    role: Role
    amqp_url: str | None
    node_url: str | None
    is_guess: bool
    token: str | None
    prefix: str
    has_history: bool


def read(environ: Mapping[str, str], role: Role | None) -> tuple[Environment, list[Finding]]:
    """Read the environment; a variable that is empty counts as unset."""
    given = {name: value for name, value in environ.items() if value}
    serving = sorted(SERVES & given.keys())
    if role is None:
        role = Role.NODE if serving else Role.PUBLISHER
    settings, wrong = _settings(given)
    node_url, wrong_url = _node_url(given)
    found = [*_unknown(given), *wrong, *wrong_url]
    is_guess = role is Role.NODE and URL not in given
    if is_guess:
        node_url = reachable(settings.host, settings.port)
    if role is not Role.NODE and not {AMQP_URL, URL} & given.keys():
        found.append(_nowhere())
    if not found:
        found.append(_fine(role, given))
    environment = Environment(
        role=role,
        amqp_url=settings.amqp_url,
        node_url=node_url,
        is_guess=is_guess,
        token=settings.publish_token,
        prefix=settings.prefix,
        has_history=settings.history_seconds > 0,
    )
    return environment, found


def unknown(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that look like ours and that nobody reads, and what mends each."""
    mends = {}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in KNOWN:
            near = get_close_matches(name, KNOWN, n=1)
            mends[name] = f"did you mean {near[0]}?" if near else "remove it, or look at --help"
    return mends


def sid(given: str | None, environ: Mapping[str, str]) -> Finding:
    """Judge a sid, without showing it: it is the right to read what is sent to it."""
    name, text = ("--sid", given) if given is not None else (SID, environ.get(SID, ""))
    if not text and given is None:
        return unchecked("sid", f"{SID} is unset")
    if is_sid(text):
        return ok("sid", f"{name} is well formed ({len(text)} characters)")
    strange = "".join(sorted(set(re.sub(r"[A-Za-z0-9._~-]", "", text))))
    why = f"it has {strange!r} in it" if strange else f"it has {len(text)} characters"
    return problem(
        "sid", f"{name} is malformed: {why}", f"take the sid as the page got it: {SID_RULE}"
    )


def _settings(given: Mapping[str, str]) -> tuple[Settings, list[Finding]]:
    """Read the settings one by one: those that are wrong count as unset, and all are told."""
    right: dict[str, str] = {}
    found = []
    for name in sorted((SHARED | SERVES) & given.keys()):  # the broker before the workers
        try:
            Settings.from_environ(right | {name: given[name]})
        except SettingsError as exc:
            found.append(told("settings", exc))
        else:
            right[name] = given[name]
    return Settings.from_environ(right), found


def _node_url(given: Mapping[str, str]) -> tuple[str | None, list[Finding]]:
    if URL not in given:
        return None, []
    try:
        return check_node_url(given[URL]), []
    except ValueError as exc:
        text = f"{URL}={censored(given[URL])!r} is wrong"
        return None, [problem("settings", text, f"it must be {exc}")]


def _unknown(given: Mapping[str, str]) -> Iterator[Finding]:
    for name, mend in unknown(given).items():
        yield problem("settings", f"{name} is no setting: nobody reads it", mend)


def _nowhere() -> Finding:
    return problem(
        "settings",
        f"{AMQP_URL} and {URL} are unset: there is nowhere to publish to",
        f"set {AMQP_URL} to RabbitMQ (amqp://…), or {URL} to a node (http://…)",
    )


def _fine(role: Role, given: Mapping[str, str]) -> Finding:
    names = sorted(name.removeprefix(PREFIX) for name in given if name in KNOWN)
    return ok("settings", f"{WHO[role]}: {', '.join(names) or 'none, all as by default'}")
