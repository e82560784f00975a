"""The adaptive controller against servers simulated in virtual time."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.engine.pacer import Limits, Pacer


@dataclass
class TokenBucket:
    """A server that answers 429 beyond `limit(t)` requests a second."""

    limit: Callable[[float], float]
    burst: float = 10.0
    tokens: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def __call__(self, now: float, rng: random.Random) -> str:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.limit(now))
        self.at = now
        if self.tokens < 1:
            return "throttled"
        self.tokens -= 1
        return "ok"


@dataclass
class Run:
    """What a simulated run came to: one (time, answer) per attempt, and the states."""

    answers: list[tuple[float, str]]
    pacer: Pacer
    peak: int
    widths: list[tuple[float, int]]

    def count(self, kind: str, since: float, until: float) -> int:
        return sum(1 for at, answer in self.answers if answer == kind and since <= at < until)

    def rate(self, since: float, until: float) -> float:
        return self.count("ok", since, until) / (until - since)

    def share(self, since: float, until: float) -> float:
        throttled = self.count("throttled", since, until)
        return throttled / max(1, throttled + self.count("ok", since, until))


def simulate(
    server: Callable[[float, random.Random], str],
    seconds: float,
    *,
    limits: Limits | None = None,
    latency_s: Callable[[int], float] = lambda _: 0.05,
    retry_after_s: float | None = None,
    seed: int = 1,
) -> Run:
    """Endless demand through a pacer; requests reach the server after half their latency."""
    rng = random.Random(seed)
    pacer = Pacer.start(limits or Limits())
    order = itertools.count()
    events: list[tuple[float, int, str, str, float]] = []
    now = next_send = 0.0
    in_flight = peak = 0
    answers: list[tuple[float, str]] = []
    widths: list[tuple[float, int]] = []
    while now < seconds:
        decision = pacer.decision
        if decision.hold_until > next_send:
            next_send = decision.hold_until
        if in_flight < decision.width and max(now, next_send) <= (events[0][0] if events else seconds):
            now = max(now, next_send)
            in_flight += 1
            peak = max(peak, in_flight)
            took = latency_s(in_flight) * rng.uniform(0.9, 1.2)
            heapq.heappush(events, (now + took / 2, next(order), "arrive", "", took))
            next_send = now + (1 / decision.rate if decision.rate else 0.0)
            continue
        if not events:
            break
        now, _, what, answer, took = heapq.heappop(events)
        if what == "arrive":
            answer = server(now, rng)
            answers.append((now, answer))
            heapq.heappush(events, (now + took / 2, next(order), "reply", answer, took))
            continue
        in_flight -= 1
        if answer == "ok":
            pacer = pacer.on_success(now, took)
        elif answer == "throttled":
            pacer = pacer.on_throttled(now, retry_after_s)
        else:
            pacer = pacer.on_trouble(now)
        widths.append((now, pacer.decision.width))
    return Run(answers, pacer, peak, widths)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("latency", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("burst", [5.0, 10.0, 30.0])
def test_an_unknown_limit_of_30_is_found_and_followed(seed: int, latency: float, burst: float) -> None:
    run = simulate(TokenBucket(lambda _: 30.0, burst), 120, latency_s=lambda _: latency, seed=seed)
    assert run.share(20, 120) <= 0.02
    assert run.rate(20, 120) >= 0.85 * 30
    assert min(run.rate(t, t + 5) for t in range(20, 115, 5)) >= 15


def test_a_server_without_any_burst_gets_few_429s_and_no_collapse() -> None:
    run = simulate(TokenBucket(lambda _: 30.0, 1.0), 120)
    assert run.share(20, 120) <= 0.02
    assert run.rate(20, 120) >= 0.6 * 30


@pytest.mark.parametrize("seed", range(2))
def test_a_limit_that_moves_is_followed_down_and_up(seed: int) -> None:
    def limit(now: float) -> float:
        return 100.0 if now < 40 else 30.0 if now < 80 else 300.0

    run = simulate(TokenBucket(limit), 180, seed=seed)
    for since, until, allowed in ((20, 40, 100), (60, 80, 30), (130, 180, 300)):
        assert run.share(since, until) <= 0.02
        assert run.rate(since, until) >= 0.85 * allowed


@pytest.mark.parametrize("seed", range(3))
def test_retry_after_is_honoured_as_silence(seed: int) -> None:
    run = simulate(TokenBucket(lambda _: 30.0), 80, retry_after_s=1.0, seed=seed)
    assert run.share(20, 80) <= 0.02
    assert run.rate(20, 80) >= 0.85 * 30
    pacer = Pacer().on_throttled(10.0, 7.0)
    assert pacer.decision.hold_until == 17.0
    assert pacer.on_throttled(10.1, 1.0).decision.hold_until == 17.0


def test_without_a_limit_the_width_opens_up_and_no_cap_appears() -> None:
    run = simulate(lambda _now, _rng: "ok", 3)
    assert run.pacer.decision.rate is None
    assert run.pacer.decision.width == 512
    assert run.rate(2, 3) >= 0.9 * 512 / 0.0525
    assert run.peak <= 512


def test_the_width_stops_where_latency_rises_and_not_on_fast_servers() -> None:
    queueing = simulate(lambda _now, _rng: "ok", 10, latency_s=lambda n: 0.05 * max(1.0, n / 40))
    assert 32 <= queueing.pacer.decision.width <= 160
    loopback = simulate(lambda _now, _rng: "ok", 4, latency_s=lambda n: max(0.0005, n / 5000))
    assert loopback.pacer.decision.width >= 32


def test_an_outage_is_probed_singly_and_followed_by_no_storm() -> None:
    run = simulate(lambda now, _rng: "bad" if 10 < now < 40 else "ok", 60, limits=Limits(max_width=64))
    assert run.count("bad", 12, 40) <= 10
    start = next(at for at, answer in run.answers if answer == "ok" and at > 40)
    assert run.count("ok", start, start + 0.06) <= 6
    assert run.rate(50, 60) >= 0.8 * run.rate(5, 10)


def test_a_storm_of_troubles_halves_once_per_round_trip_and_single_ones_do_not() -> None:
    pacer = Pacer()
    for step in range(200):
        pacer = pacer.on_success(step * 0.01, 0.1, 10)
    wide = pacer.decision.width
    assert wide > 100
    assert pacer.on_trouble(2.0).on_trouble(2.0).decision.width == wide
    for _ in range(60):
        pacer = pacer.on_trouble(2.0)
    assert pacer.decision.width == wide // 2


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_429s_that_have_nothing_to_do_with_the_rate_do_not_strangle_it(share: float) -> None:
    limits = Limits(max_rate=100)
    run = simulate(lambda _now, rng: "throttled" if rng.random() < share else "ok", 60, limits=limits)
    assert run.rate(30, 60) >= 0.8 * 100 * (1 - share)


def test_a_quota_that_is_used_up_is_asked_ever_more_rarely() -> None:
    run = simulate(lambda _now, _rng: "throttled", 120)
    assert len(run.answers) <= 60
    assert run.pacer.decision.hold_until - run.answers[-1][0] >= 15


def test_a_rate_that_was_set_is_never_exceeded_and_met_from_below() -> None:
    run = simulate(TokenBucket(lambda _: 20.0), 60, limits=Limits(max_rate=30, lone_share=0.1))
    assert run.rate(20, 60) >= 0.85 * 20
    assert run.share(20, 60) <= 0.12
    assert run.pacer.decision.rate is not None
    assert run.pacer.decision.rate <= 30


def test_a_set_width_stays() -> None:
    pacer = Pacer.start(Limits(width=17))
    for step in range(50):
        pacer = pacer.on_success(step * 0.05, 0.05, 17)
    assert pacer.decision.width == 17


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["ok", "throttled", "bad"]), st.floats(0, 5), st.floats(0, 10)), max_size=80),
    st.sampled_from([None, 0.5, 30.0]),
)
def test_whatever_happens_decisions_stay_within_bounds(
    events: list[tuple[str, float, float]], max_rate: float | None
) -> None:
    pacer, now = Pacer.start(Limits(max_rate=max_rate, max_width=64)), 0.0
    for what, gap, value in events:
        now += gap
        if what == "ok":
            pacer = pacer.on_success(now, value)
        elif what == "bad":
            pacer = pacer.on_trouble(now)
        else:
            pacer = pacer.on_throttled(now, value if value > 5 else None)
        decision = pacer.decision
        assert 1 <= decision.width <= 64
        assert decision.rate is None or 0 < decision.rate <= (max_rate or 1e12)
        assert decision.hold_until <= now + 30
