"""Verify finds what is missing and what is different, and nothing where all is well."""

from __future__ import annotations

from pathlib import Path

from scalesync.testing.harness import PlatformHarness
from scalesync.testing.trial import Trial, key_of, on_trial

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
            found = (tmp_path / "findings.jsonl").read_text("utf-8")
            assert {number for number in range(RECORDS) if f'"{key_of(number)}"' in found} == {7, 8}, found

        on_trial(self.harness, tmp_path, play)
