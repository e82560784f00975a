"""The units of a soak, each run in a worker process.

One schedule of faults, one job that is killed some times, one round of all property tests with draws of its own, one
walk of commands, some points of the matrix of sources, or a part of the tests that take minutes each.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.conftest import TRANSPORTS
from tests.faults.kill_increments import killed_increments
from tests.faults.kills import Verdict, Way, killed_exports, killed_imports
from tests.faults.schedules import draw_schedule
from tests.faults.trial import Trial, run_schedule
from tests.reading.campaign import Campaign, campaign_of
from tests.soak.figures import ROOT, Plan, Round
from tests.walks.steps import draw_steps
from tests.walks.walk import Outcome, walk

KILLS = 5  # of one job
IMPORTED, EXPORTED = 3000, 1200
KINDS: tuple[Literal["import", "export", "increment"], ...] = ("export", "import", "increment", "import")
PATIENCE_S = 300.0
ROUND_S = 300
POINTS = 25  # of the matrix of sources, in one unit
TAIL = 5000
PART = "SCALESYNC_SOAK_PART"  # "3/20" for pytest: of the tests of the soak, every twentieth from the third on
ENDS = "SCALESYNC_SOAK_ENDS"  # when the time of the soak is over, in seconds since 1970: its test runs end then
RATE = "5000"
WALK_STEPS = 25

Result = Trial | Verdict | Round | Outcome | Campaign


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of work and its seed. records: in it; of a reading, points; of long tests, the number of parts."""

    kind: Literal["schedule", "import", "export", "increment", "round", "walk", "long", "reading"]
    seed: int
    records: int


def units(plan: Plan, seed: int) -> Iterator[Unit]:
    """All of the plan, kinds interleaved evenly, so that a soak that is cut short has seen something of each."""
    jobs = -(-plan.kills // KILLS)
    kinds = [KINDS[n % len(KINDS)] for n in range(jobs)]
    killed = [Unit(kind, seed + n, IMPORTED if kind == "import" else EXPORTED) for n, kind in enumerate(kinds)]
    drawn = [Unit("schedule", seed + n, plan.records) for n in range(plan.schedules)]
    rounds = [Unit("round", seed + n, 0) for n in range(plan.rounds)]
    walks = [Unit("walk", seed + n, 0) for n in range(plan.walks)]
    read = [
        Unit("reading", seed + n, min(POINTS, plan.reading - n * POINTS)) for n in range(-(-plan.reading // POINTS))
    ]
    long = [Unit("long", part, plan.long) for part in range(plan.long)]
    groups = (killed, drawn, rounds, walks, read, long)
    placed = [((n + 0.5) / len(group), unit) for group in groups for n, unit in enumerate(group)]
    yield from (unit for _, unit in sorted(placed, key=lambda pair: pair[0]))


def transport_of(unit: Unit) -> str:
    """Seeds take turns, by eights: the bits below choose other things."""
    return TRANSPORTS[unit.seed // 8 % 2]


def work(unit: Unit) -> Result:
    """Run one unit in a folder of its own, on one transport or the other."""
    if unit.kind in {"round", "long"}:
        return run_tests(unit)
    os.environ["SCALESYNC_TRANSPORT"] = transport_of(unit)
    if unit.kind == "reading":
        return campaign_of(unit.seed, unit.records)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        here = Path(folder)
        if unit.kind == "walk":
            return walk(here, unit.seed, draw_steps(unit.seed, WALK_STEPS))
        if unit.kind == "import":
            return killed_imports(here, unit.seed, kills=KILLS, records=unit.records)
        # A kind has every fourth seed; the transport is chosen by the bit between way and responses.
        way: Way = "files" if unit.seed // 4 % 2 else "requests"
        if unit.kind == "increment":
            return killed_increments(here, unit.seed, kills=KILLS, tasks=unit.records, way=way)
        if unit.kind == "export":
            responses = unit.seed // 16 % 2 == 0
            return killed_exports(here, unit.seed, kills=KILLS, tasks=unit.records, way=way, responses=responses)
        schedule = draw_schedule(random.Random(f"soak {unit.seed}"), rate=RATE)
        return asyncio.run(asyncio.wait_for(run_schedule(schedule, unit.records, here), PATIENCE_S))


def run_tests(unit: Unit) -> Round:
    """Every property test once, with draws from a seed and, where a test does not say itself, many of them.

    Or a part of the tests that take too long for `make test`. When the time of the soak is over, they end, too.
    """
    which = ["-m", "soak"]
    if unit.kind == "round":
        which = ["-m", "hypothesis and not soak", f"--hypothesis-seed={unit.seed}", f"--timeout={ROUND_S}"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=soak", *which]
    environment = {name: value for name, value in os.environ.items() if name != "SCALESYNC_TRANSPORT"}
    if unit.kind == "long":
        environment[PART] = f"{unit.seed}/{unit.records}"
    left_s = max(0.0, float(os.environ[ENDS]) - time.time()) if ENDS in os.environ else None
    try:
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=left_s
        )
    except subprocess.TimeoutExpired:
        return Round(tests=0, wrong=[], cut=True)
    passed = re.search(r"(\d+) passed", ended.stdout)
    wrong = [(ended.stdout + ended.stderr)[-TAIL:]] if ended.returncode else []
    return Round(tests=int(passed[1]) if passed else 0, wrong=wrong)
