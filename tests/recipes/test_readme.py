"""The README of the recipes shows the files as they are."""

from pathlib import Path

import pytest

from tests.recipes.readme import FILES, blocks

LANGUAGES = {".py": "python"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_readme_shows_the_file_as_it_is(path: Path) -> None:
    language = LANGUAGES.get(path.suffix, path.suffix.removeprefix("."))
    assert (language, path.read_text()) in blocks()


def test_the_readme_shows_no_code_of_its_own() -> None:
    texts = [path.read_text() for path in FILES]
    for language, text in blocks():
        if language != "sh":
            assert text in texts
