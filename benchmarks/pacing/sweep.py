"""A seeded sweep over servers that no scenario was made for: limits, latencies, buckets and windows at random."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import replace
from typing import Any

from benchmarks.pacing.clients import Ours
from benchmarks.pacing.scenarios import SCENARIOS, Scenario, constant
from benchmarks.pacing.score import score
from benchmarks.pacing.servers import FixedWindow, Rule, Server, SlidingWindow, TokenBucket
from benchmarks.pacing.simulate import Simulation

SECONDS = 120.0
WIDEST = 512


def drawn(number: int) -> Scenario:
    """Server `number`: limit from 1 to 3,000/s, latency from 5 ms to 1 s, kind of limit, all at random."""
    rng = random.Random(number)
    latency_s = math.exp(rng.uniform(math.log(0.005), math.log(1.0)))
    most = min(3000.0, 0.8 * WIDEST / latency_s)
    limit = math.exp(rng.uniform(0.0, math.log(most)))
    kind = rng.choice(["bucket", "bucket", "bucket", "second", "sliding"])
    burst = max(1.0, limit * math.exp(rng.uniform(math.log(0.05), math.log(10.0))))
    whole = max(1, round(limit))

    def rule() -> Rule:
        if kind == "bucket":
            return TokenBucket(lambda _: limit, burst)
        return FixedWindow(whole) if kind == "second" else SlidingWindow(whole)

    about = f"{kind}, {limit:.3g}/s, burst {burst:.3g}, {1000 * latency_s:.3g} ms"
    return replace(
        SCENARIOS[0],
        name=f"sweep-{number}",
        about=about,
        server=lambda: Server([rule()], service=lambda r: latency_s * r.uniform(0.3, 1.1)),
        limit=constant(limit if kind == "bucket" else whole),
        leg=lambda r: latency_s * r.uniform(0.13, 0.17),
        reach_over_s=max(1.0, min(10.0, 10 / limit)),
    )


def sweep(count: int) -> dict[str, Any]:
    """Marks over `count` drawn servers: quantiles, how many met all, and the worst by name."""
    rows = []
    for number in range(count):
        scenario = drawn(number)
        found = score(scenario, Simulation(scenario.server(), [(Ours(), 0.0)], scenario.leg, number).run(SECONDS))
        rows.append({"about": scenario.about, "met": found.ok(15.0), "limit": scenario.limit(0), **found.as_dict()})
    marks = {}
    for name, bad in (("used", 0), ("refused", 1), ("reached_s", 1), ("step_share", 1)):
        values = sorted((row[name] for row in rows), reverse=not bad)
        tenth = values[min(count - 1, round(0.9 * count))]
        marks[name] = {"median": statistics.median(values), "worst tenth from": tenth, "worst": values[-1]}
    failed = [row for row in rows if not row["met"]]
    bands = {"below 6/s": 0, "6/s to 100/s": 0, "above": 0}
    for row in rows:
        bands["below 6/s" if row["limit"] < 6 else "6/s to 100/s" if row["limit"] < 100 else "above"] += 1
    return {"servers": count, "met": count - len(failed), "bands": bands, "marks": marks, "failed": failed}
