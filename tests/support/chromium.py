"""Chromium: what it is called, and how it is started."""

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local import Process
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Page

#: A browser that asks nobody but the page, on whatever machine.
CHROMIUM_ARGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
START_S = 30


def chromium_path() -> str:
    """Where the system's Chromium is."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise FileNotFoundError("Chromium is not installed: run deploy/install.sh test")


class Chromium(Process):
    """Chromium as people have it: one that playwright starts shows every tab at all times.

    Only here a tab behind another one is hidden, its timers are slowed down and it may be frozen.
    """

    def __init__(self, folder: Path) -> None:
        self._port_file = folder / "profile" / "DevToolsActivePort"
        super().__init__(
            [
                chromium_path(),
                *CHROMIUM_ARGS,
                "--headless=new",
                "--no-sandbox",
                "--remote-debugging-port=0",
                f"--user-data-dir={folder / 'profile'}",
                "about:blank",
            ],
            log=folder / "chromium.log",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder)},
        )

    @property
    def url(self) -> str:
        """Where it is driven from."""
        return f"http://127.0.0.1:{self._port_file.read_text().split()[0]}"

    def wait_ready(self) -> None:
        """Wait until it can be driven."""
        self.wait_until(self._is_driven, timeout_s=START_S, what="the start of Chromium")

    def close(self) -> None:
        """Kill it: its profile is thrown away."""
        self.kill()

    def _is_driven(self) -> bool:
        return self._port_file.exists() and len(self._port_file.read_text().split()) > 1


class Drawer:
    """Puts a tab of `Chromium` behind another one, frozen or not, and takes it out again."""

    def __init__(self, page: "Page") -> None:
        self._page = page

    async def hide(self) -> None:
        """Open another tab in front of it."""
        other = await self._page.context.new_page()
        await other.bring_to_front()
        await eventually(self._is_hidden, what="a hidden tab")

    async def freeze(self) -> None:
        """Hide it, and have it do nothing any more."""
        await self.hide()
        cdp = await self._page.context.new_cdp_session(self._page)
        await cdp.send("Page.setWebLifecycleState", {"state": "frozen"})

    async def show(self) -> float:
        """Bring it to the front; returns when that began, on the clock of `time.monotonic`."""
        shown = time.monotonic()
        await self._page.bring_to_front()
        return shown

    async def _is_hidden(self) -> bool:
        return bool(await self._page.evaluate("document.hidden"))
