"""Everything that crosses the exchange, read by another library than ours."""

import json
import time
from collections.abc import Callable
from typing import Any, Self

import pika

EXCHANGE = "progress-ws"
POLL_S = 0.02


class Inbox:
    """A queue bound to the exchange, which is made where there is none."""

    def __init__(self, url: str) -> None:
        self.messages: list[dict[str, Any]] = []
        parameters = pika.URLParameters(url)
        parameters.client_properties = {"connection_name": "inbox"}
        parameters.heartbeat = 0  # nobody answers for it while a script runs
        self._connection = pika.BlockingConnection(parameters)
        self._channel = self._connection.channel()
        self._channel.exchange_declare(EXCHANGE, "fanout", durable=True)
        self._queue = self._channel.queue_declare("", exclusive=True).method.queue
        self._channel.queue_bind(self._queue, EXCHANGE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._connection.is_open:
            self._connection.close()

    @property
    def values(self) -> list[Any]:
        """The values of all messages so far, in the order of their arrival; voids are none."""
        self.read()
        return [message["message"] for message in self.messages if "message" in message]

    @property
    def publishers(self) -> set[str]:
        """Who has sent them."""
        return {message["id"].rpartition("-")[0] for message in self.messages if "id" in message}

    def read(self) -> None:
        """Take in what has come."""
        while True:
            method, properties, body = self._channel.basic_get(self._queue, auto_ack=True)
            if method is None:
                return
            if not (properties.type or "").startswith("progress-ws."):
                decoded = json.loads(body)
                self.messages += decoded if isinstance(decoded, list) else [decoded]

    def until(self, condition: Callable[[list[Any]], object], timeout_s: float = 15) -> list[Any]:
        """Wait until the values are as they should be, and return them."""
        deadline = time.monotonic() + timeout_s
        while not condition(values := self.values):
            assert time.monotonic() < deadline, f"not within {timeout_s:g} s; last: {values[-5:]}"
            time.sleep(POLL_S)
        return values
