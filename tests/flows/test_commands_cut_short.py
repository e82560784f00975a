"""Commands after the import that die at one of their writes to the ledger: the same command ends as if nothing was."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.runtime.options import RetryOptions
from scalesync.flows.verify.fix import run_repair
from scalesync.flows.verify.run import run_verify
from scalesync.ledger.sqlite.writer import Writer
from scalesync.sandbox import FaultRule, Sandbox
from scalesync.sandbox.scale.tasks import lifecycle
from tests.conftest import FAST, letter
from tests.flows.test_import_conflicts import call
from tests.flows.test_verify import change_ledger

RECORDS = 40
DEATHS = (1, 2, 3, 4, 5, 6, 8, 11, 15)


class Died(BaseException):
    """Stands for SIGKILL: nothing that is written from here on reaches the ledger."""


class Fuse:
    """Lets so many writes through and none after them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        self.blown = False
        write = Writer.write

        async def fused(writer: Writer, work: Any) -> Any:
            if self.left == 0:
                self.blown = True
                raise Died
            self.left -= 1
            return await write(writer, work)

        monkeypatch.setattr(Writer, "write", fused)


def leave_lease(ledger: Path) -> None:
    """The process that held the job is this one and lives: what a dead one leaves is taken over by the next."""
    with sqlite3.connect(ledger) as db:
        db.execute("UPDATE jobs SET owner=NULL, lease_until_ms=NULL")
    db.close()


async def cut_short(fuse: Fuse, ledger: Path, at: int, command: Callable[[], Awaitable[Any]]) -> None:
    """Run a command that dies at its write number `at`, if it gets so far."""
    fuse.left, fuse.blown = at, False
    try:
        await command()
    except BaseException as error:
        group = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
        if not fuse.blown or not any(isinstance(one, Died | BaseExceptionGroup) for one in group):
            raise
    assert fuse.blown or at > 6
    fuse.left = -1
    leave_lease(ledger)


def one_live_task_each(sandbox: Sandbox) -> None:
    alive = [task for task in sandbox.store.world("live").documents() if task["status"] not in {"canceled", "error"}]
    keys = [task["unique_id"] for task in alive]
    assert sorted(keys) == [f"letter-{number:05d}" for number in range(RECORDS)]


@pytest.mark.part(2)
@pytest.mark.parametrize("death", DEATHS)
async def test_a_repair_that_dies_is_carried_on_by_the_same_command(
    death, make_sandbox, bring, write_records, settings_for, notebook, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(RECORDS), job="j")
    world = sandbox.store.world("live")
    for number in range(8):  # canceled, and half of them without their ids
        task = world.by_unique_id(f"letter-{number:05d}")["task_id"]
        await call(sandbox, "POST", f"/task/{task}/cancel?clear_unique_id={'true' if number % 2 else 'false'}")
    change_ledger(tmp_path, "DELETE FROM rows WHERE unique_id GLOB 'letter-0001*'")
    change_ledger(tmp_path, "UPDATE rows SET state='pending', task_id=NULL WHERE unique_id GLOB 'letter-0002*'")
    for number in (10, 11, 20, 21):
        world.remove(world.find(world.by_unique_id(f"letter-{number:05d}")["task_id"]))
    settings, fuse = settings_for(sandbox), Fuse(monkeypatch)
    reclaim = frozenset({"canceled"})

    async def fix() -> int:
        found = await run_verify(settings, "j", None, notebook, limits=FAST)
        if found.file is None:
            return 0
        done = await run_repair(settings, "j", found.file, notebook, reclaim=reclaim, limits=FAST, signals=False)
        return done.exit_code

    await cut_short(fuse, tmp_path / "ledger.db", death, fix)
    assert await fix() == 0
    one_live_task_each(sandbox)
    clean = await run_verify(settings, "j", None, notebook, limits=FAST)
    assert (clean.findings, clean.with_task) == ({}, RECORDS)
    assert sandbox.journal.count("create", 409) <= RECORDS  # looked up first: nothing is sent blindly


@pytest.mark.parametrize("death", DEATHS)
async def test_a_retry_that_dies_is_carried_on_by_the_same_command(
    death, make_sandbox, bring, write_records, settings_for, notebook, tmp_path, monkeypatch
):
    refused = FaultRule(kind="error", on="create", status=422, at=(3, 9, 17, 25))
    sandbox = await make_sandbox([refused])
    assert (await bring(sandbox, write_records(RECORDS), job="j", yes=True)).failed == 4
    settings, fuse = settings_for(sandbox), Fuse(monkeypatch)

    async def again() -> Any:
        return await run_retry(RetryOptions(job="j"), settings, notebook, limits=FAST, signals=False)

    await cut_short(fuse, tmp_path / "ledger.db", death, again)
    done = await again()
    assert (done.created + done.adopted, done.failed, done.pending, done.exit_code) == (RECORDS, 0, 0, 0)
    one_live_task_each(sandbox)


@pytest.mark.parametrize("death", DEATHS)
async def test_errored_tasks_that_are_sent_again_by_a_run_that_dies_are_carried_on(
    death, make_sandbox, bring, write_records, settings_for, notebook, tmp_path, monkeypatch
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([letter(number) for number in range(RECORDS)]), job="j", limit=RECORDS)
    world = sandbox.store.world("live")
    for number in range(0, RECORDS, 7):
        task = world.find(world.by_unique_id(f"letter-{number:05d}")["task_id"])
        assert task is not None
        lifecycle.fail(world, task, world.now(), None)
    settings, fuse = settings_for(sandbox), Fuse(monkeypatch)

    async def again() -> Any:
        return await run_retry(RetryOptions(job="j", errored=True), settings, notebook, limits=FAST, signals=False)

    await cut_short(fuse, tmp_path / "ledger.db", death, again)
    done = await again()
    assert (done.created + done.adopted, done.conflicts, done.exit_code) == (RECORDS, 0, 0)
    one_live_task_each(sandbox)
