"""Where this process publishes to: found in the environment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from progress_ws.broker.prefix import find_prefix
from progress_ws.broker.urls import censored, check_amqp_url, check_node_url
from progress_ws.errors import SettingsError

HELP = """environment:
  PROGRESS_WS_AMQP_URL       RabbitMQ, or
  PROGRESS_WS_URL            a node, with
  PROGRESS_WS_PUBLISH_TOKEN  its publish token
  PROGRESS_WS_PREFIX         name of the exchange (default: progress-ws)"""


@dataclass(frozen=True, slots=True)
class Target:
    """RabbitMQ or a node.

    Attributes:
        url: its address.
        is_node: it is a node's.
        token: the node's publish token, if there is one.
        prefix: the name of the exchange.
    """

    url: str
    is_node: bool
    token: str | None
    prefix: str


def find(environ: Mapping[str, str], *, to_publish: bool = True) -> Target:
    """Find the target: RabbitMQ where its address is set, else a node.

    To publish there a node's token is needed, to watch it is not.

    Raises:
        SettingsError: neither is set, or what is set is wrong.
    """
    token = environ.get("PROGRESS_WS_PUBLISH_TOKEN") or None
    prefix = find_prefix(environ)
    if url := _read(environ, "PROGRESS_WS_AMQP_URL", check_amqp_url):
        return Target(url, is_node=False, token=token, prefix=prefix)
    if url := _read(environ, "PROGRESS_WS_URL", check_node_url):
        if token is None and to_publish:
            raise SettingsError("PROGRESS_WS_PUBLISH_TOKEN is unset: a node's URL needs it")
        return Target(url, is_node=True, token=token, prefix=prefix)
    raise SettingsError(
        "PROGRESS_WS_AMQP_URL and PROGRESS_WS_URL are unset: one of them must name RabbitMQ "
        "(amqp://…) or a node (http://…, with PROGRESS_WS_PUBLISH_TOKEN)"
    )


def _read(environ: Mapping[str, str], name: str, check: Callable[[str], str]) -> str | None:
    """Read a variable; None where it is unset or empty."""
    text = environ.get(name)
    try:
        return check(text) if text else None
    except ValueError as exc:
        raise SettingsError(f"{name}={censored(text or '')!r} is wrong: it must be {exc}") from None
