"""All controllers through all scenarios, several seeds each; medians and worst cases."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.pacing.clients import Aimd, Fixed
from benchmarks.pacing.cubic import Cubic
from benchmarks.pacing.scenarios import SECONDS, Scenario
from benchmarks.pacing.score import Score, score
from benchmarks.pacing.simulate import Client, Series, Simulation

Makers = dict[str, Callable[[Scenario], list[tuple[Client, float]]]]


def _each(scenario: Scenario, make: Callable[[int], Client]) -> list[tuple[Client, float]]:
    return [(make(scenario.width), start) for start in scenario.starts]


CONTROLLERS: Makers = {
    "scalesync": lambda scenario: scenario.ours(),
    "fixed 30/s": lambda scenario: _each(scenario, lambda width: Fixed(30.0, width)),
    "AIMD": lambda scenario: _each(scenario, Aimd),
    "cubic": lambda scenario: _each(scenario, Cubic),
}


def run_one(scenario: Scenario, controller: str, seed: int, seconds: float = SECONDS) -> Series:
    """One run."""
    return Simulation(scenario.server(), CONTROLLERS[controller](scenario), scenario.leg, seed).run(seconds)


def run_scenario(scenario: Scenario, seeds: int) -> tuple[dict[str, Any], dict[str, Series]]:
    """Figures of each controller, and the series of the first seed for the plot."""
    figures: dict[str, Any] = {}
    shown: dict[str, Series] = {}
    for controller in CONTROLLERS:
        scores = []
        for seed in range(seeds if controller == "scalesync" else max(1, min(3, seeds))):
            series = run_one(scenario, controller, seed)
            shown.setdefault(controller, series)
            scores.append(score(scenario, series))
        figures[controller] = summary(scores, scenario.within_s)
    return figures, shown


def summary(scores: Sequence[Score], within_s: float) -> dict[str, Any]:
    """Median and worst of each mark, and how many runs met all that was asked."""
    rows = [one.as_dict() for one in scores]
    worst: dict[str, Callable[[Sequence[float]], float]] = {"used": min}
    marks = {
        name: {
            "median": round(statistics.median(row[name] for row in rows), 4),
            "worst": round(worst.get(name, max)([row[name] for row in rows]), 4),
        }
        for name in rows[0]
    }
    return {"runs": len(rows), "met": sum(one.ok(within_s) for one in scores), **marks}
