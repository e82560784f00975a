"""Servers that limit: what each does with a request that arrives, in virtual time.

A `Server` asks its rules in turn; the first that refuses answers 429. What passed takes `service` seconds. Times in
seconds. Every draw comes from the generator that is handed in.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

Draw = Callable[[random.Random], float]


class Answer(NamedTuple):
    """status: 200, 429, 503 or 0 for none at all. after_s: from arrival to the moment the reply leaves."""

    status: int
    after_s: float
    retry_after_s: float | None = None
    stray: bool = False  # a 429 that has nothing to do with the limit


class Rule(Protocol):
    """One limit. `admit` takes a place when there is one."""

    def admit(self, now: float) -> bool:
        """Whether a request that arrives at `now` may pass."""


@dataclass
class TokenBucket:
    """`rate(now)` tokens a second, at most `burst` at once; starts full. A refused request costs nothing."""

    rate: Callable[[float], float]
    burst: float
    tokens: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def admit(self, now: float) -> bool:
        """Take a token."""
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate(now))
        self.at = now
        if self.tokens < 1 - 1e-9:
            return False
        self.tokens -= 1
        return True


@dataclass
class FixedWindow:
    """`count` requests in each `period_s` of the server's clock, which is `phase_s` ahead."""

    count: int
    period_s: float = 1.0
    phase_s: float = 0.0
    window: int = -1
    used: int = 0

    def admit(self, now: float) -> bool:
        """Count within the window that runs."""
        window = int((now + self.phase_s) // self.period_s)
        if window != self.window:
            self.window, self.used = window, 0
        self.used += 1
        return self.used <= self.count


@dataclass
class SlidingWindow:
    """`count` requests in any `period_s`."""

    count: int
    period_s: float = 1.0
    log: deque[float] = field(default_factory=deque)

    def admit(self, now: float) -> bool:
        """Forget what left the window, then count."""
        while self.log and self.log[0] <= now - self.period_s:
            self.log.popleft()
        if len(self.log) >= self.count:
            return False
        self.log.append(now)
        return True


@dataclass
class Server:
    """rules: all must admit. service: seconds of work per request, a draw.

    places: at most so many are worked on at once; the rest is refused, or waits when `queues`. stray: share of 429s
    that have nothing to do with a limit. outages: (from, until, status); status 0 leaves requests without an answer.
    """

    rules: Sequence[Rule] = ()
    service: Draw = lambda rng: rng.uniform(0.02, 0.14)
    retry_after_s: float | None = None
    places: int | None = None
    queues: bool = False
    stray: float = 0.0
    outages: Sequence[tuple[float, float, int]] = ()
    ends: list[float] = field(default_factory=list)

    def arrive(self, now: float, rng: random.Random) -> Answer:
        """Answer a request that arrives at `now`; calls come in order of time."""
        work_s = self.service(rng)
        for since, until, status in self.outages:
            if since <= now < until:
                return Answer(status, 0.005)
        if self.stray and rng.random() < self.stray:
            return Answer(429, work_s, self.retry_after_s, stray=True)
        if self.places is not None and not self.queues:
            self._leave(now)
            if len(self.ends) >= self.places:
                return Answer(429, work_s, self.retry_after_s)
        for rule in self.rules:
            if not rule.admit(now):
                return Answer(429, work_s, self.retry_after_s)
        return Answer(200, self._place(now, work_s))

    def _leave(self, now: float) -> None:
        while self.ends and self.ends[0] <= now:
            heapq.heappop(self.ends)

    def _place(self, now: float, work_s: float) -> float:
        """Occupy a place, after a wait for one where the server queues; seconds until the work is done."""
        if self.places is None:
            return work_s
        start = now
        if len(self.ends) >= self.places:
            start = max(now, heapq.heappop(self.ends))
        heapq.heappush(self.ends, start + work_s)
        return start + work_s - now
