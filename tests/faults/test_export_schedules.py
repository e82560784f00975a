"""Exports under drawn schedules: each task is one line, as the server holds it, whatever happens to the pages."""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest

from scalesync.errors import ConfigError, StopRun
from scalesync.flows.exports import run as export
from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime import wiring
from scalesync.flows.runtime.options import ExportOptions
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.http.exchange import Deadlines
from scalesync.sandbox import Sandbox, SandboxConfig
from tests.conftest import FAST, Notebook
from tests.draws import seeds
from tests.faults.killer import LETTERS, fill
from tests.faults.kills import left_over, listed_lines, problems_of
from tests.faults.schedules import draw_schedule

TASKS = 230
MOST_RUNS = 12


@contextmanager
def quick_clockwork() -> Iterator[None]:
    """As for imports: short deadlines and back-off, no fear of odd 429s."""
    deadlines = Deadlines(connect=2.0, first_byte=0.5, attempt=2.0)
    with (
        patch.object(export, "connect", partial(wiring.connect, limits=FAST)),
        patch.object(wiring, "Transport", partial(wiring.Transport, deadlines=deadlines)),
        patch.object(wiring, "Pace", partial(wiring.Pace, auto=False)),
    ):
        yield


async def export_until_done(sandbox: Sandbox, key: str, folder: Path) -> tuple[int, int]:
    """Exit code and number of unsettled partitions of the last run."""
    settings = resolve_settings(
        base_url=sandbox.base_url, ledger=folder / "ledger.db", environ={"SCALE_API_KEY": key}, rate="600"
    )
    options = ExportOptions(out=folder / "out", page_size=20)
    with quick_clockwork():
        for _ in range(MOST_RUNS):
            try:
                summary = await run_export(options, settings, Notebook(), signals=False)
            except (StopRun, ConfigError):  # nobody was at home, or the first look was refused
                continue
            if summary.exit_code != 3:
                return summary.exit_code, summary.unsettled
    return 3, 0


async def run_schedule(seed: int, folder: Path) -> None:
    drawn = draw_schedule(random.Random(f"export {seed}"))
    calls = ("list", "any")[seed % 2]
    # "Too long" is an answer to look-ups alone; an export's questions are short.
    fitting = [rule for rule in drawn.rules if rule.status not in {414, 431}]
    rules = [rule if rule.kind == "lag" else replace(rule, on=calls) for rule in fitting]
    config = SandboxConfig(seed=seed, journal_size=0, **dict(drawn.guesses) | {"annotate_after_s": None})
    async with Sandbox(config) as sandbox:
        world = "test" if drawn.key.startswith("test") else "live"
        sandbox.store.world(world).add_project(LETTERS, "categorization")
        fill(sandbox, TASKS, "categorization", world)
        held = {task["task_id"]: task for task in sandbox.store.world(world).documents()}
        sandbox.faults.replace(rules)
        code, unsettled = await export_until_done(sandbox, drawn.key, folder)
    lines = [json.loads(line) for line in listed_lines(folder / "out")]
    assert (code, unsettled, len(lines)) == (0, 0, TASKS), drawn
    assert {line["task_id"]: line for line in lines} == held, drawn
    assert [*problems_of(folder / "out"), *left_over(folder / "out")] == []


@pytest.mark.parametrize("seed", seeds(6, here=3))
def test_every_task_is_one_line_under_a_seeded_schedule(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run_schedule(seed, Path(folder)))
