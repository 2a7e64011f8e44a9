"""Which link a publisher opens: the one that its URL asks for."""

import os
import re
import socket
from contextlib import AbstractAsyncContextManager
from functools import partial

from progress_ws.broker.prefix import check_prefix, find_prefix
from progress_ws.broker.seam import Link, OpenLink
from progress_ws.broker.urls import censored, check_amqp_url, check_node_url
from progress_ws.errors import SettingsError


def opener(url: str, *, token: str | None, prefix: str | None) -> OpenLink:
    """Choose the link by the URL, and load its libraries.

    Not only when it is first opened, in the thread of an event loop: beside a thread that computes
    every look at a file costs a turn of the interpreter, and loading took many seconds.

    Raises:
        SettingsError: the URL is of no known kind, or it is a node's and the token is wrong, or
            the prefix is.
    """
    try:
        prefix = find_prefix(os.environ) if prefix is None else check_prefix(prefix)
    except ValueError as exc:
        raise SettingsError(f"{prefix=} is wrong: it must be {exc}") from None
    try:
        if not url.startswith("http"):
            return _amqp(check_amqp_url(url), prefix)
        node = check_node_url(url)
    except ValueError as exc:
        raise SettingsError(f"cannot publish to {censored(url)!r}: it must be {exc}") from None
    if token is None:
        raise SettingsError("a node's URL needs token=, its PROGRESS_WS_PUBLISH_TOKEN")
    if not re.fullmatch(r"[!-~]+", token):
        raise SettingsError("token= is wrong: it must be printable ASCII without blanks")
    return _http(node, token)


def _amqp(url: str, prefix: str) -> OpenLink:
    from progress_ws.broker.link import open_link
    from progress_ws.broker.topology import Names

    def open_() -> AbstractAsyncContextManager[Link]:
        process = f"{socket.gethostname()}-{os.getpid()}"  # a fork may have come in between
        return open_link(url, Names(prefix), name=f"progress-ws publisher {process}")

    return open_


def _http(url: str, token: str) -> OpenLink:
    from progress_ws.publish.http import open_link

    return partial(open_link, url, token=token)
