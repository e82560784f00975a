"""kill -9 at any request, and the same command again: nothing is lost and nothing is made twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from scalesync.testing.harness import PlatformHarness
from scalesync.testing.increments import compacted
from scalesync.testing.processes import KillingJournal, killed_and_run_again
from scalesync.testing.trial import JOB, SOURCE, Trial, key_of, on_trial

RECORDS = 90
TASKS = 450  # several pages of any platform
SETTLED_MS = 3_000  # the Date header is cut to the second
KILLS = (2, 4)  # requests after which a run is killed, one run each


class Killed(NamedTuple):
    """One command that is killed.

    prepare: what was there before it. arguments: of the command. check: whether all is well after its end.
    kills: as KILLS; a command of few requests is killed once.
    """

    prepare: Callable[[Trial], Awaitable[None]]
    arguments: Callable[[Trial], Sequence[str]]
    check: Callable[[Trial], Awaitable[None]]
    kills: Sequence[int] = KILLS


# --- what was there before ---------------------------------------------------------------------


async def _records(trial: Trial) -> None:
    trial.write(range(RECORDS))


async def _tasks(trial: Trial) -> None:
    trial.fill(TASKS)
    trial.clock.ahead_ms += SETTLED_MS


async def _failed(trial: Trial) -> None:
    trial.write_refused(range(RECORDS - 1), RECORDS - 1)
    await trial.bring()
    trial.write_refused(range(RECORDS - 1), RECORDS - 1, **trial.harness.correction())


async def _damaged(trial: Trial) -> None:
    trial.write(range(RECORDS - 5))
    await trial.bring()
    refs = {task.key: task.ref for task in trial.held()}
    for number in range(5):
        trial.harness.remove(trial.host, refs[key_of(number)])
    trial.write(range(RECORDS))


async def _lost(trial: Trial) -> None:
    trial.write(range(RECORDS))
    await trial.bring()
    trial.lose_ledger()


async def _exported(trial: Trial) -> None:
    trial.fill(TASKS)
    trial.clock.ahead_ms += SETTLED_MS
    await trial.export(via="pages")
    trial.harness.finish(trial.host, TASKS)
    trial.clock.ahead_ms += SETTLED_MS


# --- whether all is well -----------------------------------------------------------------------


async def _each_has_a_task(trial: Trial) -> None:
    trial.check_held(range(RECORDS))
    summary = await trial.verify()
    assert (summary.read, summary.with_task, dict(summary.findings)) == (RECORDS, RECORDS, {}), summary


async def _all_exported(trial: Trial) -> None:
    trial.check_exported()


async def _newest_exported(trial: Trial) -> None:
    assert await compacted(trial) == sorted(task.document for task in trial.held())


def _places(trial: Trial) -> list[str]:
    return ["--project", trial.harness.project, *(["--type", trial.harness.type] if trial.harness.type else [])]


def _export(trial: Trial, *more: str) -> list[str]:
    project = trial.harness.listed_project
    return ["export", *more, *(["--project", project] if project else []), "--via", "pages", "--out", "out"]


COMMANDS: Mapping[str, Killed] = {
    "import": Killed(
        _records, lambda trial: ["import", SOURCE, *_places(trial), "--job", JOB, "--yes"], _each_has_a_task
    ),
    "retry": Killed(_failed, lambda _: ["retry", "--job", JOB, "--yes"], _each_has_a_task, kills=(2,)),
    "verify --fix": Killed(
        _damaged, lambda _: ["verify", "--job", JOB, "--fix", "--yes", "--out", "found.jsonl"], _each_has_a_task
    ),
    "ledger rebuild": Killed(
        _lost, lambda trial: ["ledger", "rebuild", SOURCE, *_places(trial), "--job", JOB], _each_has_a_task, kills=(2,)
    ),
    "export": Killed(_tasks, _export, _all_exported),
    "export --incremental": Killed(_exported, lambda trial: _export(trial, "--incremental"), _newest_exported),
    "backfill export": Killed(
        _tasks,
        lambda trial: ["backfill", *_export(trial), "--from", "2d"],
        _all_exported,
    ),
}


async def kill(trial: Trial, name: str, phase: str, kills: Sequence[int] = ()) -> None:
    """Run one of COMMANDS, killed after each of these numbers of requests, and then to its end."""
    command = COMMANDS[name]
    await command.prepare(trial)
    trial.host.engine.journal = KillingJournal()
    arguments = [*command.arguments(trial), "--platform", trial.harness.platform]
    await killed_and_run_again(trial, *arguments, kills=kills or command.kills, phase=phase)
    await command.check(trial)


class KillSuite:
    """The program as a process that is killed."""

    harness: PlatformHarness

    @pytest.mark.parametrize(
        ("name", "phase"),
        [
            *((name, phase) for name in ("import", "export") for phase in ("enter", "leave")),
            *((name, ("enter", "leave")[place % 2]) for place, name in enumerate(COMMANDS) if place not in {0, 4}),
        ],
    )
    def test_a_command_that_is_killed_comes_to_the_same_end(self, tmp_path: Path, name: str, phase: str) -> None:
        on_trial(self.harness, tmp_path, lambda trial: kill(trial, name, phase))
