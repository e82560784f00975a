"""A ledger that was lost is rebuilt from source and emulator, and nothing is made twice after it."""

from __future__ import annotations

from pathlib import Path

from scalesync.sandbox.core.faults import FaultRule
from scalesync.testing.harness import PlatformHarness
from scalesync.testing.trial import Trial, key_of, on_trial, until_done

RECORDS = 60


class RebuildSuite:
    """`ledger rebuild`."""

    harness: PlatformHarness

    def test_a_lost_ledger_is_rebuilt_and_the_import_sends_what_has_no_task(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            await trial.bring(limit=RECORDS - 2)
            other = self.harness.make(trial.host, key_of(RECORDS - 1), self.harness.record(1000))
            trial.lose_ledger()
            before = trial.host.journal.count("create")
            trial.strike(FaultRule(kind="error", on="list", times=2), FaultRule(kind="cut", on="list", times=1))
            summary = await until_done(trial.rebuild)
            counts = summary.created + summary.adopted, summary.conflicts, summary.pending
            assert counts == (RECORDS - 2, 1, 1), summary
            assert trial.host.journal.faults, "the fault struck"
            assert trial.host.journal.count("create") == before, "a rebuild sends nothing"
            summary = await trial.bring_all()
            assert (summary.created + summary.adopted, summary.conflicts) == (RECORDS - 1, 1), summary
            assert trial.host.journal.count("create") == before + 1
            trial.check_held(range(RECORDS))
            assert other in {task.ref for task in trial.held()}

        on_trial(self.harness, tmp_path, play)
