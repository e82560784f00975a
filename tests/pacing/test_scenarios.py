"""What was asked of the controller, in the simulation: fewer seeds and shorter than the benchmark."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from benchmarks.pacing.clients import Ours
from benchmarks.pacing.plots import smoothed
from benchmarks.pacing.runs import CONTROLLERS, run_one
from benchmarks.pacing.scenarios import SCENARIOS, Scenario, constant
from benchmarks.pacing.score import Score, score
from benchmarks.pacing.servers import Answer, FixedWindow, Server, SlidingWindow, TokenBucket
from benchmarks.pacing.simulate import BIN_S, Simulation
from benchmarks.pacing.sweep import drawn
from scalesync.pacing.controller import Limits

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
# What a scenario falls short of, as docs/pacing.md says; the bound here keeps it from getting worse.
SHORT: dict[str, Score] = {
    "minute": Score(0.92, 0.015, 15, 1.6, 0),
    "two-clients": Score(0.95, 0.02, 15, 1.0, 0),
    "one": Score(0.93, 0.03, 15, 2.6, 0),
    "strays": Score(0.75, 0.01, 60, 1.0, 0),
    "hidden-width": Score(0.95, 0.01, 20, 1.0, 0),
    "strict": Score(0.90, 0.015, 15, 1.0, 0),
}
MET = Score(0.95, 0.01, 15, 1.0, 0)
LONG = {"very-high"}  # in the benchmark, and below for half a minute


def judged(scenario: Scenario, seed: int) -> Score:
    return score(scenario, run_one(scenario, "scalesync", seed))


@pytest.mark.part(2)
@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in LONG])
def test_each_scenario_is_followed_as_well_as_the_page_says(name: str) -> None:
    scenario, bound = BY_NAME[name], SHORT.get(name, MET)
    found = judged(scenario, 0)
    assert found.used >= bound.used
    assert found.refused <= bound.refused
    assert found.reached_s <= min(bound.reached_s, scenario.within_s if name not in SHORT else 60)
    assert found.step_share <= bound.step_share


def test_a_very_high_limit_is_reached_within_fifteen_seconds() -> None:
    series = run_one(BY_NAME["very-high"], "scalesync", 0, 20)
    assert max(smoothed(series.accepted)[: round(15 / BIN_S)]) >= 0.9 * 3000
    assert sum(series.throttled) <= 0.05 * sum(series.accepted)


@pytest.mark.parametrize("name", ["outage", "timeouts"])
def test_while_the_server_is_away_only_probes_go_out_and_no_storm_follows(name: str) -> None:
    series = run_one(BY_NAME[name], "scalesync", 1, 200)
    away = [series.troubled[i] for i in range(round(130 / BIN_S), round(180 / BIN_S))]
    back = [series.accepted[i] + series.throttled[i] for i in range(round(180 / BIN_S), round(200 / BIN_S))]
    assert sum(away) <= 20
    assert max(back) <= 1.6 * 100 * BIN_S


def test_a_wrong_memory_costs_no_more_than_a_step_of_the_limit() -> None:
    for name in ("warm-low", "warm-high"):
        found = score(BY_NAME[name], run_one(BY_NAME[name], "scalesync", 2, 60))
        assert found.reached_s <= 15
        assert found.step_share <= 1


def test_a_set_rate_is_never_exceeded_and_the_server_is_followed_below_it() -> None:
    server = Server([TokenBucket(lambda _: 20.0, 10)])
    ours = Ours(Limits(max_rate=30.0))
    series = Simulation(server, [(ours, 0.0)], BY_NAME["steady"].leg, 1).run(120)
    for i in range(len(series.accepted) - 4):
        assert sum(series.accepted[i : i + 4]) + sum(series.throttled[i : i + 4]) <= 30 + 2  # jitter on the way
    late = slice(round(20 / BIN_S), round(120 / BIN_S))
    assert sum(series.accepted[late]) >= 0.9 * 20 * 100
    assert sum(series.throttled[late]) <= 0.06 * sum(series.accepted[late])


@pytest.mark.parametrize("share", [0.02, 0.05])
def test_429s_that_have_nothing_to_do_with_the_rate_do_not_strangle_a_set_one(share: float) -> None:
    ours = Ours(Limits(max_rate=100.0))
    series = Simulation(Server(stray=share), [(ours, 0.0)], BY_NAME["steady"].leg, 1).run(90)
    late = slice(round(30 / BIN_S), round(90 / BIN_S))
    assert sum(series.accepted[late]) >= 0.9 * 100 * (1 - share) * 60


def test_ten_stray_429s_cost_seconds_not_tens_of_them() -> None:
    class Ten(Server):
        def arrive(self, now: float, rng):  # type: ignore[no-untyped-def]
            self.stray = 1.0 if any(at <= now < at + 0.02 for at in range(20, 40, 2)) else 0.0
            return super().arrive(now, rng)

    with_them, without = (
        sum(
            Simulation(make([TokenBucket(lambda _: 100.0, 50)]), [(Ours(), 0.0)], BY_NAME["steady"].leg, 1)
            .run(60)
            .accepted
        )
        for make in (Ten, Server)
    )
    assert with_them >= without - 3 * 100


@pytest.mark.parametrize("latency_s", [0.005, 0.02, 0.05])
@pytest.mark.parametrize("rule", [FixedWindow, SlidingWindow])
@pytest.mark.parametrize("count", [30, 300])
def test_windows_of_a_second_are_used_however_near_the_server_is(rule, count, latency_s) -> None:
    """A full window refuses all that comes: that is neither an outage nor a limit that fell."""
    scenario = replace(
        BY_NAME["steady"],
        server=lambda: Server([rule(count)], service=lambda rng: latency_s * rng.uniform(0.3, 1.1)),
        limit=constant(count),
        leg=lambda rng: latency_s * rng.uniform(0.13, 0.17),
    )
    found = score(scenario, Simulation(scenario.server(), [(Ours(), 0.0)], scenario.leg, 1).run(60))
    assert found.used >= 0.9
    assert found.refused <= 0.012
    assert found.step_share <= 0.2


@pytest.mark.parametrize("passed", [0, 5])
@pytest.mark.parametrize("away_s", [2.0, 10.0, 30.0])
def test_429s_at_the_start_that_are_about_something_else_are_got_over(away_s, passed) -> None:
    """A server that answers 429 to everything for a while tells nothing of its limit, whatever passed before."""

    class Away(Server):
        def arrive(self, now: float, rng: random.Random) -> Answer:
            nonlocal passed
            if now < away_s:
                passed -= 1
                return Answer(200 if passed >= 0 else 429, 0.05)
            return super().arrive(now, rng)

    server = Away([TokenBucket(lambda _: 100.0, 50)])
    series = Simulation(server, [(Ours(), 0.0)], BY_NAME["steady"].leg, 1).run(away_s + 90)
    assert max(smoothed(series.accepted)) >= 90


def test_servers_drawn_at_random_are_mostly_followed() -> None:
    """docs/pacing.md says where it falls short: below some six requests a second."""
    found = []
    for number in range(40):
        scenario = drawn(number)
        if 6 <= scenario.limit(0) <= 300:
            series = Simulation(scenario.server(), [(Ours(), 0.0)], scenario.leg, number).run(60)
            found.append(score(scenario, series))
    assert len(found) >= 12
    assert sum(one.used >= 0.9 for one in found) >= 0.85 * len(found)
    assert sum(one.refused <= 0.02 for one in found) >= 0.9 * len(found)


@pytest.mark.parametrize("controller", [name for name in CONTROLLERS if name != "scalesync"])
def test_the_peers_run_in_the_same_harness(controller: str) -> None:
    series = run_one(BY_NAME["steady"], controller, 0, 60)
    assert 100 <= sum(series.accepted) <= 100 * 60 + 50


def test_rules_admit_what_they_should() -> None:
    bucket = TokenBucket(lambda _: 10.0, 5)
    assert sum(bucket.admit(0.0) for _ in range(20)) == 5
    assert sum(bucket.admit(0.2) for _ in range(20)) == 2
    window = FixedWindow(3, 60.0, phase_s=59.0)
    assert [window.admit(now) for now in (0.0, 0.1, 0.2, 0.3, 1.0)] == [True, True, True, False, True]
    sliding = SlidingWindow(2)
    assert [sliding.admit(now) for now in (0.0, 0.5, 0.9, 1.0, 1.2, 1.5)] == [True, True, False, True, False, True]


def test_the_same_seed_gives_the_same_run() -> None:
    first, second = (run_one(BY_NAME["jitter"], "scalesync", 3, 20) for _ in range(2))
    assert first == second
    assert first != run_one(BY_NAME["jitter"], "scalesync", 4, 20)
