"""What was delivered, of a project and of a dataset, passes the exports of the suite: once in its newest version."""

from __future__ import annotations

from pathlib import Path

import pytest

from scalesync.errors import ConfigError
from scalesync.flows.exports.backfill.plan import By
from scalesync.testing.exports import ExportSuite
from scalesync.testing.increments import IncrementSuite
from scalesync.testing.kills import SETTLED_MS, TASKS, kill
from scalesync.testing.processes import KillingJournal, killed_and_run_again
from scalesync.testing.trial import Trial, on_trial
from tests.platforms.delivered import DatasetHarness, DeliveredHarness


class DeliveredSuite(ExportSuite, IncrementSuite):
    harness: DeliveredHarness
    by: By = "updated"

    def test_an_export_of_one_status_holds_those_alone(self, tmp_path: Path) -> None:
        """All that is delivered is completed, so a filter by status is refused and not passed over."""

        async def play(trial: Trial) -> None:
            trial.fill(3)
            with pytest.raises(ConfigError, match="--status does not work with"):
                await trial.export(status=("pending",))
            assert not (tmp_path / "out").exists()

        on_trial(self.harness, tmp_path, play)

    @pytest.mark.parametrize(("name", "phase"), [("export", "enter"), ("export --incremental", "leave")])
    def test_a_command_that_is_killed_comes_to_the_same_end(self, tmp_path: Path, name: str, phase: str) -> None:
        on_trial(self.harness, tmp_path, lambda trial: kill(trial, name, phase))

    def test_a_backfill_that_is_killed_has_each_task_of_a_window_once(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.fill(TASKS)
            trial.clock.ahead_ms += SETTLED_MS
            trial.host.engine.journal = KillingJournal()
            project = [text for name in [self.harness.listed_project] if name for text in ("--project", name)]
            command = ["backfill", "export", *project, "--out", "out", "--from", "2d", "--by", "updated"]
            await killed_and_run_again(trial, *command, "--platform", "scale-v2", kills=(5, 7), phase="leave")
            trial.check_exported()

        on_trial(self.harness, tmp_path, play)


class TestDeliveries(DeliveredSuite):
    harness = DeliveredHarness()


class TestDataset(DeliveredSuite):
    harness = DatasetHarness()
