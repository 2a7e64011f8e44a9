"""What a browser sees of a job, to its end."""

import json
from typing import Any

import aiohttp

from tests.support.tab import Tab

FINAL = {"done", "failed", "cancelled"}


async def ordered(url: str) -> str:
    """Ask a web application for the report; the sid that it answers."""
    async with aiohttp.ClientSession() as http, http.post(f"{url}/reports") as answer:
        assert answer.status == 202, await answer.text()
        return str((await answer.json())["sid"])


async def seen(
    browser: Tab, key: str = "report", *, cancel_at: float | None = None
) -> list[dict[str, Any]]:
    """The states of a key up to its final one; asks to stop once it has come to `cancel_at`."""
    states: list[dict[str, Any]] = []
    while not states or states[-1]["state"] not in FINAL:
        frame = await browser.frame()
        assert frame["type"] == "message", frame
        assert (frame["key"], frame["message"]["kind"]) == (key, "progress")
        states.append(frame["message"])
        assert frame.get("final", False) == (states[-1]["state"] in FINAL)
        if cancel_at is not None and states[-1].get("current", 0) >= cancel_at:
            await browser.socket.send(
                json.dumps({"type": "cancel", "sid": browser.sid, "key": key})
            )
            cancel_at = None
    return states
