"""The known limit on the rate, and how replies show it: pure, frozen, times in seconds.

Everything comes from one fact: at a 429 the allowance is used up. So the requests that got through between two 429s are
what the limit gave, for a bucket of any size or a window of any length (`pool`); and a run that gets more through since
a 429 than the ceiling gives in that time (`credit`) has proof that the limit is higher. Servers that forget unused
allowance show it by late 429s; for them the refused rate is the limit (`blend`).

The replies to requests that left at the old rate after the allowance was used up show how far above the limit it was
(the *look*). A lone 429 where none is expected is about something else, until a second one follows soon. All times are
the moments at which requests left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from scalesync.pacing.changed import replace

FIRST_RATE = 2.5  # until the first reply says how long a round trip is
START_RATE = 8.0
LOWEST_RATE, HIGHEST_RATE = 0.02, 1e6
LOW, HIGH = 0.97, 1.06  # the saw tooth, relative to the ceiling
TOOTH_S = 8.0
TOOTH_CALLS = 210.0  # a tooth lasts this many requests for each 429 at its end
TOOTH_PRICE = (1.0, 2.4)  # at most so long: a limit that rises should be noticed
FELL = 0.5
COST_MOST_S = 3.0
TOOTH_COST = 30.0  # a tooth lasts this many times the silence that its 429 cost
LIFTED = 1.15  # a rate so far above the ceiling is looking for a new one
TOP = 1.5  # a tooth rises to the rate that was refused last, no further than this multiple of the ceiling
SURE = 12.0  # this many successes between two 429s make a ceiling known
SLACK_S = 1.5  # unused allowance is assumed to be kept for so long
LOOK_WEIGHT = 10.0  # what is known weighs as much as this many replies
CLIMB_WEIGHT = 2.0
CLIMB_GUESS = 0.7  # of the rate at which a climb ended
FEW = 10  # so few successes ever: the limit is tiny, or the server forbids
MANY = 40
SHOWN_TRIPS = 1.5
# A lone 429 may be about anything; a second one soon after it is about the rate
PAIR = (12.0, 40.0)  # replies between the two, by how common lone ones are
PAIR_CHANCE = 0.3
LONE_STEP = 0.002
LONE_DOUBT = 0.99
LONE_COMMON = 0.006
PRICE_STEP = 0.3
STREAK_CUT = 0.97
UNSURE_CUT = 0.7
STREAK_DEEPEST = 4
YIELD_STEP, YIELD_CALLS, YIELD_LEAST = 0.03, 25, 0.93
SHUT_CHANCE = 0.02  # so unlikely must it be that nothing passes after a 429 while the limit still gives
SECOND_FROM = 10.0  # rates from here on can be counted by the second
POOL = 30.0  # successes remembered from earlier stretches between two 429s
POOL_LEAST = 5.0
BLEND_STEP = 0.25
BLEND_LATE = 1.045


@dataclass(frozen=True)
class Limit:
    """What is known of the limit. Rates in requests per second, times in seconds.

    max_rate: never exceeded, None if unknown.
    fixed: 429s only hold, nothing cuts.
    eager: the climb is a fast one.
    """

    max_rate: float | None = None
    fixed: bool = False
    eager: bool = False
    rate: float = FIRST_RATE
    ceiling: float | None = None  # None: climbing
    sure: bool = False  # the ceiling was met from below
    hold_until: float = -math.inf
    latency_s: float = 0.1
    # the interval that runs, and what the one before let through
    since: float | None = None
    passed: int = 0
    throttled: int = 0
    through: float = 0.0
    second: float = 0.0  # what got through in about the last second
    second_at: float = -math.inf
    yielded: float = 1.0  # what gets through of the rate that is asked of the limiter, smoothed
    # since the last 429: `anchor` and `seen_to` are times of departure
    anchor: float | None = None
    seen_to: float = -math.inf
    gained: int = 0
    credit: float = 0.0
    slack: bool = False  # the allowance was left unused
    price: float = 1.0  # 429s that the end of a tooth brings, smoothed
    cost_s: float = 0.0  # and the silence
    # the last cut: requests that left in look_from..cut_at show how deep it must be
    cut_at: float = -math.inf
    look_from: float = math.inf
    look_rate: float = 0.0
    look_known: float = 0.0  # the limit as believed before the look, and what it surely gives
    look_least: float = 0.0
    look_weight: float = CLIMB_WEIGHT
    look_passed: int = 0
    look_throttled: int = 0
    after: int = 0  # successes that left after the cut
    pool: float = 0.0  # successes between 429s of late, and how long they took
    pool_s: float = 0.0
    blend: float = 0.5  # 0: the limit is what was measured between 429s; 1: it is the rate that was refused
    # nothing passes
    dry: int = 0
    dry_since: float = 0.0
    resumed_at: float | None = None
    resumed_gain: int = 0
    window_s: float = 0.0  # the longest window seen to be used up
    # 429s in a row that came soon after a cut; lone ones
    streak: int = 0
    streak_at: float = -math.inf
    loss: float = 0.0  # smoothed share of 429s
    apart: int = 1_000_000  # successes since the last 429
    lone: float = 0.0  # smoothed share of lone 429s

    @property
    def asked(self) -> float:
        """The rate to set, so that `rate` gets through in spite of late timers."""
        return self.capped(self.rate / min(1.0, max(YIELD_LEAST, self.yielded)))

    @property
    def searching(self) -> bool:
        """Whether the rate is above anything known."""
        return self.ceiling is None or self.rate > LIFTED * self.ceiling

    @property
    def below(self) -> bool:
        """Whether the rate is below a ceiling that was met: no 429 is about the rate then."""
        return self.sure and self.ceiling is not None and self.rate < self.ceiling

    @property
    def tooth_s(self) -> float:
        """Seconds from one probe beyond the ceiling to the next."""
        rate = self.ceiling or self.rate
        plain = max(TOOTH_S, TOOTH_CALLS * self.price / rate, TOOTH_COST * self.cost_s)
        return plain if self.sure else max(2.0, plain / 3)

    def is_lone(self) -> bool:
        """Whether the last 429 is so long ago that this one may be about anything."""
        near = max(PAIR[0], PAIR_CHANCE / max(self.lone, 1e-9))
        expected = self.sure and not self.below and not self.searching
        return self.resumed_gain >= FEW and self.apart > (near if expected else min(PAIR[1], near))

    def left(self) -> Self:
        """A lone 429: it only makes the ceiling a little less certain."""
        if self.ceiling is None or not self.sure:
            return self
        lone = self.lone + LONE_STEP * (1 - self.lone) if self.below else self.lone
        doubt = LONE_DOUBT if lone < LONE_COMMON else 1.0
        return replace(self, ceiling=self.ceiling * doubt, lone=lone).dearer()

    def dearer(self) -> Self:
        """One more 429 in this tooth than the one that ends it: the next one takes longer."""
        return replace(self, price=min(TOOTH_PRICE[1], self.price + PRICE_STEP)) if self.sure else self

    def believed(self) -> tuple[float, float]:
        """What the limit surely gives, and its probable place: between that and the refused rate."""
        if self.ceiling is None:
            return 0.0, CLIMB_GUESS * self.rate
        if self.streak == 1 and self.credit < 0 and self.rate < self.ceiling:
            return LOW * self.ceiling, self.ceiling  # too early to be about the ceiling
        measured = self.ceiling
        if self.pool >= POOL_LEAST and self.pool_s >= max(0.5, 2 * self.latency_s):
            measured = self.pool / self.pool_s
        least = min(measured, self.rate)
        # A window takes any rate until it is full: what a second let through is all that a refused rate proves
        refused = min(self.rate, max(least, self.second)) if self.rate > SECOND_FROM else self.rate
        known = least + self.blend * (refused - least)
        if self.streak > 1 and self.sure and self.lone > LONE_COMMON / 2:
            return 0.0, 0.5 * (known + self.ceiling)  # lone ones are common here, so two may meet by chance
        if self.streak > 1:
            return 0.0, known if self.sure or measured != self.ceiling else UNSURE_CUT * known
        return least, known

    def blended(self, again: bool) -> Self:
        """Learn whether the server keeps unused allowance: then the measured rate is the limit, else the refused rate
        is.
        """
        if self.ceiling is None:
            return self
        late = self.rate > BLEND_LATE * self.ceiling
        if again or (self.credit < 0 and not late):
            return replace(self, blend=0.6 * self.blend)
        step = BLEND_STEP if self.searching else BLEND_STEP / 2 if late else 0.0
        return replace(self, blend=min(1.0, self.blend + step))

    def pooled(self, sent: float) -> Self:
        """Add the stretch since the last 429 to the measured ones."""
        if self.anchor is None or self.slack or sent <= self.anchor:
            return self
        keep = min(1.0, (POOL if self.sure else max(POOL_LEAST, self.gained)) / max(self.pool, 1.0))
        return replace(self, pool=keep * self.pool + self.gained, pool_s=keep * self.pool_s + sent - self.anchor)

    def looked(self) -> Self:
        """Set the rate by the replies to requests that left at the old one after the allowance was used up."""
        replies = self.look_passed + self.look_throttled
        weight = self.look_weight
        climbed = weight == CLIMB_WEIGHT
        share = (self.look_passed + min(1.0, self.look_known / self.look_rate) * weight) / (replies + weight)
        if self.shut:  # how far above the limit the rate was is not to be seen
            share = min(self.look_known, self.second if climbed else math.inf) / self.look_rate
        seen = self.look_rate * share
        ceiling = self.capped(seen if climbed else max(seen, self.look_known))
        low = (LOW - 0.02) * STREAK_CUT ** (min(self.streak, STREAK_DEEPEST) - 1) if self.sure else 0.9
        rate = low * min(ceiling, max(seen, self.look_least))
        # A limit that fell was not a probe of ours, so the cost of probes is learned again
        price = TOOTH_PRICE[0] if self.sure and share < FELL else self.price
        return replace(self, ceiling=ceiling, rate=self.capped(rate), price=price)

    @property
    def shut(self) -> bool:
        """Whether nothing passes after a 429, although a limit that refills would let some pass: a window is full."""
        gap = 1 - min(1.0, self.look_known / self.look_rate)
        return not self.look_passed and gap**self.look_throttled < SHUT_CHANCE

    def anchored(self, sent: float) -> Self:
        if self.anchor is not None and sent <= self.anchor:
            return self
        return replace(self, anchor=sent, seen_to=sent, gained=0, credit=0.0, slack=False)

    def credited(self, sent: float, count: int) -> Self:
        """The requests that got through since the last 429, against what the ceiling gives in that time."""
        seen_to = max(self.seen_to, sent)
        if self.ceiling is None or self.seen_to == -math.inf:
            return replace(self, seen_to=seen_to, gained=self.gained + count)
        credit = self.credit + count - self.ceiling * (seen_to - self.seen_to)
        lowest = -self.ceiling * max(SLACK_S, self.window_s)
        return replace(
            self,
            seen_to=seen_to,
            gained=self.gained + count,
            credit=max(lowest, credit),
            slack=self.slack or credit < lowest,
        )

    def capped(self, rate: float) -> float:
        return min(max(rate, LOWEST_RATE), HIGHEST_RATE if self.max_rate is None else self.max_rate)
