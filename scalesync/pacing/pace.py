"""The pace of a run: what a platform asks at the hand-over to the socket and reports each reply.

    admit --> [class limiter] --> [limiter of all classes] --> stamp in both --> socket
                   ^ rate, hold
    report --> [pacer of the class] --> width, read by the engine

Rates that a person set are never exceeded; below them, and where none is set, the pacer follows the server.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Any

from scalesync.model.targets import RequestClass
from scalesync.pacing.controller import Limits, Pacer, Widths
from scalesync.pacing.departures import Flights
from scalesync.pacing.limiter import Rate, WindowLimiter
from scalesync.pacing.pauses import Pauses

# Successes are handed to the pacer in groups: one new state each would cost more than the request's pacing.
GROUP_S = 0.01
# Several programs with the same answer should not come back at the same moment; none sleeps minutes for that.
HOLD_JITTER, HOLD_JITTER_MAX_S = 0.1, 3.0
# A learned rate is kept in short windows: long ones would fall silent after a cut, for what was sent before it.
LEARNED_WINDOW_S = 0.25
# Growth in smaller steps than this is not worth a new setting of the limiter.
STEP = 1.005
ELSEWHERE_S = 2.0  # an answer to another class within this time shows that the server is there
# A page of a list stands for a hundred tasks, and result files lie with others: few calls, in a hurry.
EAGER = frozenset({RequestClass.LIST, RequestClass.FILES})


NOTHING: Mapping[RequestClass, Any] = MappingProxyType({})
ADAPTED = Widths()  # to the replies


class Signal(Enum):
    """What a reply says about the server's capacity."""

    OK = "ok"  # any answer but the two below, refusals included
    THROTTLED = "throttled"  # 429
    TROUBLE = "trouble"  # 5xx, timeout, reset, no connection


class _Lane:
    """One class of requests: its limiter, its controller and its counts."""

    __slots__ = (
        "attempts",
        "cap",
        "due",
        "flights",
        "hold",
        "limiter",
        "pacer",
        "passed",
        "pauses",
        "rate",
        "shown",
        "sum_s",
        "throttled",
        "width",
    )

    def __init__(
        self, cap: Rate | None, limits: Limits, clock: Callable[[], float], memory: Mapping[str, Any] | None
    ) -> None:
        self.cap = cap
        self.pacer = Pacer.start(limits, memory)
        decision = self.pacer.decision
        self.width = decision.width
        self.rate = decision.rate
        self.shown = decision.rate if decision.known else limits.max_rate
        self.limiter = WindowLimiter(self.window(decision.rate), clock)
        self.flights = Flights()
        self.pauses = Pauses(clock)
        self.hold = -math.inf
        self.attempts = 0
        self.throttled = 0
        self.passed = 0  # successes not yet reported to the pacer, and the sum of their latencies
        self.sum_s = 0.0
        self.due = -math.inf

    def tell(self, now: float) -> None:
        """Hand the collected successes to the pacer."""
        if self.passed:
            self.pacer = self.pacer.on_success(now, self.sum_s / self.passed, self.passed)
            self.passed, self.sum_s, self.due = 0, 0.0, now + GROUP_S

    def window(self, rate: float | None) -> Rate | None:
        """The limiter's rate for the controller's: as many per window as a cap allows, in a longer window.

        So a window of the cap's period holds no more than the cap, whatever the rate was before.
        """
        cap = self.cap
        if rate is None or (cap is not None and rate >= cap.window[0] / cap.window[1]):
            return cap
        count = cap.window[0] if cap else max(1, round(LEARNED_WINDOW_S * rate))
        return Rate(count, count / rate)


class Pace:
    """Admits attempts by class and for all classes together, and says how many may be in flight.

    rates: the rate a person set per class; None or missing: unknown, found by the 429s.
    rate_all: for all classes together.
    heads: the class whose limit others share.
    widths: requests in flight.
    auto: whether 429s may lower the rates; otherwise they only hold their class for a while.
    memory: what `learned` gave an earlier run, by class.
    clock: seconds, the loop's pace. Belongs to one event loop.
    patience_s: a longer pause that the server asks for ends those who wait for it; a run waits for any.
    """

    def __init__(
        self,
        rates: Mapping[RequestClass, Rate | None],
        rate_all: Rate | None = None,
        *,
        heads: Mapping[RequestClass, RequestClass] = NOTHING,
        widths: Widths = ADAPTED,
        auto: bool = True,
        memory: Mapping[RequestClass, Mapping[str, Any]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self._clock = clock
        self._rng = rng or random.Random()
        self._all = WindowLimiter(rate_all, clock) if rate_all is not None else None
        self._lanes: dict[RequestClass, _Lane] = {}
        for request in RequestClass:
            head = heads.get(request, request)
            if head is not request:
                self._lanes[request] = self._lanes[head]
                continue
            cap = rates.get(request)
            max_rate = cap.window[0] / cap.window[1] if cap is not None else None
            limits = Limits(max_rate, widths.most_of(request), widths.fixed, fixed=not auto, eager=request in EAGER)
            self._lanes[request] = _Lane(cap, limits, clock, (memory or {}).get(request))
        self._answered_at = -math.inf
        self._held_s, self._held_until = 0.0, -math.inf
        self.patience_s = math.inf
        self.in_flight = 0
        self.peak_in_flight = 0

    def admit_now(self, request: RequestClass) -> bool:
        """Like `acquire`, for a class without a rate in force; False if `acquire` is needed."""
        lane = self._lanes[request]
        if self._all is not None or not lane.limiter.passes():
            return False
        lane.attempts += 1
        lane.flights.sent(self._clock(), self.in_flight + 1)
        return True

    async def acquire(self, request: RequestClass) -> None:
        """Wait until an attempt of this class may leave; it counts as handed over when this returns.

        A cancelled call uses nothing up. Send without another await in between. Raises LongPause.
        """
        lane = self._lanes[request]
        turn = lane.limiter.acquire if self._all is None else partial(_acquire_both, lane.limiter, self._all)
        await (turn() if self.patience_s == math.inf else lane.pauses.turn(turn, self.patience_s))
        lane.attempts += 1
        # Over all classes: `release` follows in any case, and a server that takes this many rarely limits one class.
        lane.flights.sent(self._clock(), self.in_flight + 1)

    def report(
        self, request: RequestClass, signal: Signal, latency_s: float, retry_after_s: float | None = None
    ) -> None:
        """Report how an attempt went.

        latency_s: hand-over to reply.
        retry_after_s: as the server asked.
        """
        lane = self._lanes[request]
        now = self._clock()
        if signal is Signal.OK:
            self._answered_at = now
            lane.passed += 1
            lane.sum_s += latency_s
            if now < lane.due:
                return
            lane.tell(now)
        else:
            lane.tell(now)
            if signal is Signal.THROTTLED:
                lane.throttled += 1
                wide = lane.flights.refused(now, latency_s)
                lane.pacer = lane.pacer.on_throttled(now, latency_s, retry_after_s, wide)
            else:
                lane.pacer = lane.pacer.on_trouble(now, alone=now - self._answered_at > ELSEWHERE_S)
        self._follow(lane, now)

    def _follow(self, lane: _Lane, now: float) -> None:
        """Apply the pacer's decision."""
        decision = lane.pacer.decision
        lane.width = decision.width
        lane.shown = decision.rate if decision.known else lane.pacer.limits.max_rate
        if _differs(lane.rate, decision.rate):
            lane.rate = decision.rate
            lane.limiter.set_rate(lane.window(decision.rate))
        if decision.hold_until > lane.hold:
            lane.hold = decision.hold_until
            self._hold(lane, decision.hold_until, now)

    def hold(self, request: RequestClass, seconds: float) -> None:
        """Send nothing of this class for this time: the server asked for it, for any reason."""
        now = self._clock()
        asked_until = now + seconds
        if asked_until > self._held_until:
            self._held_s += asked_until - max(now, self._held_until)
            self._held_until = asked_until
        lane = self._lanes[request]
        if asked_until > lane.hold:
            lane.hold = asked_until
            self._hold(lane, asked_until, now)
        lane.pauses.ask(asked_until, self.patience_s)

    def _hold(self, lane: _Lane, until: float, now: float) -> None:
        jitter_s = min(HOLD_JITTER * (until - now), HOLD_JITTER_MAX_S)
        lane.limiter.hold_until(until + self._rng.uniform(0.0, max(0.0, jitter_s)))

    @property
    def held_s(self) -> float:
        """Seconds so far in which the server had asked any class to wait."""
        return self._held_s - max(0.0, self._held_until - self._clock())

    def width(self, request: RequestClass) -> int:
        """Requests of this class that may be in flight now."""
        return self._lanes[request].width

    def rate(self, request: RequestClass) -> float | None:
        """Requests per second in force for this class; None while no limit is set or known."""
        return self._lanes[request].shown

    def learned(self, request: RequestClass) -> dict[str, Any] | None:
        """What is worth remembering of this class for the next run's `memory`; see `Pacer.learned`."""
        return self._lanes[request].pacer.learned()

    def attempts(self, request: RequestClass | None = None) -> int:
        """Attempts admitted so far, of one class or of all."""
        lanes = set(self._lanes.values()) if request is None else {self._lanes[request]}
        return sum(lane.attempts for lane in lanes)

    def throttled(self, request: RequestClass | None = None) -> int:
        """429s reported so far, of one class or of all."""
        lanes = set(self._lanes.values()) if request is None else {self._lanes[request]}
        return sum(lane.throttled for lane in lanes)

    def enter(self) -> None:
        """A request goes to the network; `release()` must follow. `with pace:` does both."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def release(self) -> None:
        """The request was answered or given up."""
        self.in_flight -= 1

    def __enter__(self) -> None:
        self.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.in_flight -= 1


async def _acquire_both(mine: WindowLimiter, common: WindowLimiter) -> None:
    """Take one grant of each at the same moment.

    Our class's turn is kept while waiting for the common one: nothing is used up by that. The common turn is
    given back when a hold on our class came up meanwhile, so that other classes continue.
    """
    await mine.turn()
    try:
        await common.turn()
        while not mine.ready():
            common.release()
            await mine.wait()
            await common.turn()
    except BaseException:
        mine.release()
        raise
    mine.take()
    common.take()


def _differs(old: float | None, new: float | None) -> bool:
    """Whether a new rate is worth setting: each cut is, growth in steps."""
    if old is None or new is None:
        return old is not new
    return new < old or new > STEP * old
