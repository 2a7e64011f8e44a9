"""The browser client's unit tests, which are JavaScript and run in Node.js."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CLIENTS = ["progress-ws.js", pytest.param("src/progress-ws.js", marks=pytest.mark.slow)]
"""What is served, and what it is built from: a bundle could lose what the sources have."""
SUITES = sorted(path.name for path in HERE.glob("*.test.mjs"))


def test_there_are_suites() -> None:
    assert SUITES


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("suite", SUITES)
def test_client(suite: str, client: str) -> None:
    node = shutil.which("node")
    assert node, "Node.js 18 or newer is needed: apt-get install nodejs"
    result = subprocess.run(
        [node, "--test", "--test-reporter=tap", suite],
        cwd=HERE,
        env=os.environ | {"CLIENT": f"../../progress_ws/client/{client}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, _failures(result.stdout) + result.stderr
    # A suite that could not find its tests would pass as well.
    assert re.search(r"^# pass [1-9]", result.stdout, re.MULTILINE), result.stdout


def _failures(tap: str) -> str:
    """Only what failed: each `not ok` line with its details."""
    return "\n".join(re.findall(r"^ *not ok .*?^ *\.\.\.$", tap, re.MULTILINE | re.DOTALL))
