"""Keys that the service lets repeat: found twice is a conflict, and nothing is sent again before its time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scalesync.flows.jobs.status import list_failures
from scalesync.model.records import JsonObject
from scalesync.sandbox.core.faults import FaultRule
from scalesync.testing.harness import PlatformHarness
from scalesync.testing.trial import Trial, key_of, on_trial, until_done

RECORDS = 60


class RepeatingKeySuite:
    """For platforms whose key is a label or a name."""

    harness: PlatformHarness

    def test_two_tasks_under_one_key_are_a_conflict_that_names_both(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            refs = [self.harness.make(trial.host, key_of(5), self.harness.record(5)) for _ in range(2)]
            summary = await trial.bring()
            assert (summary.created + summary.adopted, summary.conflicts, summary.exit_code) == (RECORDS - 1, 1, 1)
            assert len(trial.held()) == RECORDS + 1
            (group,) = await list_failures(trial.settings().ledger, "trial", None)
            words = repr(group)
            assert all(ref in words for ref in refs), words

        on_trial(self.harness, tmp_path, play)

    def test_a_record_in_doubt_is_not_sent_again_within_the_landing_window(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(1))
            trial.strike(FaultRule(kind="error", on="create", times=1))
            summary = await trial.bring_all()
            assert (summary.created, summary.exit_code) == (1, 0), summary
            first, second = [seen.at_s for seen in trial.host.journal.of("create")]
            assert second - first >= trial.landing_s, second - first
            looks = [seen.at_s for seen in trial.host.journal.of("list") if first < seen.at_s < second]
            assert len(looks) >= 2, "absent counts when two look-ups agree"

        on_trial(self.harness, tmp_path, play)

    def test_verify_finds_a_key_with_two_tasks(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            await trial.bring()
            first = next(task.ref for task in trial.held() if task.key == key_of(5))
            second = self.harness.make(trial.host, key_of(5), self.harness.record(5))
            summary = await trial.verify()
            assert summary.exit_code == 1, summary
            found = trial.found()
            assert {one["unique_id"] for one in found} == {key_of(5)}, found
            assert all(ref in repr(found) for ref in (first, second)), found

        on_trial(self.harness, tmp_path, play)

    def test_a_rebuilt_ledger_has_a_conflict_where_a_key_has_two_tasks(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            await trial.bring()
            self.harness.make(trial.host, key_of(5), self.harness.record(5))
            trial.lose_ledger()
            summary = await trial.rebuild()
            assert (summary.created + summary.adopted, summary.conflicts) == (RECORDS - 1, 1), summary

        on_trial(self.harness, tmp_path, play)

    def test_fix_leaves_each_key_one_task_where_the_service_removes_tasks(self, tmp_path: Path) -> None:
        """Of two, the one that somebody works on stays, or the one that the ledger names. Worked on both: a person."""

        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            await trial.bring()
            first = {task.key: task.ref for task in trial.held()}
            second = {
                number: self.harness.make(trial.host, key_of(number), self.harness.record(number))
                for number in (5, 6, 7, 8)
            }
            for ref in (second[6], first[key_of(7)], second[7]):
                self.harness.begin(trial.host, ref)
            other = self.harness.make(trial.host, key_of(9), self.harness.record(1009))
            assert dict((await trial.verify()).findings)["duplicate"] == 5
            trial.strike(
                FaultRule(kind="error", on="mutate", times=1, after_write=True),
                FaultRule(kind="error", status=429, on="mutate", times=1),
            )
            repaired = await until_done(trial.repair)
            removes = trial.spec.key.removes
            assert (repaired.left, dict(repaired.done)) == ((2, {"remove": 3}) if removes else (5, {})), repaired
            stay = {first[key_of(5)], second[6], first[key_of(7)], second[7], first[key_of(8)], first[key_of(9)], other}
            gone = {second[5], first[key_of(6)], second[8]}
            held = {task.ref for task in trial.held()}
            assert (stay - held, gone & held) == (set(), set() if removes else gone)
            assert bool(trial.host.journal.faults) == removes
            assert {one["unique_id"] for one in await self._found(trial)} >= {key_of(7), key_of(9)}
            for ref in (second[7], other):
                self.harness.remove(trial.host, ref)
            for ref in () if removes else sorted(gone):
                self.harness.remove(trial.host, ref)
            await self._found(trial)
            assert (await until_done(trial.repair)).left == 0
            assert await self._found(trial) == [], "a person who removes them by hand has one task each, too"
            trial.check_held(range(RECORDS))

        on_trial(self.harness, tmp_path, play)

    async def _found(self, trial: Trial) -> Sequence[JsonObject]:
        await trial.verify()
        return trial.found()

    def test_a_task_that_somebody_begins_to_work_on_meanwhile_stays(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            await trial.bring()
            second = self.harness.make(trial.host, key_of(5), self.harness.record(5))
            await trial.verify()
            self.harness.begin(trial.host, second)
            assert (await trial.repair()).left == 1
            assert second in {task.ref for task in trial.held()}

        on_trial(self.harness, tmp_path, play)
