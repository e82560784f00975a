"""Keys that the service lets repeat: found twice is a conflict, and nothing is sent again before its time."""

from __future__ import annotations

import json
from pathlib import Path

from scalesync.flows.jobs.status import list_failures
from scalesync.sandbox.core.faults import FaultRule
from scalesync.testing.harness import PlatformHarness
from scalesync.testing.trial import Trial, key_of, on_trial

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
            trial.write(range(5))
            trial.strike(FaultRule(kind="error", on="create", times=1))
            summary = await trial.bring_all()
            assert (summary.created, summary.exit_code) == (5, 0), summary
            first, second = [seen.at_s for seen in trial.host.journal.of("create")]
            assert second - first >= trial.spec.key.landing_s, second - first
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
            lines = (tmp_path / "findings.jsonl").read_text("utf-8").splitlines()
            found = [json.loads(line) for line in lines]
            assert {one["unique_id"] for one in found} == {key_of(5)}, found
            assert all(ref in repr(found) for ref in (first, second)), found

        on_trial(self.harness, tmp_path, play)
