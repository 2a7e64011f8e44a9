"""The package for npm as its users have it: packed, installed, imported and compiled against."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TYPES = HERE / "types"
CLIENT = HERE.parents[1] / "progress_ws" / "client"
PACKAGE = json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))
EXPORTS = [name for name in PACKAGE["exports"] if name != "./package.json"]

pytestmark = pytest.mark.slow


def run(*argv: str | Path, cwd: Path) -> str:
    result = subprocess.run(argv, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive that `npm publish` would send."""
    folder = tmp_path_factory.mktemp("packed")
    run("npm", "pack", "--offline", "--pack-destination", folder, CLIENT, cwd=folder)
    (archive,) = folder.glob("*.tgz")
    return archive


@pytest.fixture(scope="module")
def project(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has it installed, and nothing else."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    argv = ["npm", "install", "--offline", "--no-audit", "--no-fund", "--no-package-lock", packed]
    run(*argv, cwd=folder)
    return folder


def test_the_package_has_what_it_names_and_nothing_else(project: Path) -> None:
    folder = project / "node_modules" / "progress-ws"
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    served = [path.name for path in CLIENT.iterdir() if path.is_file()]
    sources = [f"src/{path.name}" for path in (CLIENT / "src").iterdir()]
    assert names == sorted(served + sources)
    assert "dependencies" not in PACKAGE
    for target in re.findall(r'"(\./[^"]+)"', json.dumps(list(PACKAGE["exports"].values()))):
        assert target.removeprefix("./") in names


@pytest.mark.parametrize("name", [name for name in EXPORTS if "live" not in name])
def test_it_is_imported_in_node(project: Path, name: str) -> None:
    program = f"""
        globalThis.CustomEvent ??= class extends Event {{}}; // which Node.js 18 lacks
        const {{ ProgressClient }} = await import("progress-ws{name[1:]}");
        const sockets = [];
        class WebSocket {{ constructor(url) {{ sockets.push(url); }} close() {{}} }}
        const options = {{ url: "https://node.example/websocket/progress", WebSocket }};
        const client = new ProgressClient(options);
        client.close();
        console.log(JSON.stringify([client.state, sockets]));
    """
    answer = run("node", "--input-type=module", "-e", program, cwd=project)
    assert json.loads(answer) == ["closed", ["wss://node.example/websocket/progress"]]


@pytest.mark.parametrize(
    ("module", "resolution"),
    [("preserve", "bundler"), ("node16", "node16"), ("nodenext", "nodenext")],
)
def test_its_types_are_what_they_say(project: Path, module: str, resolution: str) -> None:
    folder = project / resolution
    shutil.copytree(TYPES, folder)
    tsc = HERE / "node_modules" / ".bin" / "tsc"
    options = ["--module", module, "--moduleResolution", resolution]
    run(tsc, "--project", folder, *options, cwd=project)


def test_a_program_with_a_mistake_is_refused(project: Path) -> None:
    # Else the test above could pass because nothing was looked at.
    folder = project / "mistaken"
    folder.mkdir()
    shutil.copy(TYPES / "tsconfig.json", folder)
    (folder / "client.ts").write_text('import { Progress } from "progress-ws";\nvoid Progress;\n')
    tsc = HERE / "node_modules" / ".bin" / "tsc"
    result = subprocess.run(
        [tsc, "--project", folder], cwd=project, capture_output=True, text=True, check=False
    )
    assert result.returncode != 0
    assert "TS2305" in result.stdout
