"""The browser modules that are served are what their sources build, small, and fit for any page."""

import configparser
import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
CLIENT = PROJECT / "progress_ws" / "client"
BUNDLES = ["progress-http.js", "progress-live-zh.js", "progress-live.js", "progress-ws.js"]
#: Of each gzipped. `progress-live.js` is the whole element: nothing but the Chinese texts is
#: loaded besides it and the client.
MAX_GZIPPED_BYTES = dict.fromkeys(BUNDLES, 3584) | {"progress-live.js": 4096}


def version() -> str:
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg")
    return setup["metadata"]["version"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    subprocess.run(["node", "build.mjs", folder], cwd=HERE, check=True, timeout=60)
    return folder


def test_no_other_bundle_is_served() -> None:
    assert sorted(path.name for path in CLIENT.glob("*.js")) == BUNDLES


def test_what_is_committed_is_what_the_sources_build(built: Path) -> None:
    assert sorted(path.name for path in built.iterdir()) == BUNDLES
    for name in BUNDLES:
        assert (built / name).read_bytes() == (CLIENT / name).read_bytes(), f"{name}: make client"


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_says_where_its_source_is(name: str) -> None:
    banner, *_ = (CLIENT / name).read_text(encoding="utf-8").splitlines()
    match = re.fullmatch(r"/\*! progress-ws (\S+) MIT (\S+) \*/", banner)
    assert match
    assert match[1] == version()
    assert (CLIENT / match[2]).is_file()


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_is_small(name: str) -> None:
    size = len(gzip.compress((CLIENT / name).read_bytes(), compresslevel=9, mtime=0))
    assert size <= MAX_GZIPPED_BYTES[name], f"{name}: {size} bytes"


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_works_under_a_strict_content_security_policy(name: str) -> None:
    text = (CLIENT / name).read_text(encoding="utf-8")
    forbidden = r"\beval\b|\bFunction\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write"
    inline = r"createElement\(.(script|style)|setAttribute\(.(on|style)|javascript:|blob:"
    timers = r"set(Timeout|Interval)\([\"'`]"
    assert re.findall(rf"{forbidden}|{inline}|{timers}", text) == []


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundler_finds_no_file_where_an_address_is_meant(name: str) -> None:
    # Vite and webpack take `new URL(…, import.meta.url)` for a file beside the module.
    text = (CLIENT / name).read_text(encoding="utf-8")
    assert not re.search(r"new URL\([^)]*import\.meta", text)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_imports_its_siblings_only(name: str) -> None:
    text = (CLIENT / name).read_text(encoding="utf-8")
    imported = re.findall(r"(?:from|import)\(?\"([^\"]+)\"", text)
    assert {path.removeprefix("./") for path in imported} <= set(BUNDLES)


def test_the_package_has_the_version_of_the_server() -> None:
    package = json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))
    assert package["version"] == version()
