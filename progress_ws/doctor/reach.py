"""Why somebody could not be reached: from what the network said to what a person does about it."""

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import NamedTuple

from progress_ws.broker.seam import LinkRefused
from progress_ws.broker.tls import BadCertificate
from progress_ws.doctor.findings import Finding, problem, told


class Place(NamedTuple):
    """Who was to be reached.

    Attributes:
        check: under which word that is reported.
        name: for people.
        variable: where its address came from.
        tls_hint: what to try when TLS fails.
        ca_hint: how a certificate of an own authority is accepted.
    """

    check: str
    name: str
    variable: str
    tls_hint: str
    ca_hint: str


def broker(name: str) -> Place:
    """RabbitMQ, by the address in the environment."""
    return Place(
        "broker",
        name,
        "PROGRESS_WS_AMQP_URL",
        "correct PROGRESS_WS_AMQP_URL: amqp:// takes RabbitMQ's plain port (as a rule 5672), "
        "amqps:// the one with TLS (5671), and neither that of the management UI (15672); where "
        "RabbitMQ asks for a client's certificate, add ?certfile=…&keyfile=… of one that it trusts",
        "add ?cafile=/path/of/the/authority.pem to PROGRESS_WS_AMQP_URL, or correct the host in it",
    )


def node(name: str, variable: str = "PROGRESS_WS_URL", check: str = "node") -> Place:
    """A node, or another HTTP server."""
    return Place(
        check,
        name,
        variable,
        f"correct {variable}: http:// takes a plain port, https:// one that speaks TLS",
        f"let SSL_CERT_FILE name the authority's certificate, or correct the host in {variable}",
    )


def unreachable(place: Place, exc: Exception) -> Finding:
    """Say why a connection could not be had, and what mends it."""
    if isinstance(exc, BadCertificate):
        return told(place.check, exc)
    for cause in _causes(exc):
        if (found := _of_network(place, cause)) is not None:
            return problem(place.check, *found)
    if isinstance(exc, LinkRefused):
        return told(place.check, exc)
    return problem(
        place.check,
        " ".join(str(exc).split()),
        f"see whether it is {place.name} that answers there, and correct {place.variable} if not",
    )


def _of_network(place: Place, exc: BaseException) -> tuple[str, str] | None:
    match exc:
        case ssl.SSLCertVerificationError():
            said = exc.verify_message or exc.reason
            return f"the certificate of {place.name} is not accepted ({said})", place.ca_hint
        case ssl.SSLError():
            return f"{place.name} does not speak TLS as expected ({exc.reason})", place.tls_hint
        case socket.gaierror():
            return (
                f"the host of {place.name} has no address ({exc.strerror})",
                f"correct the host in {place.variable}, or the name service of this machine",
            )
        case TimeoutError():
            return (
                f"{place.name} does not answer",
                f"correct the port in {place.variable}, open the firewall, or restart what hangs",
            )
        case ConnectionResetError() | EOFError():
            return f"{place.name} hung up at once", place.tls_hint
        case OSError() if _is_refusal(exc):
            return (
                f"nobody listens: {place.name} refused the connection",
                f"start it, or correct host and port in {place.variable}",
            )
        case OSError() if exc.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
            return (
                f"there is no way to {place.name} ({exc.strerror})",
                f"correct the host in {place.variable}, or the network of this machine",
            )
    return None


def _is_refusal(exc: OSError) -> bool:
    """Tell whether all addresses of a host refused; of several the library keeps the text alone."""
    return exc.errno == errno.ECONNREFUSED or f"[Errno {errno.ECONNREFUSED}]" in str(exc)


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Give an error and what it came from, the innermost first: that one says most."""
    chain = [exc]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        if cause in chain:
            break
        chain.append(cause)
    return reversed(chain)
