"""The rate half of the adaptive controller: pure, frozen, times in seconds of the caller's clock.

Two states. *Climb*: no limit is known; the rate grows with the requests that get through, slowly enough that few are in
flight when a limit appears. *Track*: a ceiling is known; the rate stays around it in slow saw teeth.

Requests that left before the last cut do not cut again: their replies show how deep the cut must be. ceiling.py reads
the replies, silence.py acts while nothing passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scalesync.pacing.ceiling import (
    CLIMB_WEIGHT,
    COST_MOST_S,
    FEW,
    HIGH,
    LONE_STEP,
    LOOK_WEIGHT,
    LOW,
    MANY,
    PRICE_STEP,
    SHOWN_TRIPS,
    START_RATE,
    SURE,
    TOOTH_PRICE,
    TOOTH_S,
    TOP,
    YIELD_CALLS,
    YIELD_LEAST,
    YIELD_STEP,
)
from scalesync.pacing.changed import replace
from scalesync.pacing.silence import DryState

OPEN_RATE = 4000.0  # climbing beyond it, the width alone bounds what is in flight
# Of what ever got through, such a share may be in flight: a 4th of the first 16, a 24th up to 600, an 18th beyond
CLIMB_TRIPS = ((16, 4.0), (600, 24.0), (math.inf, 18.0))
EAGER_TRIPS, EAGER_START, EAGER_AHEAD = 1.0, 24.0, 4.0
CLIMB_S = (0.05, 2.8)  # bounds of a growth by e
USED = 0.75  # share of the rate that must be used for it to grow
AHEAD = 2.0  # the climb stays within this multiple of what got through
# Track
RECOVER_PER_S = 0.5
LIFT_S, LIFT_CALLS = 0.8, 20.0  # a credit of this many seconds and requests lifts the rate by one ceiling
# Growth while the ceiling is a guess: faster from few requests, and never by more than half of what is still unsure
SEARCH_PER_S, SEARCH_FULL = 0.12, 4.0
SEARCH_FAST_PER_S = 0.5
SEARCH_STEP = 2.0
FEW_S, FEW_RATE = 1.0, 3.0  # after a 429 among the first few requests: a silence, and the rate after it
HOLD_TRIPS = 1.2
# Under a rate that a person set, 429s up to this smoothed share are borne
PATIENT_AT_CAP, PATIENT_BELOW = 0.12, 0.04
LOSS_STEP = 0.01
LATENCY_STEP = 0.02


@dataclass(frozen=True)
class RateState(DryState):
    """Where the rate goes next, from what is known of the limit. Each event makes the next state."""

    @classmethod
    def start(cls, max_rate: float | None, fixed: bool = False, *, eager: bool = False) -> RateState:
        """Only the cap is known: begin with a set rate."""
        if max_rate is None:
            return cls(fixed=fixed, eager=eager)
        return cls(max_rate, fixed, rate=max_rate, ceiling=max_rate)

    @classmethod
    def resume(cls, max_rate: float | None, ceiling: float, window_s: float) -> RateState:
        """Begin from a ceiling known from earlier."""
        known = ceiling if max_rate is None else min(ceiling, max_rate)
        return cls(max_rate, rate=0.7 * known, ceiling=known, window_s=window_s)

    @property
    def open(self) -> bool:
        """Whether no limit was met although the rate is high: then only the width is a bound."""
        return self.ceiling is None and self.rate >= OPEN_RATE

    def on_success(self, now: float, latency_s: float, count: int) -> RateState:
        """`count` calls got through after `latency_s` on average."""
        sent = now - latency_s
        weight = 1.0 if self.resumed_at is None else min(1.0, LATENCY_STEP * count)
        state = replace(
            self,
            since=now if self.since is None else self.since,
            passed=self.passed + count,
            resumed_at=now if self.resumed_at is None else self.resumed_at,
            resumed_gain=self.resumed_gain + count,
            second=self.second * math.exp(-max(0.0, now - self.second_at)) + count,
            second_at=max(now, self.second_at),
            latency_s=self.latency_s + weight * (latency_s - self.latency_s),
            loss=self.loss * (1 - LOSS_STEP) ** count,
            apart=self.apart + count,
            lone=self.lone * (1 - LONE_STEP) ** count if self.below else self.lone,
        )
        if self.ceiling is None:
            state = state._climbed(now, count)
        if self.anchor is None or sent > self.anchor:
            state = state.credited(sent, count)
        if self.look_from <= sent <= self.cut_at:
            state = replace(state, look_passed=state.look_passed + count, dry=0).looked()
        elif sent > self.cut_at:
            state = state.resumed(now, count) if self.dry else state
            state = replace(state, after=state.after + count, dry=0)
        return state._closed(now)

    def on_throttled(self, now: float, latency_s: float, retry_after_s: float | None) -> RateState:
        """A 429 came after `latency_s`, asking for silence of `retry_after_s` or not."""
        sent = now - latency_s
        state = replace(
            self,
            since=now if self.since is None else self.since,
            throttled=self.throttled + 1,
            loss=self.loss + LOSS_STEP * (1 - self.loss),
            apart=0,
            resumed_at=now if self.resumed_at is None else self.resumed_at,
        )
        if retry_after_s is not None:
            until = now + retry_after_s
            cost_s = min(COST_MOST_S, max(self.cost_s, retry_after_s))
            state = replace(state, hold_until=max(self.hold_until, until), cost_s=cost_s)
        if self.fresh(now, sent):
            if self.is_lone() and retry_after_s is None:
                return state.left()
            return state._met(now, sent)
        if sent >= self.look_from:
            state = replace(state, look_throttled=self.look_throttled + 1).dearer().looked()
            if state.shut and retry_after_s is None:
                state = state.hushed(now)
        return state.anchored(sent)

    def fresh(self, now: float, sent: float) -> bool:
        """Whether a 429 is news: it left after the last cut, which has had time to show."""
        return sent > self.cut_at and now - self.cut_at > SHOWN_TRIPS * self.latency_s

    def after_outage(self) -> RateState:
        """The server is back: continue carefully, and forget what was measured while it was away."""
        rate = self.capped(min(self.rate, self.ceiling or 0.5 * max(self.rate / 4, self.through, START_RATE)))
        return replace(self, rate=rate, since=None, passed=0, throttled=0, anchor=None, credit=0.0)

    def relieved(self, now: float) -> RateState:
        """The 429s were about requests in flight: climb again from the rate before them."""
        rate = self.capped(max(self.rate, self.look_rate))
        ceiling = None if self.max_rate is None else self.max_rate
        return replace(self, rate=rate, ceiling=ceiling, sure=False, streak=0, cut_at=now, look_from=math.inf, after=1)

    def _met(self, now: float, sent: float) -> RateState:
        """The first 429 among requests that left after the last cut."""
        if self.cut_at > -math.inf and not self.after:
            return self.dried(now, sent)
        again = now - self.streak_at < 0.6 * self.tooth_s and not self.searching
        state = replace(self, streak=self.streak + 1 if again else 1, streak_at=now).pooled(sent).blended(again)
        if state._ignorable():
            return replace(state, cut_at=now, after=0, look_from=math.inf)
        state = state.dearer() if again else state
        return state._cut(now, sent).anchored(sent)

    def _ignorable(self) -> bool:
        if self.fixed:
            return True
        if self.max_rate is None:
            return False
        return self.loss <= (PATIENT_AT_CAP if self.rate >= self.max_rate else PATIENT_BELOW)

    def _cut(self, now: float, sent: float) -> RateState:
        """Step back to the measured rate; stop and look if the rate was searching."""
        climbing = self.ceiling is None
        least, known = self.believed()
        state = replace(
            self,
            cut_at=now,
            after=0,
            look_from=sent,
            look_rate=self.rate,
            look_known=known,
            look_least=least,
            look_weight=CLIMB_WEIGHT if climbing else LOOK_WEIGHT,
            look_passed=0,
            look_throttled=0,
            price=self.price + PRICE_STEP * (TOOTH_PRICE[0] - self.price),
            loss=0.0,
            sure=not climbing and (self.pool >= SURE or (self.sure and not self.searching)),
        ).looked()
        if not self.searching:
            return state
        if self.resumed_gain < FEW:
            slow = self.capped(min(FEW_RATE, self.rate))
            state = replace(state, rate=slow, ceiling=slow, look_from=math.inf)
            return replace(state, hold_until=max(state.hold_until, now + FEW_S))
        return replace(state, hold_until=max(state.hold_until, now + HOLD_TRIPS * self.latency_s))

    def begun(self) -> RateState:
        """The server answers others: there is no need to act as if the server were away."""
        return self if self.ceiling is not None else replace(self, rate=max(self.rate, START_RATE))

    @property
    def climb_s(self) -> float:
        """Seconds for a growth by e while climbing."""
        if self.eager:
            return min(CLIMB_S[1], max(CLIMB_S[0], EAGER_TRIPS * self.latency_s))
        trips = next(trips for most, trips in CLIMB_TRIPS if self.resumed_gain <= most)
        return min(CLIMB_S[1], max(CLIMB_S[0], trips * self.latency_s))

    def _climbed(self, now: float, count: int) -> RateState:
        elapsed = now - self.since if self.since is not None else 0.0
        through = max(self.through, self.passed / max(elapsed, 2 * self.latency_s, 0.02))
        start, ahead = (EAGER_START, EAGER_AHEAD) if self.eager else (START_RATE, AHEAD)
        grown = max(self.rate, start / 2, 1 / max(self.latency_s, 1e-3)) + count / self.climb_s
        rate = max(self.rate, min(grown, start + ahead * through))
        return replace(self, rate=self.capped(rate))

    def _closed(self, now: float) -> RateState:
        """Close the interval when it is over, and let the rate grow if it was used and kept."""
        length_s = max(0.2, self.latency_s, 4 / self.rate)
        if self.since is None or now < self.since:
            return replace(self, since=now)
        if (elapsed := now - self.since) < length_s:
            return self
        state = replace(self, since=now, passed=0, throttled=0, through=self.passed / elapsed)
        used = self.passed + self.throttled >= USED * self.rate * elapsed
        kept = self.throttled <= 1 or self.fixed
        if self.ceiling is None or not used or not kept or now < self.hold_until:
            return state
        share = state.through / self.asked
        if share >= YIELD_LEAST - 0.05:
            state = replace(
                state,
                yielded=self.yielded
                + YIELD_STEP * min(1.0, self.passed / YIELD_CALLS) * (min(1.05, share) - self.yielded),
            )
        return state._grown(min(elapsed, 4 / self.rate + 1.0))

    def _grown(self, elapsed: float) -> RateState:
        assert self.ceiling is not None
        beyond, ceiling = self.rate / self.ceiling, self.ceiling
        if beyond < LOW:
            rate = min((LOW + 0.001) * ceiling, self.rate * math.exp(RECOVER_PER_S * elapsed))
        elif not self.sure:
            slow = self.resumed_gain > MANY or self.cut_at == -math.inf
            most = SEARCH_PER_S * max(1.0, SEARCH_FULL / self.rate) if slow else SEARCH_FAST_PER_S
            rate = self.rate * math.exp(min(most, self.rate / (SEARCH_STEP * (self.pool + 2))) * elapsed)
        else:
            # Long teeth cannot afford a ceiling that is too low
            top = HIGH * ceiling
            if self.tooth_s > TOOTH_S:
                top = max(top, min(self.look_rate, TOP * ceiling))
            rate = self.rate + (top - LOW * ceiling) * elapsed / self.tooth_s
        if beyond >= 1 and self.credit > max(2.0, 0.03 * ceiling):
            lifted = ceiling * (HIGH + self.credit / max(LIFT_S * ceiling, LIFT_CALLS))
            rate = max(rate, min(lifted, max(self.rate, AHEAD * self.through)))
        return replace(self, rate=self.capped(rate))
