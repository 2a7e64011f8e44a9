"""Imports point inward only: the arrows between the rooms of the package, and what each may use."""

import ast
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: What each room may import of the package besides itself; nothing may import cli and demo.
INWARD = {"publish", "broker", "core", "errors"}
ARROWS = {
    "errors": set(),
    "core": {"errors"},
    "broker": {"core", "errors"},
    "publish": {"broker", "core", "errors"},
    "the package itself": {"publish", "core", "errors"},
    **{adapter: INWARD - {"broker"} for adapter in ("tqdm", "rich", "celery", "logging")},
    "node": {"broker", "core", "errors"},
    "doctor": {"node", "broker", "core", "errors"},
    "cli": {"node", "doctor", "the package itself"} | INWARD,
    "demo": {"node", "the package itself"} | INWARD,
    "__main__": {"cli"},
}

#: The rooms, or single modules, that may use a library.
USERS = {
    "aio_pika": {"broker"},
    "aiormq": {"broker"},
    "pamqp": {"broker"},
    "tqdm": {"tqdm"},
    "rich": {"rich"},
    "celery": {"celery"},
    "aiohttp": {"node", "demo", "publish.http", "cli.watch", "doctor.web"},
    "prometheus_client": {"node"},
    "structlog": {"node", "cli", "demo"},
    "uvloop": {"node"},
}

MAX_LINES = 350


def parsed() -> dict[str, ast.Module]:
    """Every module of the package by its full name."""
    trees = {}
    for path in (ROOT / "progress_ws").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        trees[name] = ast.parse(path.read_text(), str(path))
    return trees


def imports(tree: ast.Module, modules: Collection[str]) -> Iterator[str]:
    """The full name of everything that is imported, at the top or anywhere inside."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in modules else str(node.module)


def room(module: str) -> str:
    """The room that a module of the package is in."""
    return module.split(".")[1] if "." in module else "the package itself"


def forbidden(trees: dict[str, ast.Module]) -> list[str]:
    """Every import that the two tables do not allow."""
    found = []
    for module, tree in trees.items():
        here = room(module)
        for name in imports(tree, trees):
            top = name.split(".")[0]
            if top == "progress_ws":
                allowed = room(name) in ARROWS[here] | {here}
            elif top in USERS:
                allowed = bool({here, module.removeprefix("progress_ws.")} & USERS[top])
            else:
                allowed = True
            if not allowed:
                found.append(f"{module} imports {name}")
    return found


TREES = parsed()


def test_every_import_is_allowed() -> None:
    assert forbidden(TREES) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("progress_ws.core.hub", "from progress_ws.broker.feed import AmqpFeed"),
        ("progress_ws.core.hub", "def f():\n    import progress_ws.node.app"),
        ("progress_ws.broker.feed", "from progress_ws import node"),
        ("progress_ws.publish.publisher", "import aiohttp.web"),
        ("progress_ws.publish.publisher", "import structlog"),
        ("progress_ws.node.app", "from aio_pika import connect"),
        ("progress_ws.node.app", "from progress_ws.demo import page"),
        ("progress_ws.node.app", "from progress_ws import Publisher"),
    ],
)
def test_a_forbidden_import_is_seen(module: str, line: str) -> None:
    planted = {"progress_ws.node": ast.parse(""), module: ast.parse(line)}
    assert len(forbidden(planted)) == 1


def test_no_module_imports_itself_over_others() -> None:
    graph = {
        module: {name for name in imports(tree, TREES) if name in TREES and name != module}
        for module, tree in TREES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        pytest.fail(f"a cycle of imports: {' <- '.join(exc.args[1])}")


@pytest.mark.parametrize("module", sorted(name for name in TREES if room(name) == "core"))
def test_core_does_not_wait(module: str) -> None:
    if module == "progress_ws.core.outbox":
        pytest.skip("waits for 'something is there', and for nothing else")
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert [node.lineno for node in ast.walk(TREES[module]) if isinstance(node, waiting)] == []


@pytest.mark.parametrize("module", sorted(TREES))
def test_a_module_is_read_in_one_sitting(module: str) -> None:
    path = ROOT.joinpath(*module.split("."))
    file = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    assert len(file.read_text().splitlines()) <= MAX_LINES
