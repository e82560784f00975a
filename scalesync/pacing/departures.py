"""How wide it was when a request left: this distinguishes a cap on requests in flight from a limit on the rate.

Bounded memory: the last `SENDS` departures. Times in seconds of the caller's clock, in order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque

SENDS = 256
ENOUGH = 40  # departures with a known end that a 429 is compared with


class Flights:
    """The last departures: when, how many were in flight then, and which were answered 429."""

    __slots__ = ("_refused", "_times", "_widths")

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=SENDS)
        self._widths: deque[int] = deque(maxlen=SENDS)
        self._refused: deque[float] = deque(maxlen=SENDS)

    def sent(self, now: float, in_flight: int) -> None:
        """A request left; in_flight counts it."""
        self._times.append(now)
        self._widths.append(in_flight)

    def refused(self, now: float, latency_s: float) -> int | None:
        """A 429 came at `now`, `latency_s` after it left: how many were in flight then, or None.

        A number comes back only where every other request that left as wide, or wider, and whose reply is due was
        refused as well, and enough left less wide: 429s that are about the rate fall anywhere.
        """
        times = list(self._times)
        place = bisect_right(times, now - latency_s + 1e-6) - 1
        if place < 0:
            return None
        self._refused.append(times[place])
        widths = list(self._widths)
        wide = widths[place]
        due = bisect_right(times, now - 2 * latency_s)
        if due < ENOUGH:
            return None
        refused = set(self._refused)
        passed_as_wide = sum(1 for i in range(due) if widths[i] >= wide and times[i] not in refused)
        return wide if passed_as_wide == 0 else None
