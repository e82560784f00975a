"""The rate half of the adaptive controller: pure, frozen, times in seconds of the caller's clock.

No cap until the first 429. That one sets the rate to 0.85 of what got through and lets it grow by half each
second until the next one has shown where the limit is. Then: cuts at most once an interval, growth of 3 % a
second while the rate is used, slow close to the last limit, faster the further that one is left behind.

A limit on the rate is under us after a cut or two. Where 429s go on through cut after cut, they are not about
the rate: it is restored, and for a minute only 429s more frequent than those count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

INTERVAL_S = 1.0
INTERVAL_CALLS = 3.0  # an interval of a very slow rate lasts for this many calls
FIRST_CUT = 0.85
FIRST_SPAN_S = 0.3
CUT = 0.8
BELOW_THROUGH = 0.95  # rate over what got through, when most did not
SEARCH_PER_S = 0.5  # growth until a ceiling is known
GROWTH_PER_S = 0.03
PROBE_PER_S = 0.004  # growth between NEAR and BEYOND times the ceiling
NEAR, BEYOND = 0.93, 1.02
FASTEST_PER_S = 0.25
CEILING_MEMORY_S = 60.0  # after that the limit may be another one
LOWEST_RATE = 0.2
LOWEST_FIRST = 2.0
HEAVY_SHARE = 0.3
STREAK_GAP_S = 4.0
STREAK_CALLS = 40.0
STREAK = 4
STREAK_FALL = 0.75  # what got through must have fallen with the rate: a true limit keeps it up
DEAF_S = 60.0
DEAF_SHARE = 0.15
LOSS_STEP = 0.03  # weight of one answer in the smoothed share
LONGEST_HOLD_S = 30.0


@dataclass(frozen=True, slots=True)
class RateState:
    """What is known of the limit on the rate. Rates in requests per second.

    max_rate: never exceeded, None when unknown. lone_share: share of 429s that only holds and does not cut.
    """

    max_rate: float | None = None
    lone_share: float = 0.0
    rate: float | None = None
    hold_until: float = -math.inf
    ceiling: float | None = None  # where the last cut was made
    ceiling_at: float = -math.inf
    cut_at: float = -math.inf
    # the interval that runs, and the successes per second of the one before
    since: float | None = None
    passed: int = 0
    throttled: int = 0
    pass_rate: float = 0.0
    dry: int = 0  # intervals of 429s only, in a row
    loss: float = 0.0  # smoothed share of 429s
    paused_at: float = -math.inf
    # cuts in a row that brought no relief
    streak: int = 0
    streak_rate: float = 0.0
    streak_through: float = 0.0
    deaf_until: float = -math.inf
    asked_until: float = -math.inf  # a server that names a wait means it: its 429s are about the rate
    base_share: float = 0.0  # of 429s that are not about the rate

    def on_success(self, now: float, count: int) -> RateState:
        """`count` calls got through."""
        return replace(
            self,
            since=now if self.since is None else self.since,
            passed=self.passed + count,
            dry=0,
            loss=self.loss * (1 - LOSS_STEP) ** count,
        )._closed(now)

    def on_throttled(self, now: float, retry_after_s: float | None, latency_s: float) -> RateState:
        """A 429 came. What was in flight at the last cut counts with it."""
        state = replace(
            self,
            since=now if self.since is None else self.since,
            throttled=self.throttled + 1,
            loss=self.loss + LOSS_STEP * (1 - self.loss),
        )
        if retry_after_s is not None:
            until = now + retry_after_s
            asked_until = until + CEILING_MEMORY_S
            state = replace(state, hold_until=max(state.hold_until, until), asked_until=asked_until)
        elif now - self.paused_at >= INTERVAL_S and now >= self.deaf_until:
            state = replace(state, hold_until=max(state.hold_until, now + state._pause_s()), paused_at=now)
        if now - self.cut_at >= max(INTERVAL_S, 2 * latency_s) and now >= self.deaf_until:
            state = state._judged(now)
        return state._closed(now)

    def _judged(self, now: float) -> RateState:
        """Cut, leave it, or blame something else than the rate."""
        if self.loss <= self.lone_share:
            return self
        through = self._through(now)
        offered = self.rate or max(through, LOWEST_FIRST)
        again = self.loss <= HEAVY_SHARE and now - self.cut_at < max(STREAK_GAP_S, STREAK_CALLS / offered)
        streak = self.streak + 1 if again else 1
        first_rate = self.streak_rate if again else offered
        first_through = self.streak_through if again else through
        if (
            streak >= STREAK
            and self.loss <= DEAF_SHARE
            and now > self.asked_until
            and through <= STREAK_FALL * first_through
        ):
            return replace(
                self,
                rate=self._capped(first_rate),
                ceiling=None,
                streak=0,
                deaf_until=now + DEAF_S,
                base_share=self.loss,
            )
        return replace(
            self,
            rate=self._capped(self._cut(offered, through)),
            ceiling=None if self.rate is None else offered,
            ceiling_at=now,
            cut_at=now,
            streak=streak,
            streak_rate=first_rate,
            streak_through=first_through,
        )

    def _cut(self, offered: float, through: float) -> float:
        if self.rate is None:
            return max(FIRST_CUT * through, LOWEST_FIRST)
        if self.loss > HEAVY_SHARE:
            return max(LOWEST_RATE, min(CUT * offered, BELOW_THROUGH * through))
        return max(LOWEST_RATE, CUT * offered)

    def _through(self, now: float) -> float:
        """Successes per second over the last interval or so."""
        elapsed = now - self.since if self.since is not None else 0.0
        if self.rate is None and self.pass_rate == 0:
            return self.passed / max(elapsed, FIRST_SPAN_S)
        earlier = self.pass_rate * max(0.0, INTERVAL_S - elapsed)
        return (self.passed + earlier) / max(elapsed, INTERVAL_S)

    def _pause_s(self) -> float:
        """Seconds of silence without a Retry-After: little for a lone 429, doubling while nothing passes."""
        if self.dry:
            return min(LONGEST_HOLD_S, 0.5 * 2.0 ** min(self.dry, 10))
        return 0.5 * self.loss

    def _capped(self, rate: float) -> float:
        return rate if self.max_rate is None else min(rate, self.max_rate)

    def _closed(self, now: float) -> RateState:
        """Close the interval when it is over, and let the rate grow if it was used and kept."""
        deaf = now < self.deaf_until
        length_s = INTERVAL_S if self.rate is None else max(INTERVAL_S, INTERVAL_CALLS / self.rate)
        if self.since is None or (elapsed := now - self.since) < length_s:
            return self
        state = replace(self, since=now, passed=0, throttled=0, pass_rate=self.passed / elapsed)
        attempts = self.passed + self.throttled
        share = self.throttled / max(1, attempts)
        if share == 1.0:
            return replace(state, dry=self.dry + 1)
        if self.rate is None or attempts < 0.8 * self.rate * elapsed:
            return state
        if self.loss <= 2 * self.base_share + 0.05 if deaf else not self.throttled:
            grown = self.rate * self._growth(now, self.rate) ** min(elapsed, 2.0)
            return replace(state, rate=self._capped(grown))
        if deaf:
            cut = max(LOWEST_RATE, CUT * self.rate)
            return replace(state, rate=cut, ceiling=self.rate, ceiling_at=now)
        return state

    def _growth(self, now: float, rate: float) -> float:
        """Factor per second."""
        if self.ceiling is None:
            return 1 + SEARCH_PER_S
        beyond = rate / self.ceiling
        if beyond > BEYOND:
            return 1 + min(FASTEST_PER_S, GROWTH_PER_S + 0.2 * (beyond - BEYOND))
        if beyond >= NEAR and now - self.ceiling_at < CEILING_MEMORY_S:
            return 1 + PROBE_PER_S
        return 1 + GROWTH_PER_S
