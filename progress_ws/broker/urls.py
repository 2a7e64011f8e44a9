"""Addresses of brokers and nodes, checked before anything is opened."""

import re
from urllib.parse import SplitResult, urlsplit

AMQP_ALLOWED = "amqp://user:password@host:port/vhost or amqps://…, special characters as %XX"
NODE_ALLOWED = "http://host:port or https://host, without user, password and blanks"


def check_amqp_url(text: str) -> str:
    """Return an address of RabbitMQ unchanged.

    Raises:
        ValueError: it is none; the text says what is allowed.
    """
    parts = _split(text)
    if parts is None or parts.scheme not in ("amqp", "amqps") or parts.fragment:
        raise ValueError(AMQP_ALLOWED)
    return text


def check_node_url(text: str) -> str:
    """Return the address of a node without a slash at its end.

    Raises:
        ValueError: it is none; the text says what is allowed.
    """
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise ValueError(NODE_ALLOWED)
    if "@" in parts.netloc or re.search(r"\s", text):
        raise ValueError(NODE_ALLOWED)
    return text.rstrip("/")


def reachable(host: str, port: int) -> str:
    """Return the URL at which somebody on this host reaches who listens there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def censored(url: str) -> str:
    """Show a URL without user and password, even where a stray `/`, `#` or `?` spoils its parts."""
    before, at, place = url.rpartition("@")
    if not at:
        return url
    scheme, colon, _ = before.partition("://")
    return f"{scheme}://…@{place}" if colon else f"…@{place}"


def _split(text: str) -> SplitResult | None:
    """Take an address apart; None where it has no host, or a port that is none."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    return parts if parts.hostname and port != 0 and "@" not in parts.path else None
