"""Marks of a run: what of the oracle's requests got through, how many were refused, how soon a step was followed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from benchmarks.pacing.clients import Fixed
from benchmarks.pacing.scenarios import SECONDS, Scenario
from benchmarks.pacing.simulate import BIN_S, Series, Simulation

ENOUGH, REACHED, REFUSED, STEP_SECONDS, STEP_S = 0.95, 0.9, 0.01, 3.0, 15.0


@dataclass(frozen=True)
class Score:
    """used: accepted over the oracle's, steady part. refused: 429s over attempts there, without strays.

    reached_s: the slowest step. step_share: 429s in the 15 s after a step over what 3 s of the limit give, at worst.
    in_blind: attempts while the server was away, per minute.
    """

    used: float
    refused: float
    reached_s: float
    step_share: float
    in_blind: float

    def ok(self, within_s: float) -> bool:
        """Whether all that was asked for holds."""
        return self.used >= ENOUGH and self.refused <= REFUSED and self.reached_s <= within_s and self.step_share <= 1

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def oracle(scenario: Scenario, now: float) -> float:
    """Accepted per second of a client that knows the limit; simulated where no formula gives it."""
    return scenario.limit(now) or _simulated(scenario.name)


@cache
def _simulated(name: str) -> float:
    from benchmarks.pacing.scenarios import SCENARIOS  # noqa: PLC0415

    scenario = next(one for one in SCENARIOS if one.name == name)
    best = 0.0
    for width in range(scenario.width, 2 * scenario.width):
        series = Simulation(scenario.server(), [(Fixed(None, width), 0.0)], scenario.leg, 1).run(60)
        if sum(series.throttled) > REFUSED * sum(series.accepted):
            break
        best = sum(series.accepted) / 60
    return best


def score(scenario: Scenario, series: Series) -> Score:
    """Judge one run."""
    bins = range(int(series.seconds / BIN_S))
    steady = [i for i in bins if _steady(scenario, i * BIN_S)]
    wanted = sum(oracle(scenario, i * BIN_S) * BIN_S for i in steady)
    accepted = sum(series.accepted[i] for i in steady)
    refused = sum(series.throttled[i] - series.strays[i] for i in steady)
    blind = [i for i in bins if any(since <= i * BIN_S < until for since, until in scenario.blind)]
    asked = sum(series.troubled[i] + series.accepted[i] + series.throttled[i] for i in blind)
    shares = []
    for step in scenario.steps:
        after = [i for i in bins if step <= i * BIN_S < step + STEP_S]
        count = sum(series.throttled[i] - series.strays[i] for i in after)
        shares.append(count / (STEP_SECONDS * oracle(scenario, step)))
    return Score(
        used=accepted / wanted if wanted else math.nan,
        refused=refused / max(1, refused + accepted),
        reached_s=max(_reached(scenario, series, step) for step in scenario.steps),
        step_share=max(shares),
        in_blind=60 * asked / (len(blind) * BIN_S) if blind else 0.0,
    )


def _steady(scenario: Scenario, now: float) -> bool:
    if any(since <= now < until for since, until in scenario.blind):
        return False
    return not any(step <= now < step + scenario.settle_s for step in scenario.steps)


def _reached(scenario: Scenario, series: Series, step: float) -> float:
    """Seconds from the step to the end of the first stretch that held 90 % of the oracle's."""
    span = max(1, round(scenario.reach_over_s / BIN_S))
    first = int(step / BIN_S)
    for i in range(first, int(series.seconds / BIN_S) - span):
        wanted = oracle(scenario, i * BIN_S) * span * BIN_S
        if sum(series.accepted[i : i + span]) >= REACHED * wanted:
            return (i + span) * BIN_S - step
    return SECONDS
