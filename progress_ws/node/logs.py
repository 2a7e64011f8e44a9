"""Logging, configured by programs only: structlog events as JSON lines, or for a terminal."""

import logging
import sys
from collections.abc import MutableMapping
from functools import partial

import structlog
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError
from structlog.types import Processor

from progress_ws.node.settings import Settings


def configure(settings: Settings) -> None:
    """Set up structlog and the standard library's loggers to write to standard error.

    Tracebacks carry no local variables: they would carry message contents and passwords.
    """
    as_console = settings.log_format == "console" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        partial(_of_node, settings.node),
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendering: list[Processor] = (
        [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if as_console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())
    # At level debug the AMQP library shows each message's headers, and so its sid.
    for name in ("aiormq", "aio_pika"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # aiohttp's record of a request that is no HTTP quotes it, with the sid in its URL; and a body
    # that cannot be read after its answer is the client's mistake, no error of this server.
    logging.getLogger("aiohttp.server").addFilter(_is_no_malformed_request)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _of_node(
    node: str, _logger: object, _method: str, event: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    """Say whose event it is: the lines of workers, and of containers, end up in one place."""
    event.setdefault("node", node)
    return event


def _is_no_malformed_request(record: logging.LogRecord) -> bool:
    mistakes = (HttpProcessingError, RequestPayloadError)
    return not (record.exc_info and isinstance(record.exc_info[1], mistakes))
