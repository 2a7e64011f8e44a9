"""Everything that progress_ws raises on purpose.

ProgressError
├── InvalidMessage    the caller's mistake: a value that no node would accept
├── PublishError      not confirmed in time, or refused: the broker's or the network's side
├── Cancelled         a browser asked the job to stop, and the job asked to be told so
├── ProtocolError     the browser's mistake: answered with an error frame or a close code
└── SettingsError     a setting with a wrong value: stops the start
"""


class ProgressError(Exception):
    """The root: `except ProgressError` catches all that this package raises on purpose."""


class InvalidMessage(ProgressError):
    """A message, or one field of it, is outside the contract; sending it again cannot help.

    Attributes:
        field: the field that is wrong ("sid", "key", …), or None when the whole is no message.
        index: its place in an array of messages, or None for a single one.
        reason: a short stable word for logs and metrics ("bad_sid", "too_large", "not_json").
        id: the number that it came under, where that could be read.
    """

    def __init__(
        self,
        detail: str,
        *,
        reason: str,
        field: str | None = None,
        index: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason
        self.field = field
        self.index = index
        self.id: str | None = None


class PublishError(ProgressError):
    """The broker did not confirm a message in time, or refused it.

    The message may still arrive, once: a timeout does not mean "not sent".
    """


class Cancelled(ProgressError):
    """A browser has asked to stop; raised where a bar was made with `raise_cancelled`."""


class ProtocolError(ProgressError):
    """A browser's frame that is answered with an `error` frame; its socket stays open.

    Attributes:
        code: the `code` of the error frame ("bad_frame", "bad_sid", …).
        sid: the sid that the frame named, where it named one.
        key: likewise the key.
    """

    def __init__(
        self, code: str, detail: str, *, sid: str | None = None, key: str | None = None
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.sid = sid
        self.key = key


class SettingsError(ProgressError):
    """A setting has a wrong value; the text names the variable, the value and what is allowed."""
