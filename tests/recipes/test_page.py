"""The recipes' pages in a browser: each shows the bar, keeps it over a reload, stops the job."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.local import free_port
from deploy.local.process import accepts
from tests.recipes.conftest import APP_PORT, Cook, Recipe
from tests.recipes.readme import FOLDER, commands
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

NODE = "http://127.0.0.1:8080"
"""Where the page believes the node to be, and where it is if nobody says otherwise."""

PROJECT = FOLDER.parents[1]
TOOLS = json.loads((PROJECT / "tests/client/package.json").read_text())["devDependencies"]
BUILD_S = 120
COUNTED = re.compile(r"^\d+ of 40 pages$")

pytestmark = [pytest.mark.broker, pytest.mark.browser]


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """The recipes in a checkout of their own, as nobody has built them yet."""
    folder = tmp_path / "deploy" / "recipes"
    built = shutil.ignore_patterns("node_modules", "dist", "package-lock.json", "__pycache__")
    shutil.copytree(FOLDER, folder, ignore=built)
    client = PROJECT / "progress_ws" / "client"
    shutil.copytree(client, tmp_path / "progress_ws" / "client")
    return folder


async def serve(cook: Cook, copies: Path, sources: list[str]) -> Recipe:
    """Start a node, where those sources look for it, and the application that has the job."""
    (command,) = commands("FastAPI")
    app = cook(command, recipes=copies)
    (node,), port = commands("RabbitMQ and a node"), free_port()
    cook(node.replace(f":{APP_PORT}", f":{app.port}"), PROGRESS_WS_PORT=str(port))
    for name in sources:
        text = (copies / name).read_text()
        assert NODE in text
        (copies / name).write_text(text.replace(NODE, f"http://127.0.0.1:{port}"))
    await eventually(lambda: accepts(port))
    return app


async def use(page: "Page", url: str) -> None:
    """Do what a visitor does: order a report, reload in its midst, order another, stop it."""
    errors: list[object] = []
    page.on("pageerror", lambda error: errors.append(error))
    await page.goto(url)
    start = page.get_by_role("button", name="Make the report")
    bar = page.locator("progress-live")
    await start.click()
    await bar.locator("[part=count]").filter(has_text=COUNTED).wait_for()
    await page.reload()
    await bar.and_(page.locator("[state=done]")).wait_for()
    assert await bar.locator("progress").get_attribute("value") == "1"

    await start.click()
    await bar.and_(page.locator("[state=running]")).wait_for()
    await bar.get_by_role("button", name="Cancel Report").click()
    await bar.and_(page.locator("[state=cancelled]")).wait_for()
    await bar.locator("[part=status]").filter(has_text="Cancelled").wait_for()
    assert errors == []


async def test_the_page_shows_a_job_over_a_reload_and_stops_another(
    cook: Cook, chromium: "Browser", copies: Path
) -> None:
    app = await serve(cook, copies, ["page.html"])
    await use(await chromium.new_page(), app.url)


@pytest.mark.slow
@pytest.mark.parametrize(("framework", "source"), [("React", "app.jsx"), ("Vue", "app.js")])
async def test_a_framework_shows_a_job_over_a_reload_and_stops_another(
    cook: Cook, chromium: "Browser", copies: Path, framework: str, source: str
) -> None:
    name = framework.lower()
    app = await serve(cook, copies, [f"{name}/{source}"])
    for command in commands(framework):
        build(command, copies)
    page = await chromium.new_page()
    await use(page, f"{app.url}/{name}/")
    await page.reload()
    await page.locator("progress-live[state=cancelled]").wait_for()
    assert await page.get_by_text("It is ready.").count() == 0
    await page.get_by_role("button", name="Make the report").click()
    await page.get_by_text("It is ready.").wait_for()


@pytest.mark.parametrize("name", ["react", "vue"])
def test_the_recipes_use_what_is_installed_for_the_tests(name: str) -> None:
    """So npm finds it in its cache, and the versions of a recipe rise with those of the tests."""
    wanted = json.loads((FOLDER / name / "package.json").read_text())
    packages = wanted["dependencies"] | wanted["devDependencies"]
    assert packages.pop("progress-ws") == "file:../../../progress_ws/client"
    assert packages == {package: TOOLS[package] for package in packages}


def build(command: str, folder: Path) -> None:
    """Run a line of the README; npm takes from its cache what is there."""
    settings = {"npm_config_prefer_offline": "true", "npm_config_package_lock": "false"}
    quiet = {"npm_config_audit": "false", "npm_config_fund": "false"}
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=os.environ | settings | quiet,
        capture_output=True,
        text=True,
        timeout=BUILD_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
