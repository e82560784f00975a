"""Whatever happens to requests and replies, each record becomes one task and no failure is invented."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from scalesync.sandbox.core.faults import FaultRule
from scalesync.testing.harness import PlatformHarness
from scalesync.testing.trial import Trial, on_trial

RECORDS = 60
AT = (0, 2, 5)  # requests of the class that are struck
BROKEN: dict[str, FaultRule] = {
    "500": FaultRule(kind="error", on="create", at=AT),
    "500 after the write": FaultRule(kind="error", on="create", at=AT, after_write=True),
    "504": FaultRule(kind="error", status=504, on="create", at=AT),
    "504 after the write": FaultRule(kind="error", status=504, on="create", at=AT, after_write=True),
    "reset": FaultRule(kind="reset", on="create", at=AT),
    "reset after the write": FaultRule(kind="reset", on="create", at=AT, after_write=True),
    "hang": FaultRule(kind="hang", seconds=0.2, on="create", at=AT),
    "hang after the write": FaultRule(kind="hang", seconds=0.2, on="create", at=AT, after_write=True),
    "page of a proxy": FaultRule(kind="html502", on="create", at=AT),
    "page of a proxy after the write": FaultRule(kind="html502", on="create", at=AT, after_write=True),
    "reply cut off": FaultRule(kind="cut", on="create", at=AT),
    "part of a request": FaultRule(kind="partial", count=7, on="create", at=AT),
    "part of a request, reset": FaultRule(kind="partial", count=7, status=0, on="create", at=AT),
    "one try of everything": FaultRule(kind="error", share=0.2, times=8),
    "away for a while": FaultRule(kind="outage", times=6),
    "nobody at home": FaultRule(kind="outage", status=0, times=6),
    "slow": FaultRule(kind="latency", seconds=0.05, jitter=0.1),
    "lists lag behind": FaultRule(kind="lag", on="create", seconds=0.3),
}
LOST = FaultRule(kind="error", on="create", at=AT, after_write=True)  # so that something must be looked up
LOOKS: dict[str, FaultRule] = {
    "500": FaultRule(kind="error", on="list", times=3),
    "reset": FaultRule(kind="reset", on="list", times=3),
    "cut": FaultRule(kind="cut", on="list", times=3),
    "page of a proxy": FaultRule(kind="html502", on="list", times=3),
    "of another question": FaultRule(kind="foreign", on="list", times=3),
    "throttled": FaultRule(kind="error", status=429, on="list", times=3),
}


class FaultSuite:
    """Imports among faults."""

    harness: PlatformHarness

    @pytest.mark.parametrize("name", BROKEN)
    def test_a_fault_loses_no_record_and_makes_no_task_twice(self, tmp_path: Path, name: str) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            trial.strike(BROKEN[name])
            summary = await trial.bring_all()
            assert (summary.created, summary.failed, summary.conflicts, summary.exit_code) == (RECORDS, 0, 0, 0), (
                summary
            )
            assert trial.host.journal.faults, "the fault struck"
            trial.check_held(range(RECORDS))

        on_trial(self.harness, tmp_path, play)

    @pytest.mark.parametrize("name", LOOKS)
    def test_a_look_up_that_fails_proves_nothing(self, tmp_path: Path, name: str) -> None:
        async def play(trial: Trial) -> None:
            self.harness.make(trial.host, "strange", self.harness.record(1000))
            trial.write(range(RECORDS))
            await trial.bring(limit=1)  # the first look is not what is struck here
            trial.strike(LOST, LOOKS[name])
            summary = await trial.bring_all()
            assert (summary.created, summary.failed, summary.conflicts, summary.exit_code) == (RECORDS, 0, 0, 0), (
                summary
            )
            self._without_strange(trial)
            trial.check_held(range(RECORDS))

        on_trial(self.harness, tmp_path, play)

    def _without_strange(self, trial: Trial) -> None:
        (strange,) = [task.ref for task in trial.held() if task.key == "strange"]
        self.harness.remove(trial.host, strange)

    def test_a_throttled_request_is_sent_again_when_it_was_asked_to(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            trial.strike(FaultRule(kind="error", status=429, retry_after=1, on="create", at=(1, 2)))
            summary = await trial.bring_all()
            assert (summary.created, summary.throttled, summary.exit_code) == (RECORDS, 2, 0), summary
            assert summary.retry_after_seconds >= 1, summary
            trial.check_held(range(RECORDS))

        on_trial(self.harness, tmp_path, play)

    def test_a_write_that_lands_late_makes_no_task_twice(self, tmp_path: Path) -> None:
        """Within the landing window, where the platform has one; a key that the server enforces needs none."""

        async def play(trial: Trial) -> None:
            window_s = trial.landing_s
            trial.write(range(RECORDS))
            late_s = 0.8 * window_s if window_s else 0.2
            trial.strike(FaultRule(kind="late", seconds=late_s, on="create", at=AT))
            summary = await trial.bring_all()
            assert (summary.created, summary.failed, summary.conflicts, summary.exit_code) == (RECORDS, 0, 0, 0), (
                summary
            )
            assert trial.host.journal.faults["late"]
            await anyio.sleep(late_s)  # by now the last of them has landed, too
            trial.check_held(range(RECORDS))

        on_trial(self.harness, tmp_path, play)

    def test_a_token_that_ends_is_renewed(self, tmp_path: Path) -> None:
        """Where a platform has no tokens, one refusal of the key must do: it may be a slip of the service."""

        async def play(trial: Trial) -> None:
            trial.write(range(RECORDS))
            if not self.harness.expire(trial.host):
                trial.strike(FaultRule(kind="error", status=401, on="create", at=(1,)))
                await self._finish(trial)
                return
            trial.strike(FaultRule(kind="latency", seconds=0.05, on="create"))
            async with anyio.create_task_group() as group:
                group.start_soon(self._finish, trial)
                while not trial.host.journal.count("create"):
                    await anyio.sleep(0.005)
                self.harness.expire(trial.host)

        on_trial(self.harness, tmp_path, play)

    async def _finish(self, trial: Trial) -> None:
        summary = await trial.bring()
        assert (summary.created, summary.exit_code) == (RECORDS, 0), summary
        trial.check_held(range(RECORDS))

    def test_a_record_that_is_refused_fails_alone(self, tmp_path: Path) -> None:
        async def play(trial: Trial) -> None:
            source = trial.write(range(RECORDS))
            lines = source.read_text("utf-8").splitlines()
            lines.insert(7, json.dumps(self.harness.refused() | {"unique_id": "refused"}))
            source.write_text("\n".join(lines), "utf-8")
            summary = await trial.bring()
            assert (summary.created, summary.failed, summary.exit_code) == (RECORDS, 1, 1), summary
            trial.check_held(range(RECORDS))

        on_trial(self.harness, tmp_path, play)
