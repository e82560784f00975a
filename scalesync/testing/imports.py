"""An import makes one task of each record, however often it is run and wherever it stops."""

from __future__ import annotations

from pathlib import Path

from scalesync.sandbox.core.faults import FaultRule
from scalesync.testing.harness import PlatformHarness
from scalesync.testing.trial import Trial, files_in, key_of, on_trial

RECORDS = 60


class ImportSuite:
    """Imports in which nothing is lost on the way."""

    harness: PlatformHarness

    def test_each_record_becomes_one_task_and_a_second_run_sends_nothing(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            summary = await trial.bring()
            assert (summary.read, summary.created, summary.exit_code) == (RECORDS, RECORDS, 0), summary
            trial.check_held(range(RECORDS))
            creates = trial.host.journal.count("create")
            again = await trial.bring(rescan=True)
            assert (again.created, again.exit_code, trial.host.journal.count("create")) == (RECORDS, 0, creates), again

        on_trial(self.harness, tmp_path, play)

    def test_records_that_came_later_are_all_that_is_sent(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            await trial.bring()
            trial.write(range(RECORDS + 5))
            summary = await trial.bring()
            assert (summary.created, summary.exit_code) == (RECORDS + 5, 0), summary
            trial.check_held(range(RECORDS + 5))

        on_trial(self.harness, tmp_path, play)

    def test_a_run_that_was_stopped_goes_on(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            trial.strike(FaultRule(kind="error", on="create", status=403, at=tuple(range(1, 100))))
            stopped = await trial.bring()
            assert stopped.exit_code == 3, stopped
            assert len(trial.held()) < RECORDS
            trial.strike()
            summary = await trial.bring()
            assert (summary.created, summary.exit_code) == (RECORDS, 0), summary
            trial.check_held(range(RECORDS))

        on_trial(self.harness, tmp_path, play)

    def test_an_equal_task_is_taken_over_and_another_one_is_a_conflict(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            equal = self.harness.make(trial.host, key_of(3), self.harness.record(3))
            other = self.harness.make(trial.host, key_of(4), self.harness.record(99))
            summary = await trial.bring()
            counts = summary.created + summary.adopted, summary.conflicts, summary.exit_code
            assert counts == (RECORDS - 1, 1, 1), summary
            trial.check_held(range(RECORDS))
            refs = {task.key: task.ref for task in trial.held()}
            assert (refs[key_of(3)], refs[key_of(4)]) == (equal, other)

        on_trial(self.harness, tmp_path, play)

    def test_no_secret_is_written_anywhere(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            secret = self.harness.key + "-secret-4711"
            trial.write(range(RECORDS))
            trial.host.revoke(secret)
            try:
                summary = await trial.bring(key=secret)
                words = summary.message
            except Exception as error:  # whatever ends it, its sentence is shown to people
                words = str(error)
            assert words, "a refused key ends the run with a sentence"
            trial.host.restore(secret)
            await trial.bring_all(key=secret)
            shown = [words, *trial.listener.notes, repr(trial.settings(secret))]
            assert not any("secret-4711" in text for text in shown), shown
            files = files_in(tmp_path)
            assert files
            assert not any(b"secret-4711" in data for data in files)

        on_trial(self.harness, tmp_path, play)
