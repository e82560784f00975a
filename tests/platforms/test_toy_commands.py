"""Toy accepts imports with a command to poll, or refuses a chunk as a whole: the same promises hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scalesync.sandbox.core.faults import FaultRule
from scalesync.testing.faults import FaultSuite
from scalesync.testing.imports import ImportSuite
from scalesync.testing.keys import RepeatingKeySuite
from scalesync.testing.kills import KillSuite
from scalesync.testing.trial import Trial, on_trial, until_done
from tests.platforms.toy import ToyHarness
from tests.toy.plugin import installed
from tests.toy.server.app import Toy
from tests.toy.server.commands import FATES

RECORDS = 60


@pytest.fixture(autouse=True)
def _toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with installed(tmp_path_factory.mktemp("site-packages")):
        yield


class TestToyWithCommands(ImportSuite, FaultSuite, RepeatingKeySuite, KillSuite):
    harness = ToyHarness(commands=True)


class TestToyWithOneFate(ImportSuite):
    harness = ToyHarness(one_fate=True)


@pytest.mark.parametrize("fate", [*FATES, "all of them"])
def test_a_command_that_goes_wrong_costs_nothing(tmp_path: Path, fate: str) -> None:
    async def play(trial: Trial) -> None:
        assert isinstance(trial.host, Toy)
        trial.host.app.fates(FATES if fate == "all of them" else [fate, "", fate])
        trial.write(range(RECORDS))
        summary = await trial.bring_all()
        assert (summary.created, summary.failed, summary.conflicts, summary.exit_code) == (RECORDS, 0, 0, 0), summary
        assert not trial.host.app.world.commands.fates
        trial.check_held(range(RECORDS))

    on_trial(ToyHarness(commands=True), tmp_path, play)


@pytest.mark.parametrize("one_fate", [True, False])
def test_one_bad_record_of_a_chunk_is_found(tmp_path: Path, one_fate: bool) -> None:
    harness = ToyHarness(one_fate=one_fate)

    async def play(trial: Trial) -> None:
        source = trial.write(range(RECORDS))
        bad = [f'{{"unique_id": "bad-{number}", "bad": true}}\n' for number in range(3)]
        source.write_text("".join([*bad, source.read_text("utf-8")]), "utf-8")
        summary = await trial.bring()
        assert (summary.created, summary.failed, summary.exit_code) == (RECORDS, 3, 1), summary
        trial.check_held(range(RECORDS))

    on_trial(harness, tmp_path, play)


def test_polls_that_fail_prove_nothing(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.strike(
            FaultRule(kind="error", on="command", times=3),
            FaultRule(kind="reset", on="command", times=2),
            FaultRule(kind="error", status=429, on="command", times=1),
        )
        trial.write(range(RECORDS))
        summary = await trial.bring()
        assert (summary.created, summary.exit_code) == (RECORDS, 0), summary
        assert trial.host.journal.count("create") == 3, "nothing is sent again while a command may be at work"
        trial.check_held(range(RECORDS))

    on_trial(ToyHarness(commands=True), tmp_path, play)


@pytest.mark.parametrize("fates", [["slow"], ["forgotten"], ["lost", "failed"]], ids=" ".join)
def test_an_export_job_that_goes_wrong_costs_nothing(tmp_path: Path, fates: list[str]) -> None:
    async def play(trial: Trial) -> None:
        assert isinstance(trial.host, Toy)
        trial.fill(RECORDS)
        trial.host.app.fates(fates)
        summary = await until_done(lambda: trial.export(via="job"))
        assert (summary.tasks, summary.exit_code) == (RECORDS, 0), summary
        assert not trial.host.app.world.commands.fates
        trial.check_exported()

    on_trial(ToyHarness(), tmp_path, play)
