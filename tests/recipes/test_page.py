"""The page of the recipes, in a browser: shows the bar, keeps it over a reload, stops the job."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.local import free_port
from deploy.local.process import accepts
from tests.recipes.conftest import APP_PORT, Cook
from tests.recipes.readme import FOLDER, commands
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Browser

NODE = "http://127.0.0.1:8080"
"""Where the page believes the node to be, and where it is if nobody says otherwise."""

pytestmark = [pytest.mark.broker, pytest.mark.browser]


async def test_the_page_shows_a_job_over_a_reload_and_stops_another(
    cook: Cook, chromium: "Browser", tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    shutil.copytree(FOLDER, copies)
    (command,) = commands("FastAPI")
    app = cook(command, recipes=copies)
    (serve,), port = commands("RabbitMQ and a node"), free_port()
    cook(serve.replace(f":{APP_PORT}", f":{app.port}"), PROGRESS_WS_PORT=str(port))
    text = (copies / "page.html").read_text()
    assert NODE in text
    (copies / "page.html").write_text(text.replace(NODE, f"http://127.0.0.1:{port}"))
    await eventually(lambda: accepts(port))

    page = await chromium.new_page()
    errors: list[object] = []
    page.on("pageerror", lambda error: errors.append(error))
    await page.goto(app.url)
    await page.click("#start")
    await page.wait_for_function("bar.value > 2")
    await page.reload()
    await page.wait_for_function("line.textContent.startsWith('done') && bar.value == 40")

    await page.click("#start")
    await page.wait_for_function("line.textContent.startsWith('running')")
    await page.click("#stop")
    await page.wait_for_function("line.textContent.startsWith('cancelled')")
    assert await page.evaluate("bar.value < 40")
    assert errors == []
