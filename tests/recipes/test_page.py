"""The page of the recipes, in a browser: shows the bar, keeps it over a reload, stops the job."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.local import Node
from tests.recipes.conftest import Cook
from tests.recipes.readme import FOLDER, commands

if TYPE_CHECKING:
    from playwright.async_api import Browser

NODE = "http://127.0.0.1:8080"
"""Where the page believes the node to be."""

pytestmark = [pytest.mark.broker, pytest.mark.browser]


async def test_the_page_shows_a_job_over_a_reload_and_stops_another(
    cook: Cook,
    amqp_url: str,
    node_process: Callable[..., Node],
    chromium: "Browser",
    tmp_path: Path,
) -> None:
    copies = tmp_path / "copies"
    shutil.copytree(FOLDER, copies)
    (command,) = commands("FastAPI")
    app = cook(command, recipes=copies)
    node = node_process(amqp_url=amqp_url, allowed_origins=app.url)
    text = (copies / "page.html").read_text()
    assert NODE in text
    (copies / "page.html").write_text(text.replace(NODE, node.url))

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
