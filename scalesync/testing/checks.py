"""Verify finds what is missing and what is different, and nothing where all is well."""

from __future__ import annotations

from pathlib import Path

from scalesync.testing.harness import PlatformHarness
from scalesync.testing.trial import Trial, key_of, on_trial, until_done

RECORDS = 60


class VerifySuite:
    """Source, ledger and emulator compared."""

    harness: PlatformHarness

    def test_verify_finds_nothing_after_an_import(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            await trial.bring()
            summary = await trial.verify()
            assert (summary.read, summary.with_task, dict(summary.findings)) == (RECORDS, RECORDS, {}), summary
            assert summary.exit_code == 0

        on_trial(self.harness, tmp_path, play)

    def test_verify_finds_a_task_that_is_gone_and_one_that_is_not_ours(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            await trial.bring()
            refs = {task.key: task.ref for task in trial.held()}
            for number in (7, 8):
                self.harness.remove(trial.host, refs[key_of(number)])
            self.harness.make(trial.host, key_of(8), self.harness.record(1008))
            summary = await trial.verify()
            assert summary.exit_code == 1, summary
            assert {one["unique_id"] for one in trial.found()} == {key_of(7), key_of(8)}, trial.found()

        on_trial(self.harness, tmp_path, play)

    def test_fix_sends_what_is_missing_and_records_what_is_there(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            await trial.bring()
            refs = {task.key: task.ref for task in trial.held()}
            self.harness.remove(trial.host, refs[key_of(7)])
            there = self.harness.make(trial.host, key_of(RECORDS), self.harness.record(RECORDS))
            trial.write(range(RECORDS + 2))
            before = trial.host.journal.count("create")
            assert dict((await trial.verify()).findings) == {"missing": 1, "not_in_ledger": 2}
            repaired = await until_done(trial.repair)
            assert (repaired.left, repaired.exit_code) == (0, 0), repaired
            assert trial.host.journal.count("create") <= before + 2
            trial.check_held(range(RECORDS + 2))
            assert there in {task.ref for task in trial.held()}
            assert not (await trial.verify()).findings

        on_trial(self.harness, tmp_path, play)
