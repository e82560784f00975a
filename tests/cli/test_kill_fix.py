"""`verify --fix` killed and interrupted half way: the same command resumes, and without --fix it is told."""

from __future__ import annotations

import signal
import sqlite3
import sys
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process

from scalesync.sandbox import FaultRule, Sandbox
from tests.cli.test_kill import Program, check_once, collect
from tests.flows.test_import_conflicts import call

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and SIGINT are of POSIX")

RECORDS, LOST = 120, 24


class Command(Program):
    """Any command of the program against the sandbox."""

    def __init__(self, folder: Path, sandbox: Sandbox, *args: str) -> None:
        super().__init__(folder, sandbox, "unused")
        self.arguments = [*args, "--base-url", sandbox.base_url, "--json"]


def states(folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / "scalesync.db") as db:
        found = dict(db.execute("SELECT state, count(*) FROM rows GROUP BY 1").fetchall())
    db.close()
    return found


async def wait_for(process: Process, folder: Path, state: str, number: int) -> None:
    while states(folder).get(state, 0) < number:
        await anyio.sleep(0.005)
        assert process.returncode is None, await collect(process)


@pytest.fixture
async def broken(make_sandbox, write_records, tmp_path) -> Sandbox:
    """An import whose last tasks were canceled and lost their unique_ids."""
    sandbox: Sandbox = await make_sandbox()
    summary = (await Program(tmp_path, sandbox, write_records(RECORDS), "--job", "j").until_done())[-1]
    assert summary["created"] == RECORDS
    world = sandbox.store.world("live")
    for number in range(RECORDS - LOST, RECORDS):
        task = world.by_unique_id(f"letter-{number:05d}")["task_id"]
        await call(sandbox, "POST", f"/task/{task}/cancel?clear_unique_id=true")
    return sandbox


@pytest.mark.part(2)
@pytest.mark.parametrize(
    ("number", "answered"),
    [(signal.SIGKILL, 0), (signal.SIGKILL, 5), (signal.SIGINT, 5)],
    ids=["killed before the first answer", "killed after some", "interrupted"],
)
async def test_the_same_command_continues_a_repair_that_was_stopped(number, answered, broken, tmp_path):
    broken.faults.replace([FaultRule(kind="hang", on="create", at=tuple(range(answered, 400)), seconds=30)])
    fix = Command(tmp_path, broken, "verify", "--job", "j", "--fix", "--yes")
    async with fix.running() as process:
        await wait_for(process, tmp_path, "sending", LOST)
        if answered:
            await wait_for(process, tmp_path, "created", RECORDS - LOST + answered)
        process.send_signal(number)
        await collect(process)
        assert await process.wait() == (-9 if number == signal.SIGKILL else 3)
    broken.faults.replace([])
    left = LOST - answered
    code, told = await Command(tmp_path, broken, "verify", "--job", "j").once()
    assert (code, told["findings"], told["fixes"]) == (1, {"pending": left}, {"send": left})
    assert (told["read"], told["with_task"], told["without"]) == (RECORDS, RECORDS - left, {"pending": left})
    code, fixed = await fix.once()
    assert (code, fixed["repaired"], fixed["left"], fixed["import"]["created"]) == (0, {"send": left}, 0, RECORDS)
    alive = [task for task in broken.store.world("live").documents() if task["status"] != "canceled"]
    assert len({task["unique_id"] for task in alive}) == len(alive) == RECORDS
    assert states(tmp_path) == {"created": RECORDS}
    assert (await Command(tmp_path, broken, "verify", "--job", "j").once())[0] == 0


async def test_an_outage_in_the_middle_of_a_repair_is_carried_on_too(broken, tmp_path):
    broken.faults.replace([FaultRule(kind="error", on="create", status=401, at=tuple(range(3, 400)))])
    fix = Command(tmp_path, broken, "verify", "--job", "j", "--fix", "--yes")
    code, _ = await fix.once()
    assert code == 3
    broken.faults.replace([])
    assert (await fix.once())[0] == 0
    assert states(tmp_path) == {"created": RECORDS}


async def test_records_that_the_ledger_lost_are_recorded_by_a_repair_that_was_killed_on_the_way(
    make_sandbox, write_records, tmp_path
):
    sandbox: Sandbox = await make_sandbox()
    await Program(tmp_path, sandbox, write_records(RECORDS), "--job", "j").until_done()
    with sqlite3.connect(tmp_path / "scalesync.db") as db:
        db.execute("DELETE FROM rows WHERE unique_id >= 'letter-00040'")
    db.close()
    # The pass over the source, then its look-ups: the repair is killed while it asks for the second time.
    sandbox.faults.replace([FaultRule(kind="hang", on="list", at=tuple(range(4, 400)), seconds=30)])
    fix = Command(tmp_path, sandbox, "verify", "--job", "j", "--fix", "--yes")
    async with fix.running() as process:
        sandbox.journal.clear()
        while sandbox.journal.in_flight == 0 or sandbox.journal.count("list") < 4:
            await anyio.sleep(0.005)
        process.kill()
        await collect(process)
    sandbox.faults.replace([])
    code, _ = await fix.once()
    assert code == 0
    check_once(sandbox, RECORDS)
    assert sandbox.journal.count("create") == 0
