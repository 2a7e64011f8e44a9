"""Whether this machine's clock agrees with those of others. Nothing here waits."""

from progress_ws.doctor.findings import Finding, ok, problem, unchecked

CHECK = "clock"
TOLERATED_S = 5.0
"""What others say is in whole seconds, and some time on its way."""
MAX_SENDERS = 1000


class Offsets:
    """How far the clocks of others are from this machine's, as far as they told the time."""

    def __init__(self) -> None:
        self._by_sender: dict[str, float] = {}

    def note(self, sender: str, ahead_s: float) -> None:
        """Note an offset; of several of one sender the least counts: others were delayed."""
        known = self._by_sender.get(sender)
        if known is None and len(self._by_sender) >= MAX_SENDERS:
            return
        if known is None or abs(ahead_s) < abs(known):
            self._by_sender[sender] = ahead_s

    def finding(self) -> Finding:
        """Judge them all."""
        off = {s: o for s, o in self._by_sender.items() if abs(o) > TOLERATED_S}
        if not self._by_sender:
            return unchecked(CHECK, "nobody told the time: no message came, and no node was asked")
        if not off:
            count = len(self._by_sender)
            return ok(CHECK, f"within {TOLERATED_S:g} s of {count} other clock{'s' * (count > 1)}")
        sender, ahead_s = max(off.items(), key=lambda item: abs(item[1]))
        which = "behind" if ahead_s > 0 else "ahead of"
        others = f", and differs from {len(off) - 1} more" if len(off) > 1 else ""
        if len(off) == len(self._by_sender) > 1:
            others = f", and differs from all {len(off)} others: it is wrong itself"
        return problem(
            CHECK,
            f"this machine's clock is {abs(ahead_s):.0f} s {which} that of {sender}{others}",
            "let NTP set both clocks (timedatectl set-ntp true); it only disturbs the times that "
            "are shown and the latencies that are measured, never what is delivered",
        )
