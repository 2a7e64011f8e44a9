"""Where this process publishes to: found in the environment."""

from collections.abc import Mapping
from dataclasses import dataclass

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


def find(environ: Mapping[str, str]) -> Target:
    """Find the target: RabbitMQ where its address is set, else a node.

    Raises:
        SettingsError: neither is set, or the address is none.
    """
    token = environ.get("PROGRESS_WS_PUBLISH_TOKEN") or None
    prefix = environ.get("PROGRESS_WS_PREFIX") or "progress-ws"
    for name, check in (
        ("PROGRESS_WS_AMQP_URL", check_amqp_url),
        ("PROGRESS_WS_URL", check_node_url),
    ):
        if url := environ.get(name):
            try:
                return Target(check(url), check is check_node_url, token, prefix)
            except ValueError as exc:
                shown = censored(url)
                raise SettingsError(f"{name}={shown!r} is wrong: it must be {exc}") from None
    raise SettingsError(
        "PROGRESS_WS_AMQP_URL and PROGRESS_WS_URL are unset: one of them must name RabbitMQ "
        "(amqp://…) or a node (http://…, with PROGRESS_WS_PUBLISH_TOKEN)"
    )
