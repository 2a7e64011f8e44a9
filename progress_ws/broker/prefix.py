"""What the names on the broker begin with, and which ones are allowed."""

import re
from collections.abc import Mapping

from progress_ws.errors import SettingsError

DEFAULT_PREFIX = "progress-ws"
VARIABLE = "PROGRESS_WS_PREFIX"
ALLOWED = "1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with amq. (RabbitMQ's own)"


def check_prefix(text: str) -> str:
    """Return a prefix unchanged.

    Raises:
        ValueError: it is none; the text says what is allowed.
    """
    if not re.fullmatch(r"(?!amq\.)[A-Za-z0-9._-]{1,64}", text):
        raise ValueError(ALLOWED)
    return text


def find_prefix(environ: Mapping[str, str]) -> str:
    """Return the prefix that the environment names, else the default.

    Raises:
        SettingsError: it is none.
    """
    text = environ.get(VARIABLE) or DEFAULT_PREFIX
    try:
        return check_prefix(text)
    except ValueError as exc:
        raise SettingsError(f"{VARIABLE}={text!r} is wrong: it must be {exc}") from None
