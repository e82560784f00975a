"""kill -9 at any request, and the same command again: nothing is lost and nothing is made twice."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from scalesync.testing.harness import PlatformHarness
from scalesync.testing.processes import KILLED, KillingJournal, run_program
from scalesync.testing.trial import SOURCE, Trial, on_trial, until_done

RECORDS = 90
TASKS = 450  # several pages of any platform
KILLS = (2, 4)  # requests after which a run is killed, one run each


class KillSuite:
    """The program as a process that is killed."""

    harness: PlatformHarness

    @pytest.mark.parametrize("phase", ["enter", "leave"])
    def test_an_import_that_is_killed_makes_each_task_once(self, tmp_path: Path, phase: str) -> None:
        async def play(trial: Trial) -> None:
            trial.host.engine.journal = KillingJournal()
            trial.write(range(RECORDS))
            command = ["import", SOURCE, "--platform", self.harness.platform, "--project", self.harness.project]
            command += ["--type", self.harness.type] if self.harness.type else []
            command += ["--job", "killed", "--yes"]
            for after in KILLS:
                killed = await run_program(trial, *command, after=after, phase=phase)
                assert killed.exit_code == KILLED, killed
            ended = await until_done(partial(run_program, trial, *command))
            assert ended.exit_code == 0, ended.errors
            assert (ended.summary["read"], ended.summary["created"]) == (RECORDS, RECORDS), ended.summary
            trial.check_held(range(RECORDS))

        on_trial(self.harness, tmp_path, play)

    @pytest.mark.parametrize("phase", ["enter", "leave"])
    def test_an_export_that_is_killed_holds_each_task_once(self, tmp_path: Path, phase: str) -> None:
        async def play(trial: Trial) -> None:
            trial.host.engine.journal = KillingJournal()
            trial.fill(TASKS)
            command = ["export", "--platform", self.harness.platform, "--project", self.harness.project]
            command += ["--via", "pages", "--out", "out", "--job", "killed"]
            for after in KILLS:
                killed = await run_program(trial, *command, after=after, phase=phase)
                assert killed.exit_code == KILLED, killed
                assert not (tmp_path / "out" / "manifest.json").exists()
            ended = await until_done(partial(run_program, trial, *command))
            assert ended.exit_code == 0, ended.errors
            trial.check_exported()

        on_trial(self.harness, tmp_path, play)
