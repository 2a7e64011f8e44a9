"""Small limits in time: how often something may happen."""

from collections import deque


class FrameQuota:
    """At most `limit` frames in any `window_s` seconds, exactly (a sliding window)."""

    __slots__ = ("_limit", "_recent", "_window_s")

    def __init__(self, *, limit: int, window_s: float) -> None:
        self._limit = limit
        self._window_s = window_s
        self._recent: deque[float] | None = None  # of no use to the many that say nothing

    def spend(self, now_s: float) -> bool:
        """Count one frame; False when it is one too many."""
        recent = self._recent
        if recent is None:
            recent = self._recent = deque(maxlen=self._limit)
        if len(recent) == recent.maxlen and now_s - recent[0] < self._window_s:
            return False
        recent.append(now_s)
        return True


class OncePer:
    """Lets each kind of event through once per interval and counts what it held back."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._last_s: dict[str, float] = {}
        self._held: dict[str, int] = {}

    def admit(self, kind: str, now_s: float) -> int | None:
        """Return how many of this kind were held back since the last one, or None to hold this.

        `kind` comes from a small fixed set, which is what bounds the memory.
        """
        last_s = self._last_s.get(kind)
        if last_s is not None and now_s - last_s < self._interval_s:
            self._held[kind] = self._held.get(kind, 0) + 1
            return None
        self._last_s[kind] = now_s
        return self._held.pop(kind, 0)
