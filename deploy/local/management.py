"""RabbitMQ's management HTTP API."""

import base64
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

USER = PASSWORD = "guest"


class Management:
    """RabbitMQ's management HTTP API, as far as a cluster and its tests need it."""

    def __init__(self, url: str, *, user: str = USER, password: str = PASSWORD) -> None:
        self.url = url
        self.user = user
        self.password = password

    def request(self, method: str, *path: str, body: object = None) -> Any:
        """Call `/api/<path>`, each part escaped; returns the decoded answer, `None` if empty.

        Raises:
            urllib.error.HTTPError: what the broker refused.
            urllib.error.URLError: there is no broker.
        """
        request = urllib.request.Request(
            self.url + "/api/" + "/".join(quote(part, safe="") for part in path),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def add_vhost(self, vhost: str) -> None:
        """Make an empty virtual host in which this API's user may do everything."""
        self.request("PUT", "vhosts", vhost)
        self.permit(self.user, vhost, configure=".*", write=".*", read=".*")

    def delete_vhost(self, vhost: str) -> None:
        """Remove a virtual host, everything in it, and the connections to it."""
        self.request("DELETE", "vhosts", vhost)

    def add_user(self, name: str, password: str) -> None:
        """Make a user who may do nothing yet."""
        self.request("PUT", "users", name, body={"password": password, "tags": ""})

    def permit(self, user: str, vhost: str, *, configure: str, write: str, read: str) -> None:
        """Grant rights: three regular expressions over the names of exchanges and queues."""
        rights = {"configure": configure, "write": write, "read": read}
        self.request("PUT", "permissions", vhost, user, body=rights)

    def publish(
        self,
        vhost: str,
        exchange: str,
        payload: str,
        *,
        routing_key: str = "",
        properties: dict[str, object] | None = None,
    ) -> bool:
        """Do what the "Publish message" form does; tells whether any queue took the message."""
        message = {
            "payload": payload,
            "payload_encoding": "string",
            "routing_key": routing_key,
            "properties": properties or {},
        }
        answer = self.request("POST", "exchanges", vhost, exchange, "publish", body=message)
        return bool(answer["routed"])

    def connections(self, vhost: str) -> list[dict[str, Any]]:
        """The open connections to a virtual host (listed a second after they opened)."""
        return list(self.request("GET", "vhosts", vhost, "connections"))

    def close_connection(self, name: str) -> None:
        """Close a connection as the button "Force Close" does."""
        self.request("DELETE", "connections", name)

    def queues(self, vhost: str) -> list[dict[str, Any]]:
        """All queues of a virtual host."""
        return list(self.request("GET", "queues", vhost))

    def recreate_exchange(self, vhost: str, name: str) -> None:
        """Delete a durable fanout exchange and declare it again: all bindings to it are gone.

        The binding of an exclusive queue alone cannot be deleted from outside.
        """
        self.request("DELETE", "exchanges", vhost, name)
        self.request("PUT", "exchanges", vhost, name, body={"type": "fanout", "durable": True})
