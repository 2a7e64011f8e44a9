"""What an AMQP URL names for TLS, loaded before a connection is opened."""

import asyncio
import ssl
from base64 import b64decode

from yarl import URL

from progress_ws.broker.seam import LinkRefused


class BadCertificate(LinkRefused):
    """A file that the URL names for TLS is none that can be used; the text says the mend."""


async def load_context(url: URL) -> ssl.SSLContext | None:
    """Do what the library does with the same names, and say which file is wrong; it does not.

    Raises:
        BadCertificate: one is.
    """
    if url.scheme != "amqps":
        return None
    return await asyncio.get_running_loop().run_in_executor(None, _load, url)


def _load(url: URL) -> ssl.SSLContext:
    asked = url.query
    authority = {name: asked[name] for name in ("cafile", "capath", "cadata") if name in asked}
    own = {name: asked[name] for name in ("certfile", "keyfile") if name in asked}
    try:
        context = ssl.create_default_context(
            cafile=authority.get("cafile"),
            capath=authority.get("capath"),
            cadata=b64decode(authority["cadata"]) if "cadata" in authority else None,
        )
    except (OSError, ValueError) as exc:
        raise _bad(authority, exc, "certificates (PEM) that this user may read") from exc
    if "certfile" in own:
        try:
            context.load_cert_chain(**own, password=lambda: "")  # else it would ask at the terminal
        except (OSError, ValueError) as exc:
            raise _bad(own, exc, "a certificate and its key (PEM), without a password") from exc
    if asked.get("no_verify_ssl", "0") != "0":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _bad(names: dict[str, str], exc: Exception, wanted: str) -> BadCertificate:
    given = " and ".join(f"{name}={value}" for name, value in names.items())
    reason = getattr(exc, "reason", None) or getattr(exc, "strerror", None) or exc
    return BadCertificate(f"{given} in the AMQP URL cannot be used ({reason}): give it {wanted}")
