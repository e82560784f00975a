"""One import under a schedule of faults, run again until it is done, and what must be true after it."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from scalesync.errors import ConfigError, StopRun
from scalesync.flows.imports.run import run_import
from scalesync.flows.runtime import wiring
from scalesync.flows.runtime.options import ImportOptions
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.http.exchange import Deadlines
from scalesync.model.summaries import ImportSummary
from scalesync.sandbox import Sandbox, SandboxConfig
from scalesync.sandbox.scale.state.world import World
from tests.conftest import FAST, KIND, PROJECT, Notebook, letter
from tests.faults.schedules import Schedule

MOST_RUNS = 12
# Odd characters in the key: in the query of a look-up, in the text of a 409, in the ledger.
ODD = (
    "plain-{}",
    "räksmörgås {}",
    "a,b {}",
    "({}) (0123456789abcdef01234567).",
    'quo"te {}',
    "50% & 1=1 #{}",
    "x" * 150 + "{}",
)
PENDING_STATES = ("adopted", "conflicts", "failed", "invalid", "pending")


@dataclass(slots=True)
class Trial:
    """What one schedule came to. wrong: sentences, empty when every promise held."""

    schedule: Schedule
    records: int
    runs: int = 0
    creates: int = 0
    sent_again: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    losses: int = 0
    duplicates: int = 0
    false_failures: int = 0
    wrong: list[str] = field(default_factory=list)


def records_of(schedule: Schedule, count: int) -> list[dict[str, Any]]:
    """Distinct records, then some of them once more."""
    records = []
    for number in range(count):
        more: dict[str, Any] = {"metadata": {"number": number, "shelf": number % 5, "weight": 10.0}}
        if schedule.instruction:
            more["instruction"] = f"{schedule.instruction} Number {number}."
        if schedule.own_project:
            more["project"] = PROJECT
        records.append(letter(number, **more) | {"unique_id": ODD[number % len(ODD)].format(number)})
    return records + records[: schedule.repeats]


@contextmanager
def quick_clockwork() -> Iterator[None]:
    """Deadlines that a hanging request reaches in a test, and no fear of 429s that have nothing to do with the rate."""
    deadlines = Deadlines(connect=2.0, first_byte=0.5, attempt=2.0)
    with (
        patch.object(wiring, "Transport", partial(wiring.Transport, deadlines=deadlines)),
        patch.object(wiring, "RenewingTransport", partial(wiring.RenewingTransport, deadlines=deadlines)),
        patch.object(wiring, "Pace", partial(wiring.Pace, auto=False)),
    ):
        yield


async def run_schedule(schedule: Schedule, count: int, folder: Path) -> Trial:
    """Import `count` records under a schedule until it ends with exit code 0, and judge what is there then."""
    records = records_of(schedule, count)
    source = folder / "letters.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    trial = Trial(schedule, len(records))
    config = SandboxConfig(seed=schedule.seed, journal_size=0, **schedule.guesses)
    async with Sandbox(config, schedule.rules) as sandbox:
        params = {"instruction": schedule.project_instruction} if schedule.project_instruction else None
        world = sandbox.store.world("test" if schedule.key.startswith("test") else "live")
        world.add_project(PROJECT, KIND, params)
        summary = await _until_done(schedule, sandbox, source, trial)
        trial.creates = sandbox.journal.count("create")
        trial.sent_again = sandbox.journal.count("create", 409)
        trial.struck.update(sandbox.journal.faults)
        keys = [record["unique_id"] for record in records[:count]]
        _judge(trial, summary, world, folder / "ledger.db", keys)
    return trial


async def _until_done(schedule: Schedule, sandbox: Sandbox, source: Path, trial: Trial) -> ImportSummary | None:
    options = ImportOptions(
        sources=(str(source),),
        type=KIND,
        job="trial",
        project=None if schedule.own_project else PROJECT,
        batch=schedule.batch,
        yes=True,
    )
    settings = resolve_settings(
        base_url=sandbox.base_url,
        ledger=source.parent / "ledger.db",
        rate=None if schedule.rate == "auto" else schedule.rate,
        environ={"SCALE_API_KEY": schedule.key},
    )
    summary: ImportSummary | None = None
    with quick_clockwork():
        while trial.runs < MOST_RUNS:
            trial.runs += 1
            try:
                summary = await run_import(options, settings, Notebook(), limits=FAST, signals=False)
            except (StopRun, ConfigError):  # before the job began: nobody was at home, or the first look was refused
                continue
            if summary.exit_code != 3:
                return summary
    trial.wrong.append(f"not done after {MOST_RUNS} runs: {summary}")
    return summary


def _judge(trial: Trial, summary: ImportSummary | None, world: World, ledger: Path, keys: Sequence[str]) -> None:
    if summary is None:
        trial.losses = len(keys)
        return
    counts = {name: getattr(summary, name) for name in ("created", "duplicates", *PENDING_STATES)}
    if summary.read != sum(counts.values()) or summary.read != trial.records:
        trial.wrong.append(f"counts do not add up to {trial.records}: {summary}")
    if (summary.created, summary.duplicates, summary.exit_code) != (len(keys), trial.schedule.repeats, 0):
        trial.wrong.append(f"ended as {summary}")
    trial.false_failures = summary.failed + summary.conflicts + summary.adopted + summary.invalid
    held = Counter(task["unique_id"] for task in world.documents())
    trial.losses = sum(key not in held for key in keys)
    trial.duplicates = world.count() - len(held)
    if trial.losses or trial.duplicates or set(held) - set(keys):
        trial.wrong.append(f"{trial.losses} lost, {trial.duplicates} twice, {len(set(held) - set(keys))} unexpected")
    known = rows_of(ledger)
    wrong_ids = [key for key in keys if known.get(key) != ("created", task_id_of(world, key))]
    if wrong_ids:
        trial.wrong.append(f"{len(wrong_ids)} rows are wrong: {wrong_ids[0]!r} is {known.get(wrong_ids[0])}")


def task_id_of(world: World, key: str) -> str | None:
    """The server's id of the task under a key."""
    task = world.by_unique_id(key)
    return None if task is None else str(task["task_id"])


def rows_of(ledger: Path) -> dict[str, tuple[str, str | None]]:
    """unique_id -> (state, task_id), read past the program."""
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        return {key: (state, ref) for key, state, ref in db.execute("SELECT unique_id, state, task_id FROM rows")}
