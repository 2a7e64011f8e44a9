"""The other workers behind the same port: whoever is asked answers for all of them."""

import asyncio
from pathlib import Path

import aiohttp

ASK_TIMEOUT_S = 2.0


class Siblings:
    """Each worker also listens on a Unix socket, in a folder that only they can enter."""

    def __init__(self, folder: Path, *, own: int, count: int) -> None:
        self._folder = folder
        self._own = own
        self._count = count

    @property
    def socket_path(self) -> str:
        """Where this worker is asked by the others."""
        return str(self._path(self._own))

    async def ask(self, path: str) -> dict[int, tuple[int, str]]:
        """Ask the others; return status and body by worker, 0 and the reason where none came."""
        others = [worker for worker in range(1, self._count + 1) if worker != self._own]
        answers = await asyncio.gather(*(self._ask(worker, path) for worker in others))
        return dict(zip(others, answers, strict=True))

    async def _ask(self, worker: int, path: str) -> tuple[int, str]:
        timeout = aiohttp.ClientTimeout(total=ASK_TIMEOUT_S)
        connector = aiohttp.UnixConnector(str(self._path(worker)))
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(f"http://worker{path}", params={"worker": "own"}) as response,
            ):
                return response.status, await response.text()
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            return 0, f"worker {worker} does not answer: {type(exc).__name__}"

    def _path(self, worker: int) -> Path:
        return self._folder / f"{worker}.sock"
