"""Publishers in Java: with RabbitMQ's own client, and with Spring's template."""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local import Node
from progress_ws import new_sid
from tests.recipes.conftest import Cook
from tests.recipes.readme import FOLDER, commands
from tests.recipes.watching import ordered, seen
from tests.support.tab import tab
from tests.support.waiting import eventually

AMQP_JAR = Path("/usr/share/java/amqp-client.jar")
BUILD_S = 600

needs_jdk = pytest.mark.skipif(not shutil.which("javac"), reason="needs a JDK, 17 or newer")
pytestmark = [pytest.mark.broker, pytest.mark.slow, needs_jdk]


@pytest.mark.skipif(not AMQP_JAR.exists(), reason="needs Debian's librabbitmq-client-java")
async def test_a_java_program_is_watched_to_its_end(cook: Cook, node: Node) -> None:
    sid = new_sid()
    async with tab(node.url, sid=sid) as browser:
        (command,) = commands("Java")
        program = cook(command, SID=sid)
        states = await seen(browser)
    assert [state["current"] for state in states] == list(range(21))
    assert states[-1]["state"] == "done"
    await eventually(lambda: program.returncode == 0)


@pytest.mark.timeout(BUILD_S + 120)
@pytest.mark.skipif(not shutil.which("mvn"), reason="needs Maven")
async def test_a_spring_boot_application_is_watched_to_its_end(
    cook: Cook, node: Node, tmp_path: Path
) -> None:
    copies = tmp_path / "copies"
    shutil.copytree(FOLDER, copies)
    await asyncio.to_thread(build, copies / "spring")
    (command,) = commands("Spring Boot")
    app = cook(command, recipes=copies)
    async with tab(node.url, sid=await ordered(app.url)) as browser:
        states = await seen(browser)
    assert [state["current"] for state in states][-1] == 40
    assert states[-1]["state"] == "done"


def build(project: Path) -> None:
    """Compile it, which also fetches what it needs; skips the test where that cannot be had."""
    command = ["mvn", "--quiet", "--batch-mode", "compile"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=BUILD_S)
    if found := re.search(r"Non-resolvable .*|Could not (?:resolve|transfer) .*", done.stdout):
        pytest.skip(f"Maven cannot fetch Spring Boot: {found[0].partition(' from/to ')[0]}")
    assert done.returncode == 0, done.stdout
