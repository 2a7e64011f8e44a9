"""Firefox as Debian has it, driven by WebDriver BiDi, which it speaks itself."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from deploy.local import Process

START_S = 30
NAME = "firefox-esr"


class Firefox(Process):
    """A Firefox with a new profile; driven from outside it asks nobody but the page."""

    def __init__(self, folder: Path) -> None:
        profile = folder / "profile"
        profile.mkdir(parents=True)
        self._port_file = profile / "WebDriverBiDiServer.json"
        super().__init__(
            [
                NAME,
                "--headless",
                "--remote-debugging-port=0",
                "--profile",
                str(profile),
            ],
            log=folder / "firefox.log",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder)},
        )

    def wait_ready(self) -> None:
        """Wait until it can be driven."""
        self.wait_until(self._is_driven, timeout_s=START_S, what="the start of Firefox")

    def close(self) -> None:
        """Kill it: its profile is thrown away."""
        self.kill()

    @asynccontextmanager
    async def tab(self) -> AsyncIterator["FirefoxTab"]:
        """Its first tab, for as long as the block lasts."""
        port = json.loads(self._port_file.read_text())["ws_port"]
        async with connect(f"ws://127.0.0.1:{port}/session", max_size=None) as socket:
            tab = FirefoxTab(socket)
            await tab.begin()
            yield tab

    def _is_driven(self) -> bool:
        return self._port_file.exists() and self._port_file.read_text().endswith("}")


class FirefoxTab:
    """One tab; one command at a time, and no events."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._context = ""
        self._sent = 0

    async def begin(self) -> None:
        """Take the tab that Firefox begins with."""
        await self._command("session.new", capabilities={})
        tree = await self._command("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]

    async def prepare(self, script: str) -> None:
        """Have each document of the tab run this before anything of its own."""
        await self._command("script.addPreloadScript", functionDeclaration=f"() => {{{script}}}")

    async def goto(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        await self._command(
            "browsingContext.navigate", context=self._context, url=url, wait="complete"
        )

    async def reload(self) -> None:
        """Load the page anew."""
        await self._command("browsingContext.reload", context=self._context, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """What an expression, or the promise that it is, comes to."""
        answer = await self._command(
            "script.evaluate",
            expression=f"(async () => JSON.stringify([await ({expression})]))()",
            awaitPromise=True,
            target={"context": self._context},
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])[0]

    async def click(self, element: str) -> None:
        """Click with the mouse on what an expression comes to."""
        box = await self.evaluate(f"({element}).getBoundingClientRect()")
        x, y = int(box["x"] + box["width"] / 2), int(box["y"] + box["height"] / 2)
        mouse = [
            {"type": "pointerMove", "x": x, "y": y},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        actions = [{"type": "pointer", "id": "mouse", "actions": mouse}]
        await self._command("input.performActions", context=self._context, actions=actions)

    async def _command(self, method: str, **params: object) -> dict[str, Any]:
        self._sent += 1
        await self._socket.send(json.dumps({"id": self._sent, "method": method, "params": params}))
        while True:
            answer = json.loads(await self._socket.recv())
            if answer.get("id") == self._sent:
                break
        assert answer["type"] == "success", f"{method}: {answer['message']}"
        result: dict[str, Any] = answer["result"]
        return result
