"""The controller behind `--rate auto` and `--concurrency auto`: pure, without a clock of its own.

A frozen `Pacer` takes what happened (`on_success`, `on_throttled`, `on_trouble`; times in seconds of any
monotonic clock) and gives the next one; its `decision` says the rate, the width and until when to hold.
The rate is followed in pacer_rate.py; here is the width:

- It starts at 8 and doubles each round trip while it is used and latency does not rise (gradient against the
  lowest latency of the last minute); after that it grows by its square root.
- A storm of trouble (5xx, timeouts, resets) halves it, at most once per round trip; single ones do not.
- When nothing gets through at all, one probe at a time goes out after pauses that double, and the width
  doubles back from 2 once a probe succeeds.

Source: AIMD and slow start threshold as in TCP Reno, the gradient of Netflix concurrency-limits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from scalesync.engine.pacer_rate import RateState

START_WIDTH = 8
MAX_WIDTH = 512
TOLERANCE = 2.0  # latency over the lowest one before the width stops growing
TOLERANCE_S = 0.02  # queueing this short is harmless and keeps the connections busy
LOWEST_MEMORY_S = 30.0  # two spans of this length are remembered
CUT_WIDTH = 0.8  # the most that one round of risen latency takes away
STORM_SHARE = 0.2
STORM_STEP = 0.05  # weight of one answer in the share of trouble
OUTAGE_S = 1.0  # trouble and no success for this long, or four round trips
LONGEST_PROBE_S = 8.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What the person set. max_rate: requests per second, None when unknown. width: None when adaptive.

    lone_share: share of 429s in a second up to which they only hold and do not cut the rate.
    """

    max_rate: float | None = None
    max_width: int = MAX_WIDTH
    width: int | None = None
    lone_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Decision:
    """rate: requests per second, None for no cap known. width: requests in flight. hold_until: clock, s."""

    rate: float | None
    width: int
    hold_until: float


@dataclass(frozen=True, slots=True)
class Pacer:
    """State of the controller for one class of requests; each event makes the next one."""

    limits: Limits = field(default_factory=Limits)
    pace: RateState = field(default_factory=RateState)
    width: float = START_WIDTH
    threshold: float = math.inf  # above it the width grows slowly
    # latency: smoothed, and the lowest of this span and the one before
    latency_s: float = 0.1
    lowest_s: float = math.inf
    lowest_before_s: float = math.inf
    lowest_since: float = -math.inf
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

    @classmethod
    def start(cls, limits: Limits) -> Pacer:
        """The state before the first request."""
        return cls(limits, RateState(max_rate=limits.max_rate, lone_share=limits.lone_share))

    @property
    def decision(self) -> Decision:
        """What holds now."""
        limits = self.limits
        width = limits.width or max(1, min(int(self.width), limits.max_width))
        if self.failed_probes:
            width = 1 if self.failed_probes > 1 else min(width, 2)
        rate = limits.max_rate if self.pace.rate is None else self.pace.rate
        return Decision(rate, width, max(self.pace.hold_until, self.probe_until))

    def on_success(self, now: float, latency_s: float, count: int = 1) -> Pacer:
        """`count` calls were answered, other than by 429 and 5xx, after `latency_s` seconds on average."""
        state = self
        if self.failed_probes:
            state = replace(self, failed_probes=0, width=2.0, round_at=None, storm=0.0)
        first = state.round_at is None
        weight = 1.0 if self.quiet_since is None else 0.1
        state = replace(
            state,
            pace=state.pace.on_success(now, count),
            quiet_since=now,
            storm=state.storm * (1 - STORM_STEP) ** count,
            latency_s=state.latency_s + weight * (latency_s - state.latency_s),
            round_at=now - latency_s if first else state.round_at,
            round_passed=count if first else state.round_passed + count,
            round_sum_s=latency_s * count + (0.0 if first else state.round_sum_s),
        )
        return state._lowest(now, latency_s)._round(now)

    def on_throttled(self, now: float, retry_after_s: float | None = None) -> Pacer:
        """A 429 came; retry_after_s: seconds as the server said, None when it did not."""
        pace = self.pace.on_throttled(now, retry_after_s, self.latency_s)
        # The server is there: 429s are no outage.
        return replace(self, pace=pace, quiet_since=now, threshold=min(self.threshold, self.width))

    def on_trouble(self, now: float) -> Pacer:
        """A 5xx, a timeout or a broken connection."""
        quiet_since = now if self.quiet_since is None else self.quiet_since
        storm = self.storm + STORM_STEP * (1 - self.storm)
        state = replace(self, quiet_since=quiet_since, storm=storm)
        if now - quiet_since > max(OUTAGE_S, 4 * self.latency_s):
            return state._probe_failed(now)
        if storm < STORM_SHARE or now - self.halved_at < max(self.latency_s, 0.05):
            return state
        half = max(1.0, min(self.width, self.limits.max_width) / 2)
        return replace(state, width=half, threshold=max(2.0, half), halved_at=now, round_at=None)

    def _lowest(self, now: float, latency_s: float) -> Pacer:
        if now - self.lowest_since > LOWEST_MEMORY_S:
            return replace(self, lowest_before_s=self.lowest_s, lowest_s=latency_s, lowest_since=now)
        return replace(self, lowest_s=latency_s) if latency_s < self.lowest_s else self

    def _round(self, now: float) -> Pacer:
        """Once per round trip: grow, stay or shrink."""
        if self.round_at is None or now - self.round_at < self.latency_s:
            return self
        mean_s = self.round_sum_s / self.round_passed
        lowest_s = min(self.lowest_s, self.lowest_before_s)
        bound_s = max(TOLERANCE * lowest_s, lowest_s + TOLERANCE_S)
        width, threshold, limit = self.width, self.threshold, float(self.limits.max_width)
        rounds = max(1.0, (now - self.round_at) / max(self.latency_s, 1e-6))
        if mean_s > bound_s:
            width = max(min(width, START_WIDTH), width * max(CUT_WIDTH, bound_s / mean_s))
            threshold = width
        elif self.round_passed >= 0.7 * rounds * min(width, limit):
            slow = width + math.sqrt(width)
            width = min(slow if width >= threshold else max(slow, min(2 * width, threshold)), limit)
        return replace(self, width=width, threshold=threshold, round_at=now, round_passed=0, round_sum_s=0.0)

    def _probe_failed(self, now: float) -> Pacer:
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
            probe_until=now + pause_s,
        )
