"""What the figures have to reach, and whether they do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Goal:
    """path: where the figure stands in the JSON. sign: `>=` or `<=`. unit: behind the number."""

    title: str
    path: tuple[str, ...]
    sign: str
    wanted: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal and what was measured. low, high: None for a single measurement."""

    goal: Goal
    measured: float
    low: float | None = None
    high: float | None = None

    @property
    def met(self) -> bool:
        """Whether the median reaches the goal."""
        if self.goal.sign == ">=":
            return self.measured >= self.goal.wanted
        return self.measured <= self.goal.wanted


def _ratio(scenario: str, pair: str, figure: str = "tasks_per_s") -> tuple[str, ...]:
    return ("imports", scenario, "ratios", pair, figure)


def _calls(part: str, other: str, figure: str = "tasks_per_s") -> tuple[str, ...]:
    return ("calls", part, "ratios", f"scalesync / {other}", figure)


CPU = "cpu_us_per_task"
GOALS = (
    Goal("tasks/s against the bare loop, sequential ids", _ratio("sequential", "scalesync / bare"), ">=", 1.5),
    Goal(
        "CPU per task against the bare loop, sequential ids", _ratio("sequential", "scalesync / bare", CPU), "<=", 0.7
    ),
    Goal("tasks/s against the bare loop, random ids", _ratio("hash", "scalesync / bare"), ">=", 1.2),
    Goal("CPU per task against the bare loop, random ids", _ratio("hash", "scalesync / bare", CPU), "<=", 0.9),
    Goal(
        "tasks/s against the bare loop, sequential ids, ClientSession as transport",
        _ratio("sequential", "scalesync-session / bare"),
        ">=",
        0.75,
    ),
    Goal("tasks/s against the SDK with 30 threads, plain http", _ratio("sequential", "scalesync / sdk-30"), ">=", 40),
    Goal("tasks/s against the SDK with 30 threads, TLS at 50 ms", _ratio("tls", "scalesync / sdk-30"), ">=", 10),
    Goal("gets/s through the client against the SDK with 30 threads, TLS at 50 ms", _calls("tls", "sdk-30"), ">=", 10),
    Goal("CPU per get and list page against a bare session", _calls("cpu", "bare", CPU), "<=", 1.3),
    Goal("exported tasks/s against the SDK", ("exports", "ratios", "scalesync / sdk", "tasks_per_s"), ">=", 10),
    Goal("ledger of a million records", ("million", "large", "ledger_mb"), "<=", 150, " MB"),
    Goal("peak memory, a million records less ten thousand", ("million", "peak_growth_mb"), "<=", 25, " MB"),
    Goal("recognising a finished million", ("million", "finished", "wall_s"), "<=", 2, " s"),
    Goal("half finished million: first create after", ("million", "half_finished", "first_create_s"), "<=", 3, " s"),
)


def verdicts(figures: Json, goals: Sequence[Goal] = GOALS) -> list[Verdict]:
    """Goals that were measured, the missed ones first."""
    found = [verdict for goal in goals if (verdict := judge(figures, goal)) is not None]
    return sorted(found, key=lambda verdict: verdict.met)


def judge(figures: Json, goal: Goal) -> Verdict | None:
    """None when the figure is not among those measured."""
    value: Any = figures
    for name in goal.path:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    if isinstance(value, dict):
        return Verdict(goal, value["median"], value["min"], value["max"])
    return Verdict(goal, value)
