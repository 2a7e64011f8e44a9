"""Which link a publisher opens: the one that its URL asks for."""

import os
import re
import socket
from functools import partial
from typing import Any

from progress_ws.broker.seam import OpenLink
from progress_ws.broker.urls import censored, check_amqp_url, check_node_url
from progress_ws.errors import SettingsError


def opener(url: str, *, token: str | None, prefix: str) -> OpenLink:
    """Choose the link by the URL; its libraries are loaded when it is first opened.

    Raises:
        SettingsError: the URL is of no known kind, or it is a node's and the token is wrong.
    """
    try:
        if not url.startswith("http"):
            return partial(_open_amqp, check_amqp_url(url), prefix)
        node = check_node_url(url)
    except ValueError as exc:
        raise SettingsError(f"cannot publish to {censored(url)!r}: it must be {exc}") from None
    if token is None:
        raise SettingsError("a node's URL needs token=, its PROGRESS_WS_PUBLISH_TOKEN")
    if not re.fullmatch(r"[!-~]+", token):
        raise SettingsError("token= is wrong: it must be printable ASCII without blanks")
    return partial(_open_http, node, token)


def _open_amqp(url: str, prefix: str) -> Any:
    from progress_ws.broker.link import open_link
    from progress_ws.broker.topology import Names

    return open_link(url, Names(prefix), name=f"progress-ws publisher {_process()}")


def _open_http(url: str, token: str) -> Any:
    from progress_ws.publish.http import open_link

    return open_link(url, token=token)


def _process() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"
