"""Records that were refused, and keys of dead tasks: sent again where a person asks for it, and nothing beside them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from scalesync.sandbox.core.faults import FaultRule
from scalesync.testing.harness import PlatformHarness
from scalesync.testing.trial import Trial, key_of, on_trial, until_done

RECORDS = 60
STRUCK: dict[str, tuple[FaultRule, ...]] = {
    "nothing": (),
    "500": (FaultRule(kind="error", on="mutate", times=1),),
    "500 after the write": (FaultRule(kind="error", on="mutate", times=1, after_write=True),),
    "reset after the write": (FaultRule(kind="reset", on="mutate", times=1, after_write=True),),
}


class RetrySuite:
    """`retry`, with the record as it was, with another record, and with another template."""

    harness: PlatformHarness

    def test_retry_sends_the_failed_record_again_and_no_other(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write_refused(range(RECORDS), RECORDS)
            summary = await trial.bring()
            assert (summary.created, summary.failed, summary.exit_code) == (RECORDS, 1, 1), summary
            before = trial.host.journal.count("create")
            again = await trial.retry()
            assert (again.created, again.failed, again.exit_code) == (RECORDS, 1, 1), again
            assert trial.host.journal.count("create") == before + 1
            trial.check_held(range(RECORDS))

        on_trial(self.harness, tmp_path, play)

    def test_retry_sends_a_record_as_it_was_corrected(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write_refused(range(RECORDS), RECORDS)
            await trial.bring()
            trial.write_refused(range(RECORDS), RECORDS, **self.harness.correction())
            trial.strike(FaultRule(kind="reset", on="create", after_write=True, times=1))
            summary = await until_done(trial.retry)
            assert (summary.created, summary.failed, summary.exit_code) == (RECORDS + 1, 0, 0), summary
            assert trial.host.journal.faults, "the fault struck"
            trial.check_held(range(RECORDS + 1))

        on_trial(self.harness, tmp_path, play)

    def test_another_template_reaches_a_failed_record_by_retry_alone(self, tmp_path: Path) -> None:
        sets = tuple(f"{name}={json.dumps(value)}" for name, value in self.harness.correction().items())

        async def play(trial: Trial) -> None:
            trial.write_refused(range(RECORDS), RECORDS)
            await trial.bring()
            before = trial.host.journal.count("create")
            summary = await trial.bring(sets=sets, rescan=True)
            assert (summary.failed, summary.exit_code, trial.host.journal.count("create")) == (1, 1, before), summary
            again = await trial.retry()
            assert (again.created, again.failed, again.exit_code) == (RECORDS + 1, 0, 0), again
            trial.check_held(range(RECORDS + 1))

        on_trial(self.harness, tmp_path, play)


class ReclaimSuite:
    """For platforms with statuses whose key may be freed, which `vocabulary.reclaimable` names."""

    harness: PlatformHarness

    @pytest.mark.parametrize("name", STRUCK)
    def test_the_key_of_a_dead_task_is_freed_where_that_is_asked_for(self, tmp_path: Path, name: str) -> None:
        async def play(trial: Trial) -> None:
            dead = trial.spec.vocabulary.reclaimable[0]
            trial.write(range(RECORDS))
            for number in (3, 4):
                ref = self.harness.make(trial.host, key_of(number), self.harness.record(number))
                self.harness.die(trial.host, ref)
            summary = await trial.bring()
            assert (summary.created, summary.conflicts, summary.exit_code) == (RECORDS - 2, 2, 1), summary
            trial.strike(*STRUCK[name])
            again = await trial.bring_all(reclaim=frozenset({dead}))
            assert (again.created, again.conflicts, again.exit_code) == (RECORDS, 0, 0), again
            assert bool(trial.host.journal.faults) == bool(STRUCK[name])
            trial.check_held(range(RECORDS), freed=2)

        on_trial(self.harness, tmp_path, play)

    def test_verify_finds_a_task_that_died_and_fixes_it_where_that_is_asked_for(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            dead = trial.spec.vocabulary.reclaimable[0]
            trial.write(range(RECORDS))
            await trial.bring()
            self.harness.die(trial.host, next(task.ref for task in trial.held() if task.key == key_of(5)))
            assert dict((await trial.verify()).findings) == {dead: 1}
            assert (await trial.repair()).left == 1
            trial.check_held(range(RECORDS))
            repaired = await until_done(partial(trial.repair, {dead}))
            assert (repaired.left, repaired.exit_code) == (0, 0), repaired
            trial.check_held(range(RECORDS), freed=1)
            assert not (await trial.verify()).findings

        on_trial(self.harness, tmp_path, play)
