"""Questions over HTTP: to nodes and to RabbitMQ's management API."""

import asyncio
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import aiohttp

from progress_ws.broker.seam import LinkLost
from progress_ws.broker.urls import censored

TIMEOUT_S = 4.0
ANSWER_MAX_BYTES = 4 * 1024 * 1024
DATE_RESOLUTION_S = 1.0


class Question(NamedTuple):
    """A request that changes nothing.

    Attributes:
        url: may hold a login.
        body: makes it a POST.
    """

    url: str
    body: bytes | None = None
    headers: Mapping[str, str] = {}


class Answer(NamedTuple):
    """What came back.

    Attributes:
        ahead_s: how far the clock of who answered is ahead of ours; None: it told no time.
    """

    status: int
    type: str
    body: bytes
    location: str = ""
    ahead_s: float | None = None


async def ask(*questions: Question) -> list[Answer | LinkLost]:
    """Ask all at once; an error, whose cause the network told, stands for a missing answer."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return await asyncio.gather(*(_ask(session, question) for question in questions))


async def _ask(session: aiohttp.ClientSession, question: Question) -> Answer | LinkLost:
    method = "GET" if question.body is None else "POST"
    begun_s = time.time()
    try:
        async with session.request(
            method,
            question.url,
            data=question.body,
            headers=question.headers,
            allow_redirects=False,
        ) as response:
            middle_s = (begun_s + time.time()) / 2
            return Answer(
                response.status,
                response.content_type,
                await _body(response),
                response.headers.get("Location", ""),
                _ahead_s(response.headers.get("Date", ""), middle_s),
            )
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
        lost = LinkLost(f"{censored(question.url)}: {str(exc) or type(exc).__name__}")
        lost.__cause__ = exc
        return lost


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for block in response.content.iter_any():
        body += block
        if len(body) > ANSWER_MAX_BYTES:
            break
    return bytes(body)


def _ahead_s(date: str, now_s: float) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() + DATE_RESOLUTION_S / 2 - now_s
    except ValueError:
        return None
