"""Many points, added up."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from tests.reading.points import DIMENSIONS, Point, drawn, tally
from tests.reading.trial import Trial, run_point


@dataclass(slots=True)
class Campaign:
    """What was run. places: records and bad places that were read; values: points per value of each dimension."""

    points: int = 0
    places: int = 0
    runs: int = 0
    kills: int = 0
    values: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in DIMENSIONS})
    wrong: list[str] = field(default_factory=list)

    def add(self, trial: Trial) -> None:
        """One more point."""
        self.points += 1
        self.places += trial.records
        self.runs += trial.runs
        self.kills += trial.kills
        self.wrong += trial.wrong
        self.merge(tally([trial.point]))

    def to_json(self) -> dict[str, Any]:
        """Figures: sums, and points per value of each dimension."""
        sums = {name: getattr(self, name) for name in ("points", "places", "runs", "kills")}
        return {**sums, "values": {name: dict(sorted(counts.items())) for name, counts in self.values.items()}}

    def merge(self, values: dict[str, Counter[str]]) -> None:
        """Add points per value."""
        for name, counts in values.items():
            self.values[name].update(counts)


def run_points(points: Iterable[Point], tell: Callable[[Trial], object] = lambda trial: None) -> Campaign:
    """Run points one after the other, each in a folder of its own; one that raises is wrong."""
    campaign = Campaign()
    for point in points:
        with tempfile.TemporaryDirectory(prefix="reading-") as folder:
            try:
                trial = asyncio.run(run_point(point, Path(folder)))
            except Exception as error:
                trial = Trial(point, wrong=[f"{type(error).__name__}: {error}\n    {point}"])
        campaign.add(trial)
        tell(trial)
    return campaign


def campaign_of(seed: int, points: int) -> Campaign:
    """So many points drawn from a seed."""
    return run_points(islice(drawn(seed), points))
