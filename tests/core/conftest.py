"""What these tests share: no event loop, no clock, no network."""

from hypothesis import settings

# A test machine may be busy: how long one example takes says nothing.
settings.register_profile("progress-ws", deadline=None)
settings.load_profile("progress-ws")
