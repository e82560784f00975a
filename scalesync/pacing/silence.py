"""What the controller does while nothing passes: pure, frozen, times in seconds.

An allowance that is used up comes back when its window ends, and nothing shows when that is. So one request at a time
asks: soon, when a window of a second must have ended, then ever more rarely. What got through from the end of one
silence to the end of the next is what the limit gives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from scalesync.pacing.ceiling import FEW, LOW, MANY, SHOWN_TRIPS, SLACK_S, Limit
from scalesync.pacing.changed import replace

ASKED_S = (0.3, 1.05)  # of silence; any window of a second has ended by the second; then after 3, 7, 15 s
ASKED_MAX_S = 8.0  # from one question to the next
ASKED_SHARE, ASKED_LONGEST_S = 0.1, 30.0  # and in a silence of minutes
SHORT_S = 1.5  # a shorter silence is too short to measure a window by
WINDOW_S = 2.0  # and a longer one shows that there is a window
WINDOW_MAX_S = 3600.0


@dataclass(frozen=True)
class DryState(Limit):
    """`dry` is one more than the number of questions that were refused in this silence."""

    def hushed(self, now: float) -> Self:
        """A window is full and the search for the limit pauses: the first request to ask goes alone."""
        return self if self.dry or now >= self.hold_until else replace(self, dry=1, dry_since=self.cut_at)

    def dried(self, now: float, sent: float) -> Self:
        """Nothing has passed since the last cut: ask more and more rarely."""
        since = self.dry_since if self.dry else max(self.cut_at, now - 2 * SHOWN_TRIPS * self.latency_s)
        silent_s, asked = now - since, max(1, self.dry)
        due_s = ASKED_S[asked - 1] if asked <= len(ASKED_S) else 2.0 ** min(asked - 1, 10) - 1
        most_s = min(ASKED_LONGEST_S, max(ASKED_MAX_S, ASKED_SHARE * silent_s))
        return replace(
            self,
            dry=asked + 1,
            dry_since=since,
            hold_until=max(self.hold_until, now + min(most_s, max(self.latency_s, due_s - silent_s))),
            cut_at=now,
            look_from=math.inf,
        ).anchored(sent)

    def resumed(self, now: float, count: int) -> Self:
        """Something passes again: `count` calls."""
        silent_s = now - self.dry_since
        if self.fixed or self.resumed_at is None or now <= self.resumed_at or self.ceiling is None:
            return self
        if self.resumed_gain <= count:  # nothing had passed before, so this shows only the length of the silence
            return replace(self, resumed_at=now, resumed_gain=0)
        if silent_s >= SHORT_S:
            return self._measured(now, now - self.resumed_at, silent_s)
        if self.window_s:
            return replace(self, credit=-self.ceiling * self.window_s)
        if self.dry <= len(ASKED_S) or self.resumed_gain > MANY:
            return self
        # A tiny limit behind an allowance, or a window of a second: between what the two would mean
        tiny = gave = 1.5 / max(silent_s, 1e-3)
        if self.resumed_gain > FEW:
            gave = max(tiny, self.resumed_gain / (now - self.resumed_at))
        ceiling = self.capped(min(self.ceiling, math.sqrt(tiny * gave)))
        return replace(self, ceiling=ceiling, rate=self.capped(min(self.rate, LOW * ceiling)))

    def _measured(self, now: float, span_s: float, silent_s: float) -> Self:
        ceiling = self.capped(self.resumed_gain / span_s)
        # A few calls before a silence may as well have met a server that was away
        known = self.resumed_gain >= FEW or self.sure
        window_s = min(WINDOW_MAX_S, max(self.window_s, span_s)) if known and silent_s >= WINDOW_S else self.window_s
        return replace(
            self,
            ceiling=ceiling,
            rate=self.capped(LOW * ceiling),
            look_rate=ceiling,
            resumed_at=now,
            resumed_gain=0,
            sure=known,
            window_s=window_s,
            credit=-ceiling * max(SLACK_S, window_s),  # a new window is full
            cost_s=max(self.cost_s, min(silent_s, WINDOW_S)),
        )
