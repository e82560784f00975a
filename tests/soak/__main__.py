"""The long proof, within a time limit: schedules of faults, kills, rounds of the property tests, walks of
commands, sources of all shapes, and the long tests.

    python -m tests.soak [--minutes 90] [--seed 1] [--out build/soak.json]
                         [--schedules 200] [--records 10000] [--kills 300] [--rounds 20] [--walks 100]
                         [--long 20] [--reading 2000]

Writes the figures as JSON and ends with 1 when a promise was broken. What the time did not allow is left out and told.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from tests.faults.trial import Trial
from tests.reading.campaign import Campaign
from tests.soak.figures import Figures, Plan, Round, in_short
from tests.soak.jobs import ENDS, Result, Unit, units, work
from tests.walks.walk import Outcome

LAST_START = 0.93  # of the time: units begun later than this might not end in it


def soak(plan: Plan, seed: int, minutes: float, workers: int) -> dict[str, Any]:
    """Run the plan in worker processes until it is done or the time is over."""
    figures, begun = Figures(), time.monotonic()
    latest = begun + LAST_START * minutes * 60
    os.environ[ENDS] = str(time.time() + minutes * 60)
    waiting: Iterator[Unit] = units(plan, seed)
    running: dict[Future[Result], Unit] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, max_tasks_per_child=20) as pool:
        while True:
            while len(running) < workers and time.monotonic() < latest and (unit := next(waiting, None)):
                running[pool.submit(work, unit)] = unit
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                known = len(figures.wrong)
                take(figures, running.pop(future), future)
                tell(figures, time.monotonic() - begun, figures.wrong[known:])
    return figures.to_json(plan, seed, minutes, time.monotonic() - begun)


def take(figures: Figures, unit: Unit, future: Future[Result]) -> None:
    """Add one unit up; one that raised is a broken promise as well."""
    error = future.exception()
    if error is not None:
        figures.wrong.append(f"{type(error).__name__} {error}: {unit}")
        return
    result = future.result()
    if isinstance(result, Round) and result.cut:
        return
    if isinstance(result, Trial):
        figures.add_trial(result)
    elif isinstance(result, Outcome):
        figures.add_walk(result)
    elif isinstance(result, Campaign):
        figures.add_reading(result)
    elif isinstance(result, Round):
        figures.add_long(result) if unit.kind == "long" else figures.add_round(result, unit.seed)
    else:
        figures.add_verdict(result, unit.seed)


def tell(figures: Figures, seconds: float, news: Sequence[str]) -> None:
    """One line of progress, and what went wrong since the last."""
    sys.stderr.write(
        f"{seconds:6.0f} s  {figures.schedules} schedules, {figures.records} records, {figures.kills.total()} kills,"
        f" {figures.rounds} rounds, {figures.walks} walks, {figures.reading.points} points,"
        f" {figures.duplicates} duplicates, {figures.losses} losses, {len(figures.wrong)} wrong\n"
    )
    sys.stderr.writelines(f"WRONG: {sentence}\n" for sentence in news)
    sys.stderr.flush()


def main() -> int:
    plan = Plan()
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("SOAK_MINUTES", "90")))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/soak.json"))
    parser.add_argument("--workers", type=int, default=max(1, os.cpu_count() or 1))
    for name in ("schedules", "records", "kills", "rounds", "walks", "long", "reading"):
        parser.add_argument(f"--{name}", type=int, default=getattr(plan, name))
    typed = parser.parse_args()
    plan = Plan(typed.schedules, typed.records, typed.kills, typed.rounds, typed.walks, typed.long, typed.reading)
    found = soak(plan, typed.seed, typed.minutes, typed.workers)
    typed.out.parent.mkdir(parents=True, exist_ok=True)
    typed.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    if not found["complete"]:
        sys.stderr.write(f"the time of {typed.minutes:g} minutes did not allow all of {found['planned']}\n")
    sys.stderr.write("\n".join(in_short(found)) + "\n")
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
