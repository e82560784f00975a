"""The width half of the adaptive controller: pure, frozen, times in seconds of the caller's clock.

- The width starts at 8 and doubles each round trip while it is used and latency does not rise (against the lowest
  mean of a round trip in the last minute); after that it grows by its square root. Where latency stays up, the
  width dips for one round trip each half minute to see whether it is the cause.
- A server that answers 429 beyond a number of requests in flight gives itself away: its 429s fall on the widest
  moments only. Then the width is capped there, the rate left alone, and the cap tried again now and then.
- A storm of trouble (5xx, timeouts, resets) halves the width, at most once per round trip; single ones do not.
- When nothing gets through at all, one probe at a time goes out after pauses that double, and the width doubles back
  from 2 once a probe succeeds.

Source: slow start and its threshold as in TCP Reno, the gradient of Netflix's concurrency-limits, BBR's dips.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scalesync.pacing.changed import replace

START_WIDTH = 8
MAX_WIDTH = 512
TOLERANCE = 2.0  # latency over the lowest one before the width stops growing
TOLERANCE_S = 0.02  # queueing this short is harmless and keeps the connections busy
LOWEST_MEMORY_S = 30.0  # two spans of this length are remembered
DIP_AT = 1.3
DIP = 0.5
CUT_WIDTH = 0.8  # the most that one round of risen latency takes away
STORM_SHARE = 0.2
STORM_STEP = 0.05  # weight of one answer in the share of trouble
OUTAGE_S = 1.0  # trouble and no success for this long, or four round trips
LEAST_PROBE_S = 0.25
LONGEST_PROBE_S = 8.0
ROUND_CALLS = 8
# A hidden cap
SUSPECTS = 3  # 429s in a row that fell on the widest moments
WRONG = 2  # 429s in a row that did not
CAP_TRY_S = 8.0
CAP_TRY_CALLS = 400


@dataclass(frozen=True)
class WidthState:
    """The known number of requests that the server can take at once."""

    limit: float = float(MAX_WIDTH)
    width: float = float(START_WIDTH)
    threshold: float = math.inf  # above it the width grows slowly
    # latency: smoothed, and the lowest mean of a round in this span and the one before
    latency_s: float = 0.1
    lowest_s: float = math.inf
    lowest_before_s: float = math.inf
    lowest_since: float = -math.inf
    dipped: float | None = None  # the width to come back to
    # the round trip that runs
    round_at: float | None = None
    round_passed: int = 0
    round_sum_s: float = 0.0
    # trouble
    storm: float = 0.0  # recent share of trouble
    halved_at: float = -math.inf
    quiet_since: float | None = None  # last success, or the first event
    probe_until: float = -math.inf
    failed_probes: int = 0
    # a cap on requests in flight
    suspects: int = 0
    suspect_width: int = 0
    cap: float | None = None
    cap_at: float = -math.inf
    cap_passed: int = 0

    @property
    def allowed(self) -> int:
        """Requests in flight now."""
        width = self.width if self.cap is None else min(self.width, self.cap)
        whole = max(1, int(min(width, self.limit)))
        return whole if not self.failed_probes else 1 if self.failed_probes > 1 else min(whole, 2)

    def on_success(self, now: float, latency_s: float, count: int) -> WidthState:
        """`count` calls were answered after `latency_s` on average."""
        state = self
        if self.failed_probes:
            state = replace(self, failed_probes=0, width=2.0, round_at=None, storm=0.0)
        first = state.round_at is None
        weight = 1.0 if self.quiet_since is None else 0.1
        state = replace(
            state,
            quiet_since=now,
            storm=state.storm * (1 - STORM_STEP) ** count,
            latency_s=state.latency_s + weight * (latency_s - state.latency_s),
            round_at=now - latency_s if first else state.round_at,
            round_passed=count if first else state.round_passed + count,
            round_sum_s=latency_s * count + (0.0 if first else state.round_sum_s),
            cap_passed=state.cap_passed + count,
        )
        return state._raised(now)._round(now)

    def on_throttled(self, now: float, wide: int | None) -> WidthState:
        """A 429.

        wide: requests in flight when it left, if that was more than at any other of late; else None.
        """
        state = replace(self, quiet_since=now)  # the server is there, because a 429 is an answer
        if wide is None:
            cap = None if self.suspects <= -WRONG else self.cap
            return replace(state, suspects=min(0, self.suspects) - 1 if cap is not None else 0, cap=cap)
        if self.cap is not None:
            return replace(state, cap=max(1.0, min(self.cap, wide - 1.0)), cap_at=now, cap_passed=0, suspects=0)
        suspects = self.suspects + 1
        widest = min(wide, self.suspect_width) if self.suspects else wide
        if suspects < SUSPECTS:
            return replace(state, suspects=suspects, suspect_width=widest)
        cap = max(1.0, widest - 1.0)
        return replace(state, suspects=0, cap=cap, cap_at=now, cap_passed=0)

    def on_trouble(self, now: float, *, alone: bool) -> WidthState:
        """A 5xx, a timeout or a broken connection.

        alone: nothing else that was asked of the server was answered.
        """
        quiet_since = now if self.quiet_since is None or not alone else self.quiet_since
        storm = self.storm + STORM_STEP * (1 - self.storm)
        state = replace(self, quiet_since=quiet_since, storm=storm)
        if not alone and self.failed_probes:
            state = replace(state, failed_probes=0, probe_until=-math.inf)
        if now - quiet_since > max(OUTAGE_S, 4 * self.latency_s):
            return state._probe_failed(now)
        if storm < STORM_SHARE or now - self.halved_at < max(self.latency_s, 0.05):
            return state
        half = max(1.0, min(self.width, self.limit) / 2)
        return replace(state, width=half, threshold=max(2.0, half), halved_at=now, round_at=None)

    def _raised(self, now: float) -> WidthState:
        """Try one more than the cap now and then."""
        if self.cap is None or now - self.cap_at < CAP_TRY_S or self.cap_passed < CAP_TRY_CALLS:
            return self
        return replace(self, cap=self.cap + 1, cap_at=now, cap_passed=0)

    def _round(self, now: float) -> WidthState:
        """Once per round trip: grow, stay or shrink."""
        if self.round_at is None or now - self.round_at < self.latency_s:
            return self
        if self.round_passed < min(ROUND_CALLS, self.width) and now - self.round_at < 8 * self.latency_s:
            return self
        mean_s = self.round_sum_s / self.round_passed
        state = self._lowest(now, mean_s)
        lowest_s = min(state.lowest_s, state.lowest_before_s)
        bound_s = max(TOLERANCE * lowest_s, lowest_s + TOLERANCE_S)
        width, threshold = self.width, self.threshold
        rounds = max(1.0, (now - self.round_at) / max(self.latency_s, 1e-6))
        if self.dipped is not None:
            width = self.dipped
        elif mean_s > bound_s:
            width = max(min(width, START_WIDTH), width * max(CUT_WIDTH, bound_s / mean_s))
            threshold = width
        elif self.round_passed >= 0.7 * rounds * min(width, self.limit):
            slow = width + math.sqrt(width)
            width = min(slow if width >= threshold else max(slow, min(2 * width, threshold)), self.limit)
        return replace(
            state, width=width, threshold=threshold, dipped=None, round_at=now, round_passed=0, round_sum_s=0.0
        )._dip(now, mean_s, lowest_s)

    def _lowest(self, now: float, mean_s: float) -> WidthState:
        if now - self.lowest_since > LOWEST_MEMORY_S:
            return replace(self, lowest_before_s=self.lowest_s, lowest_s=mean_s, lowest_since=now)
        return replace(self, lowest_s=mean_s) if mean_s < self.lowest_s else self

    def _dip(self, now: float, mean_s: float, lowest_s: float) -> WidthState:
        """At the start of a span, where latency is up: half the width for a round trip shows the lowest again."""
        if self.lowest_since != now or mean_s < DIP_AT * lowest_s or self.width <= START_WIDTH:
            return self
        return replace(self, dipped=self.width, width=DIP * self.width)

    def _probe_failed(self, now: float) -> WidthState:
        """Nothing gets through: the next probe goes out after a pause that doubles."""
        if now < self.probe_until or now - self.halved_at < max(self.latency_s, 0.05):
            return self  # sent before the pause
        threshold = self.threshold if self.failed_probes else max(float(START_WIDTH), self.width)
        pause_s = min(LONGEST_PROBE_S, 0.25 * 2.0 ** min(self.failed_probes, 10))
        return replace(
            self,
            failed_probes=self.failed_probes + 1,
            threshold=threshold,
            halved_at=now,
            # From one probe to the next: a probe without an answer has waited long enough
            probe_until=max(now + LEAST_PROBE_S, self.probe_until + pause_s) if self.failed_probes else now + pause_s,
        )
