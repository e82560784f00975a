"""The controller behind `--rate auto` and `--concurrency auto`: pure, without a clock of its own.

A frozen `Pacer` takes events (`on_success`, `on_throttled`, `on_trouble`; times in seconds of any monotonic clock) and
returns the next one; its `decision` is the rate, the width and the time to hold until. rate.py follows the rate,
width.py the width. Times may repeat or step back: nothing raises, nothing leaves its bounds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scalesync.model.targets import RequestClass
from scalesync.pacing.ceiling import LOWEST_RATE
from scalesync.pacing.changed import replace
from scalesync.pacing.rate import RateState
from scalesync.pacing.silence import WINDOW_MAX_S
from scalesync.pacing.width import MAX_WIDTH, START_WIDTH, WidthState

__all__ = ["MAX_WIDTH", "Decision", "Limits", "Pacer", "Widths"]

MEMORY_VERSION = 1


@dataclass(frozen=True, slots=True)
class Limits:
    """What the person set.

    max_rate: requests per second, None if unknown.
    width: None to adapt.
    fixed: 429s only hold for a while, they change neither rate nor width.
    eager: the climb multiplies the rate by e with each round trip, for calls that are few and where a 429 costs little.
    """

    max_rate: float | None = None
    max_width: int = MAX_WIDTH
    width: int | None = None
    fixed: bool = False
    eager: bool = False


@dataclass(frozen=True, slots=True)
class Widths:
    """How many requests may be in flight.

    fixed: as a person set it; None: it follows the replies.
    most: of any class.
    by_class: at most, of one class.
    """

    fixed: int | None = None
    most: int = MAX_WIDTH
    by_class: Mapping[RequestClass, int] = field(default_factory=dict)

    def most_of(self, request: RequestClass) -> int:
        """The widest that one class may get."""
        return min(self.most, self.by_class.get(request, self.most))


@dataclass(frozen=True, slots=True)
class Decision:
    """rate: requests per second, None for no bound but the width.
    width: requests in flight.
    hold_until: clock, s.
    known: the rate is (close to) a limit that was set or met, not a step of the search for one.
    """

    rate: float | None
    width: int
    hold_until: float
    known: bool


@dataclass(frozen=True)
class Pacer:
    """State of the controller for one class of requests; each event makes the next one."""

    limits: Limits = field(default_factory=Limits)
    pace: RateState = field(default_factory=RateState)
    room: WidthState = field(default_factory=WidthState)

    @classmethod
    def start(cls, limits: Limits, memory: Mapping[str, Any] | None = None) -> Pacer:
        """The state before the first request.

        memory: the result of an earlier `learned()`; nonsense is ignored.
        """
        room = WidthState(limit=float(limits.max_width))
        known = _read(memory)
        if known is None or limits.fixed:
            return cls(limits, RateState.start(limits.max_rate, limits.fixed, eager=limits.eager), room)
        rate, window_s, width = known
        room = replace(room, width=float(min(max(START_WIDTH, width), limits.max_width)))
        return cls(limits, RateState.resume(limits.max_rate, rate, window_s), room)

    def learned(self) -> dict[str, Any] | None:
        """What is worth remembering, as plain JSON values; None before a limit was met.

        version; rate: requests per second; window_s: the longest window seen to be used up, 0.0 for none; width:
        requests in flight that this took.
        """
        if self.pace.ceiling is None or self.pace.ceiling == self.limits.max_rate or self.limits.fixed:
            return None
        rate, window_s = round(self.pace.ceiling, 4), round(self.pace.window_s, 3)
        return {"version": MEMORY_VERSION, "rate": rate, "window_s": window_s, "width": self.room.allowed}

    @property
    def decision(self) -> Decision:
        """The current decision."""
        limits, pace = self.limits, self.pace
        width = limits.width or min(self.room.allowed, limits.max_width)
        if pace.dry or self.room.failed_probes:
            width = 1 if pace.dry or self.room.failed_probes > 1 else min(width, 2)
        hold_until = max(pace.hold_until, self.room.probe_until)
        rate = limits.max_rate if pace.fixed else None if pace.open else pace.asked
        return Decision(rate, width, hold_until, pace.ceiling is not None)

    def on_success(self, now: float, latency_s: float, count: int = 1) -> Pacer:
        """`count` calls were answered, other than by 429 and 5xx, after `latency_s` seconds on average."""
        pace = self.pace.after_outage() if self.room.failed_probes else self.pace
        pace = pace.on_success(now, latency_s, count)
        return replace(self, pace=pace, room=self.room.on_success(now, latency_s, count))

    def on_throttled(
        self, now: float, latency_s: float, retry_after_s: float | None = None, wide: int | None = None
    ) -> Pacer:
        """A 429 came, `latency_s` after the request left.

        retry_after_s: seconds as the server said, None when it did not.
        wide: as `Flights.refused` says.
        """
        pace, room = self.pace, self.room
        fresh = pace.fresh(now, now - latency_s)
        if not fresh or self.limits.width is not None or (room.cap is None and pace.searching):
            wide = None  # while the rate grows, the last to leave is the widest anyway
        if fresh:
            room = room.on_throttled(now, wide)
        if room.cap is not None and wide is not None and retry_after_s is None:
            pace = pace.relieved(now) if self.room.cap is None else pace
        else:
            pace = pace.on_throttled(now, latency_s, retry_after_s)
        return replace(self, pace=pace, room=room)

    def on_trouble(self, now: float, *, alone: bool = True) -> Pacer:
        """A 5xx, a timeout or a broken connection.

        alone: the server has answered nothing else lately either. If it has, it is not an outage, and long pauses gain
            nothing.
        """
        pace = self.pace if alone else self.pace.begun()
        return replace(self, pace=pace, room=self.room.on_trouble(now, alone=alone))


def _read(memory: Mapping[str, Any] | None) -> tuple[float, float, int] | None:
    """Rate, window and width of a memory, None unless it can be used."""
    if not memory or memory.get("version") != MEMORY_VERSION:
        return None
    rate, window_s, width = (memory.get(name) for name in ("rate", "window_s", "width"))
    numbers = [value for value in (rate, window_s, width) if isinstance(value, int | float) and math.isfinite(value)]
    if len(numbers) < 3 or numbers[0] < LOWEST_RATE:
        return None
    return float(numbers[0]), float(min(max(0.0, numbers[1]), WINDOW_MAX_S)), int(min(max(1.0, numbers[2]), MAX_WIDTH))
