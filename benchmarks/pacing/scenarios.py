"""The scenarios: servers, what an oracle gets of them, and when the limit steps."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.pacing.clients import Ours
from benchmarks.pacing.servers import Draw, FixedWindow, Server, SlidingWindow, TokenBucket
from scalesync.pacing.controller import Limits

SECONDS = 300.0
MEAN_S = 0.125  # latency of the usual network and server: 30 to 60 ms there and back, 20 to 140 ms of work


def usual_leg(rng: random.Random) -> float:
    """One way through the network, s."""
    return rng.uniform(0.015, 0.03)


@dataclass(frozen=True)
class Scenario:
    """server: makes one. limit: accepted requests per second that an oracle gets, by time.

    steps: when the limit changes (0 is the start), none of them in `blind`: spans that count for nothing but
    attempts. starts, memory, limits: of our clients. within_s: how soon after a step 90 % must be reached. width:
    connections that the peers are given.
    """

    name: str
    about: str
    server: Callable[[], Server]
    limit: Callable[[float], float]
    steps: Sequence[float] = (0.0,)
    blind: Sequence[tuple[float, float]] = ()
    leg: Draw = usual_leg
    width: int = 32
    starts: Sequence[float] = (0.0,)
    memory: Mapping[str, Any] | None = None
    limits: Limits = field(default_factory=Limits)
    within_s: float = 15.0
    settle_s: float = 15.0
    reach_over_s: float = 1.0
    stray: float = 0.0
    notes: Sequence[str] = field(default=())

    def ours(self) -> list[tuple[Any, float]]:
        """Our clients."""
        return [(Ours(self.limits, self.memory), start) for start in self.starts]


def bucket(rate: float, burst: float, **more: Any) -> Callable[[], Server]:
    """A server with one token bucket."""
    return lambda: Server([TokenBucket(lambda _: rate, burst)], **more)


def steps_limit(now: float) -> float:
    """100, then 30, then 300 per second, 100 seconds each."""
    return 100.0 if now < 100 else 30.0 if now < 200 else 300.0


def heavy(rng: random.Random) -> float:
    """Work of 40 ms and a Pareto tail: one in a hundred takes over 0.4 s, a few take seconds."""
    return min(8.0, 0.04 * rng.paretovariate(1.4))


def memory(rate: float, width: int = 16) -> dict[str, Any]:
    """What an earlier run would have kept."""
    return {"version": 1, "rate": rate, "window_s": 0.0, "width": width}


def constant(rate: float) -> Callable[[float], float]:
    """The same limit all the time."""
    return lambda _: rate


def outage(status: int) -> Callable[[], Server]:
    """A minute without service at 100/s."""
    return lambda: Server([TokenBucket(lambda _: 100.0, 50)], outages=[(120.0, 180.0, status)])


OUT = [(120.0, 180.0)]
WINDOW = "a minute's quota that was used up before the steady part began is left out: steady from the second minute on"

SCENARIOS: Sequence[Scenario] = (
    Scenario("steady", "100/s, bucket of 50, no Retry-After", bucket(100, 50), constant(100)),
    Scenario("retry-after", "100/s, bucket of 50, Retry-After: 1", bucket(100, 50, retry_after_s=1.0), constant(100)),
    Scenario(
        "steps",
        "100/s, then 30/s, then 300/s; bucket of 30",
        lambda: Server([TokenBucket(steps_limit, 30)]),
        steps_limit,
        steps=(0.0, 100.0, 200.0),
        width=96,
    ),
    Scenario(
        "minute",
        "600 in each minute of the server's clock, 23 s of the first one gone",
        lambda: Server([FixedWindow(600, 60.0, 23.0)]),
        constant(10),
        settle_s=37.0,
        notes=(WINDOW,),
    ),
    Scenario(
        "queueing",
        "20 places of 120 ms work, the rest waits: latency rises with load, no 429",
        lambda: Server(places=20, queues=True, service=lambda rng: rng.uniform(0.08, 0.16)),
        constant(20 / 0.12),
        width=48,
    ),
    Scenario(
        "jitter", "100/s, bucket of 20, heavy-tailed latency", bucket(100, 20, service=heavy), constant(100), width=64
    ),
    Scenario(
        "outage", "100/s; 503 to everything for a minute", outage(503), constant(100), steps=(0.0, 180.0), blind=OUT
    ),
    Scenario(
        "timeouts", "100/s; no answer to anything for a minute", outage(0), constant(100), steps=(0.0, 180.0), blind=OUT
    ),
    Scenario(
        "two-clients",
        "60/s, bucket of 30, shared by two clients, the second 60 s later",
        bucket(60, 30),
        constant(60),
        steps=(0.0, 60.0),
        starts=(0.0, 60.0),
    ),
    Scenario("hidden-width", "429 beyond 20 requests at work", lambda: Server(places=20), constant(0.0), width=20),
    Scenario(
        "very-high",
        "3,000/s, bucket of 300, 50 to 150 ms",
        bucket(3000, 300, service=lambda rng: rng.uniform(0.02, 0.09)),
        constant(3000),
        width=512,
    ),
    Scenario("one", "1/s, bucket of 2", bucket(1, 2), constant(1), reach_over_s=5.0, width=8),
    Scenario("bursty", "20/s behind a bucket of 1,000", bucket(20, 1000), constant(20), width=32),
    Scenario(
        "strays",
        "100/s, bucket of 50, and 1 % of 429s unrelated to it",
        bucket(100, 50, stray=0.01),
        constant(99),
        stray=0.01,
    ),
    Scenario(
        "strict",
        "30/s without burst (bucket of 1), 300 ms",
        bucket(30, 1, service=lambda rng: rng.uniform(0.15, 0.25)),
        constant(30),
        leg=lambda rng: rng.uniform(0.0498, 0.0502),
        width=32,
    ),
    Scenario(
        "lists", "20/s, bucket of 20; the eager climb of lists", bucket(20, 20), constant(20), limits=Limits(eager=True)
    ),
    Scenario("sliding", "50 in any second", lambda: Server([SlidingWindow(50)]), constant(50)),
    Scenario("second", "50 in each second of the server's clock", lambda: Server([FixedWindow(50)]), constant(50)),
    Scenario(
        "second-near",
        "300 in each second of the server's clock, 20 ms away",
        lambda: Server([FixedWindow(300)], service=lambda rng: rng.uniform(0.005, 0.02)),
        constant(300),
        leg=lambda rng: rng.uniform(0.003, 0.005),
    ),
    Scenario(
        "warm", "100/s, bucket of 50, remembered", bucket(100, 50), constant(100), memory=memory(100), within_s=3.0
    ),
    Scenario("warm-low", "the memory says 10/s, the limit is 100/s", bucket(100, 50), constant(100), memory=memory(10)),
    Scenario(
        "warm-high",
        "the memory says 1,000/s, the limit is 100/s",
        bucket(100, 50),
        constant(100),
        memory=memory(1000, 128),
    ),
)
