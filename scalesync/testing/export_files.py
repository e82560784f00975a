"""Exports that the service makes as a file: whatever breaks off, each task is one line as the file had it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalesync.sandbox.core.faults import FaultRule
from scalesync.testing.harness import PlatformHarness
from scalesync.testing.kills import KILLS, TASKS
from scalesync.testing.processes import KillingJournal, killed_and_run_again
from scalesync.testing.trial import Trial, on_trial, until_done

STRUCK: dict[str, FaultRule] = {
    "the export is not begun": FaultRule(kind="error", on="export", times=1),
    "the answer to its begin is lost": FaultRule(kind="reset", on="export", times=1, after_write=True),
    "a poll fails": FaultRule(kind="error", on="command", times=2),
    "a poll is cut off": FaultRule(kind="cut", on="command", times=1),
    "a poll is throttled": FaultRule(kind="error", status=429, on="command", times=1),
    "the file is cut off": FaultRule(kind="cut", on="result", times=2),
    "the file is refused for a moment": FaultRule(kind="error", status=503, on="result", times=1),
}


class ExportFileSuite:
    """For platforms that have export jobs."""

    harness: PlatformHarness

    @pytest.mark.parametrize("name", STRUCK)
    def test_a_fault_costs_an_export_by_file_nothing(self, tmp_path: Path, name: str) -> None:
        async def play(trial: Trial) -> None:
            trial.fill(TASKS)
            trial.strike(STRUCK[name])
            summary = await until_done(lambda: trial.export(via="job"))
            assert (summary.tasks, summary.exit_code) == (TASKS, 0), summary
            assert trial.host.journal.faults, "the fault struck"
            assert trial.host.journal.count("result"), "it came as a file"
            trial.check_exported()

        on_trial(self.harness, tmp_path, play)

    @pytest.mark.parametrize("phase", ["enter", "leave"])
    def test_an_export_by_file_that_is_killed_holds_each_task_once(self, tmp_path: Path, phase: str) -> None:
        async def play(trial: Trial) -> None:
            trial.host.engine.journal = KillingJournal()
            trial.fill(TASKS)
            command = ["export", "--platform", self.harness.platform, "--project", self.harness.project]
            await killed_and_run_again(trial, *command, "--via", "job", "--out", "out", kills=KILLS, phase=phase)
            trial.check_exported()

        on_trial(self.harness, tmp_path, play)
