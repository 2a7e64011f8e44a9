"""A node's event loop is uvloop's where that is installed, and asyncio's otherwise."""

import asyncio
import sys

import pytest

from progress_ws.node.loop import run


async def name_of_loop() -> str:
    return type(asyncio.get_running_loop()).__module__


def test_with_uvloop_it_is_taken() -> None:
    assert run(name_of_loop()).startswith("uvloop")


def test_without_it_asyncio_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run(name_of_loop()).startswith("asyncio")
