"""Increments and backfills add up: the newest versions, and each window once, are what the emulator holds."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from scalesync.events import Silent
from scalesync.flows.exports.backfill.plan import BackfillOptions, BackfillSummary, By
from scalesync.flows.exports.backfill.run import run_backfill
from scalesync.flows.exports.compact.run import CompactOptions, run_compact
from scalesync.flows.runtime.options import ExportOptions
from scalesync.sandbox.core.faults import FaultRule
from scalesync.sandbox.core.wire.times import system_ms
from scalesync.testing.harness import PlatformHarness
from scalesync.testing.trial import Trial, listed, on_trial, until_done
from scalesync.times import iso

TASKS, ROUNDS = 60, 3
DAY_MS, HOUR_MS, MINUTE_MS = 86_400_000, 3_600_000, 60_000
STRUCK = (FaultRule(kind="error", on="list", at=(1, 3)), FaultRule(kind="reset", on="list", at=(5,)))


async def compacted(trial: Trial) -> list[bytes]:
    """The newest version of each task in the trial's export, in order."""
    number = len(list(trial.folder.glob("newest*")))
    options = CompactOptions(source=trial.folder / "out", to=trial.folder / f"newest{number}")
    summary = await run_compact(options, Silent())
    assert summary.exit_code == 0, summary
    return sorted(listed(options.to))


class IncrementSuite:
    """`export --incremental`, `compact` and `backfill export`."""

    harness: PlatformHarness
    by: By = "created"  # the time that cuts a backfill into windows

    @pytest.mark.parametrize("via", ["pages", "auto"])
    def test_increments_with_late_corrections_are_what_is_there(
        self, tmp_path: Path, via: Literal["pages", "auto"]
    ) -> None:
        """Some corrections have a time before the last increment, as a slow machine makes them, within the overlap."""

        async def play(trial: Trial) -> None:
            trial.fill(TASKS)
            waiting = [task.ref for task in trial.held()]
            self.harness.finish(trial.host, TASKS)
            for number in range(ROUNDS):
                trial.clock.ahead_ms += HOUR_MS
                trial.strike(*STRUCK)
                summary = await until_done(lambda: trial.export(incremental=True, page_size=20, via=via))
                assert summary.exit_code == 0, summary
                assert await compacted(trial) == sorted(task.document for task in trial.held())
                for back_ms, refs in ((5 * MINUTE_MS, waiting[:5]), (0, waiting[3:8])):
                    trial.clock.ahead_ms -= back_ms
                    for ref in refs:
                        self.harness.correct(trial.host, ref)
                    trial.clock.ahead_ms += back_ms
                trial.fill(3, first=TASKS + 3 * number)
            trial.clock.ahead_ms += HOUR_MS
            summary = await until_done(lambda: trial.export(incremental=True, via=via))
            assert summary.exit_code == 0, summary
            assert await compacted(trial) == sorted(task.document for task in trial.held())

        on_trial(self.harness, tmp_path, play)

    def test_a_backfill_reads_each_window_once(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            for number in range(3):
                trial.fill(TASKS // 3, first=number * TASKS // 3)
                trial.clock.ahead_ms += DAY_MS
            trial.strike(*STRUCK)
            summary = await until_done(lambda: self._backfill(trial))
            assert (summary.tasks, summary.exit_code) == (TASKS, 0), summary
            assert summary.windows == 4, summary
            assert trial.host.journal.faults, "the fault struck"
            trial.check_exported()
            before = trial.host.journal.count("list")
            again = await self._backfill(trial)
            assert (again.tasks, again.windows_read, again.exit_code) == (TASKS, 0, 0), again
            assert trial.host.journal.count("list") == before, "a window that is done is not read again"

        on_trial(self.harness, tmp_path, play, ahead_ms=-3 * DAY_MS)

    async def _backfill(self, trial: Trial) -> BackfillSummary:
        today = system_ms() // DAY_MS * DAY_MS
        export = ExportOptions(out=trial.folder / "out", project=self.harness.listed_project, page_size=10)
        asked = BackfillOptions(export, iso(today - 4 * DAY_MS), iso(today), window="1d", by=self.by)
        return await run_backfill(asked, trial.settings(), trial.listener, signals=False)
