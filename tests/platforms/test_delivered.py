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


class DeliveredSuite(IncrementSuite):
    """What both have; tests of their lists are beside these, in test_deliveries."""

    harness: DeliveredHarness
    by: By = "updated"

    def test_increments_with_late_corrections_are_what_is_there(  # type: ignore[override]
        self, tmp_path: Path
    ) -> None:
        """In pages: neither makes files."""
        super().test_increments_with_late_corrections_are_what_is_there(tmp_path, "pages")

    def test_an_export_that_is_killed_comes_to_the_same_end(self, tmp_path: Path) -> None:
        on_trial(self.harness, tmp_path, lambda trial: kill(trial, "export", "enter"))


class TestDataset(DeliveredSuite):
    harness = DatasetHarness()


class TestDeliveries(DeliveredSuite, ExportSuite):
    harness = DeliveredHarness()

    def test_an_export_of_one_status_holds_those_alone(self, tmp_path: Path) -> None:
        """All that is delivered is completed, so a filter by status is refused and not ignored."""

        async def play(trial: Trial) -> None:
            trial.fill(3)
            with pytest.raises(ConfigError, match="--status does not work with"):
                await trial.export(status=("pending",))
            assert not (tmp_path / "out").exists()

        on_trial(self.harness, tmp_path, play)

    def test_an_increment_that_is_killed_comes_to_the_same_end(self, tmp_path: Path) -> None:
        on_trial(self.harness, tmp_path, lambda trial: kill(trial, "export --incremental", "leave"))

    def test_a_backfill_that_is_killed_has_each_task_of_a_window_once(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.fill(TASKS)
            trial.clock.ahead_ms += SETTLED_MS
            trial.host.engine.journal = KillingJournal()
            command = ["backfill", "export", "--project", self.harness.project, "--out", "out", "--from", "2d"]
            options = ["--by", "updated", "--platform", self.harness.platform]
            await killed_and_run_again(trial, *command, *options, kills=(5, 7), phase="leave")
            trial.check_exported()

        on_trial(self.harness, tmp_path, play)
