"""What the names on the broker begin with, and which ones are allowed."""

import re

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
