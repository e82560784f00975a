"""Our controller and its peers, as clients of the simulation."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from benchmarks.pacing.servers import Answer
from scalesync.pacing.controller import Limits, Pacer
from scalesync.pacing.departures import Flights

GROUP_S = 0.01  # as in scalesync.pacing.pace


class Ours:
    """The controller, fed as `Pace` feeds it."""

    def __init__(self, limits: Limits | None = None, memory: Mapping[str, Any] | None = None) -> None:
        self.pacer = Pacer.start(limits or Limits(), memory)
        self._flights = Flights()
        self._decided = self._read()
        self._passed, self._sum_s, self._due = 0, 0.0, 0.0

    def _read(self) -> tuple[float | None, int, float]:
        decision = self.pacer.decision
        return decision.rate, decision.width, decision.hold_until

    def allowed(self, now: float) -> tuple[float | None, int, float]:
        """The decision."""
        return self._decided

    def sent(self, now: float, in_flight: int) -> None:
        """Remember how wide it was."""
        self._flights.sent(now, in_flight)

    def answered(self, now: float, sent: float, answer: Answer) -> None:
        """Successes in groups, all else at once."""
        if answer.status == 200:
            self._passed += 1
            self._sum_s += now - sent
            if now < self._due:
                return
        if self._passed:
            self.pacer = self.pacer.on_success(now, self._sum_s / self._passed, self._passed)
            self._passed, self._sum_s, self._due = 0, 0.0, now + GROUP_S
        if answer.status == 429:
            wide = self._flights.refused(now, now - sent)
            self.pacer = self.pacer.on_throttled(now, now - sent, answer.retry_after_s, wide)
        elif answer.status != 200:
            self.pacer = self.pacer.on_trouble(now)
        self._decided = self._read()

    def busy_s(self, answer: Answer, attempt: int, rng: random.Random) -> float:
        """A record that was answered 429 goes back to the queue; another one takes the place."""
        return 0.0


class Fixed:
    """A rate that somebody guessed, 30/s, and as many connections as that takes."""

    def __init__(self, rate: float | None = 30.0, width: int = 64) -> None:
        self._rate, self._width = rate, width

    def allowed(self, now: float) -> tuple[float | None, int, float]:
        """Always the same."""
        return self._rate, self._width, float("-inf")

    def sent(self, now: float, in_flight: int) -> None:
        """Nothing to learn."""

    def answered(self, now: float, sent: float, answer: Answer) -> None:
        """Nothing to learn."""

    def busy_s(self, answer: Answer, attempt: int, rng: random.Random) -> float:
        """Retried at once, at the rate."""
        return 0.0


class Aimd:
    """Additive increase, multiplicative decrease: 2/s more each second, half at a 429, Retry-After kept."""

    def __init__(self, width: int = 64) -> None:
        self._width = width
        self._rate, self._at, self._cut_at = 10.0, 0.0, float("-inf")
        self._hold = float("-inf")

    def allowed(self, now: float) -> tuple[float | None, int, float]:
        """The line of the saw."""
        return self._rate, self._width, self._hold

    def sent(self, now: float, in_flight: int) -> None:
        """Nothing to learn."""

    def answered(self, now: float, sent: float, answer: Answer) -> None:
        """Grow with time while replies come, halve at refusals and trouble."""
        if answer.status == 200:
            self._rate += 2.0 * min(1.0, now - self._at)
        elif sent > self._cut_at and now - self._cut_at >= 1.0:
            self._rate, self._cut_at = max(0.5, self._rate / 2), now
        self._at = now
        if answer.retry_after_s is not None:
            self._hold = max(self._hold, now + answer.retry_after_s)

    def busy_s(self, answer: Answer, attempt: int, rng: random.Random) -> float:
        """Retried at once, at the rate."""
        return 0.0
