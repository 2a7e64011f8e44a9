"""What these tests share: no event loop, no clock, no network."""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A test machine may be busy: how long one example takes says nothing.
settings.register_profile("progress-ws", deadline=None)
settings.load_profile("progress-ws")


@pytest.fixture
def no_collector() -> Iterator[None]:
    """For what exhausts the stack: hypothesis watches the collector by a function of Python's,
    which fails if it is called there, and a warning of that would be an error.
    """
    gc.disable()
    yield
    gc.enable()
