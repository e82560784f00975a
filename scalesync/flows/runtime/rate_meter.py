"""RateMeter: the rate at which a count grows, and the time for the rest at that rate."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

RATE_WINDOW_S = 5.0
MARK_S = 0.1  # marks that are closer together add nothing
# A rate counts as steady if the rate over the last half minute, or since the beginning, differs by less than a third.
STEADY_WINDOW_S = 30.0
STEADY_FROM_S = 5.0
STEADY_SHARE = 1 / 3


class RateMeter:
    """The rate over the last few seconds, from a count that is reported a few times a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.started = clock()
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque()

    @property
    def seconds(self) -> float:
        """Seconds since the meter was made."""
        return self._clock() - self.started

    def rate(self, count: int) -> float:
        """Items per second over the last five seconds."""
        now = self._clock()
        if self._marks and count < self._marks[-1][1]:
            self._marks.clear()  # something else is counted from here on
        if len(self._marks) > 1 and self._marks[-1][0] - self._marks[-2][0] < MARK_S:
            self._marks.pop()
        self._marks.append((now, count))
        while len(self._marks) > 2 and now - self._marks[1][0] >= STEADY_WINDOW_S:
            self._marks.popleft()
        return self._since(now - RATE_WINDOW_S)

    def left_s(self, left: float) -> float | None:
        """Seconds for `left` more; None if the rate of the last seconds is not steady.

        A quota that fills in bursts, a climb to an unknown limit and a server that came back a moment ago give rates
        that do not hold for the next minutes.
        """
        if not self._marks or self._marks[-1][0] - self._marks[0][0] < STEADY_FROM_S:
            return None
        now = self._marks[-1][0]
        lately, longer = self._since(now - RATE_WINDOW_S), self._since(now - STEADY_WINDOW_S)
        if lately <= 0 or abs(lately - longer) > STEADY_SHARE * max(lately, longer):
            return None
        return max(left, 0.0) / lately

    def _since(self, begin: float) -> float:
        """Items per second from the last mark before `begin`, or the first one, to the last."""
        now, count = self._marks[-1]
        first_at, first = self._marks[0]
        for at, seen in self._marks:
            if at > begin:
                break
            first_at, first = at, seen
        passed = now - first_at
        return (count - first) / passed if passed > 0 and math.isfinite(passed) else 0.0
