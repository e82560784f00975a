"""An export holds every task once, byte for byte; an increment holds what changed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from scalesync.sandbox.core.faults import FaultRule
from scalesync.testing.harness import PlatformHarness
from scalesync.testing.trial import Trial, listed, on_trial, until_done

TASKS = 130
SETTLED_MS = 3_000  # the Date header is cut to the second, and an export ends at the server's time
STRUCK: dict[str, FaultRule] = {
    "500": FaultRule(kind="error", on="list", at=(2, 5)),
    "reset": FaultRule(kind="reset", on="list", at=(2, 5)),
    "page cut off": FaultRule(kind="cut", on="list", at=(2, 5)),
    "page of a proxy": FaultRule(kind="html502", on="list", at=(2, 5)),
    "throttled": FaultRule(kind="error", status=429, on="list", at=(2, 5)),
    "tasks listed twice": FaultRule(kind="repeat", on="list", back=0, count=3),
}


class ExportSuite:
    """Exports, compared with what the emulator holds."""

    harness: PlatformHarness

    @pytest.mark.parametrize("via", ["pages", "auto"])
    def test_an_export_holds_every_task_byte_for_byte(self, tmp_path: Path, via: Literal["pages", "auto"]) -> None:
        async def play(trial: Trial) -> None:
            trial.fill(TASKS)
            self.harness.finish(trial.host, 40)
            summary = await trial.export(page_size=20, via=via)
            assert (summary.tasks, summary.unsettled, summary.exit_code) == (TASKS, 0, 0), summary
            trial.check_exported()

        on_trial(self.harness, tmp_path, play)

    def test_an_export_of_one_status_holds_those_alone(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.fill(TASKS)
            before = {task.document for task in trial.held()}
            self.harness.finish(trial.host, 40)
            done = trial.spec.vocabulary.done
            assert done is not None, "a platform has a status for tasks that are done"
            summary = await trial.export(status=(done,), page_size=20)
            assert (summary.tasks, summary.exit_code) == (40, 0), summary
            finished = [task.document for task in trial.held() if task.document not in before]
            assert sorted(listed(tmp_path / "out")) == sorted(finished)

        on_trial(self.harness, tmp_path, play)

    @pytest.mark.parametrize("name", STRUCK)
    def test_a_fault_costs_an_export_nothing(self, tmp_path: Path, name: str) -> None:
        async def play(trial: Trial) -> None:
            trial.fill(TASKS)
            trial.strike(STRUCK[name])
            summary = await until_done(lambda: trial.export(page_size=10, via="pages"))
            assert (summary.tasks, summary.exit_code) == (TASKS, 0), summary
            assert trial.host.journal.faults, "the fault struck"
            trial.check_exported()

        on_trial(self.harness, tmp_path, play)

    @pytest.mark.parametrize("via", ["pages", "auto"])
    def test_an_increment_brings_what_changed_and_what_is_new(
        self, tmp_path: Path, via: Literal["pages", "auto"]
    ) -> None:
        async def play(trial: Trial) -> None:
            trial.fill(TASKS)
            await trial.export(via=via)
            before = {task.document for task in trial.held()}
            self.harness.finish(trial.host, 10)
            trial.fill(5, first=TASKS)
            trial.clock.ahead_ms += SETTLED_MS
            summary = await trial.export(incremental=True, via=via)
            assert summary.exit_code == 0, summary
            lines = listed(tmp_path / "out")
            now = {task.document for task in trial.held()}
            assert len(now - before) == 15
            missing, more = (before | now) - set(lines), set(lines) - (before | now)
            assert (missing, more, len(lines)) == (set(), set(), TASKS + 15)
            again = await trial.export(incremental=True, via=via)
            assert (again.exit_code, sorted(listed(tmp_path / "out"))) == (0, sorted(lines)), again

        on_trial(self.harness, tmp_path, play)
