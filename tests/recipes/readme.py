"""What deploy/recipes/README.md shows: the text of files, and commands."""

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "deploy" / "recipes"
FILES = sorted(
    path
    for path in FOLDER.rglob("*.*")
    if path.is_file()
    and path.name != "README.md"
    and path.name != "package-lock.json"
    and {"__pycache__", "target", "node_modules", "dist"}.isdisjoint(
        path.parts
    )  # what running leaves
)

_TEXT = (FOLDER / "README.md").read_text()
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PREPARES = ("pip ", "apt-get ", "export ")


def blocks(section: str | None = None) -> list[tuple[str, str]]:
    """Language and text of the code in a section, or in all of them."""
    text = _TEXT if section is None else _TEXT.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return _FENCE.findall(text)


def commands(section: str) -> list[str]:
    """The lines for a shell, without what installs and sets up."""
    files = {path.read_text() for path in FILES}
    shell = [text for language, text in blocks(section) if language == "sh" and text not in files]
    lines = "".join(shell).splitlines()
    return [line for line in lines if not line.startswith(_PREPARES)]
