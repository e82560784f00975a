"""SQLite under the contract of all ledgers, and what is its own: the file, its journal, its lock, its errors."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from scalesync.errors import LedgerBusy, LedgerUnusable
from scalesync.ledger.sqlite.connection import open_ledger
from scalesync.ledger.sqlite.imports import rows
from scalesync.ledger.sqlite.owners import Owner, owner_alive, start_of
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.ledger.sqlite.writer import MAX_GROUP, Writer
from scalesync.model.jobs import JobSpec
from scalesync.model.rows import RowOutcome, RowState
from scalesync.ports.ledger import Ledger
from tests.contract.change_suite import ChangeContract
from tests.contract.chunk_suite import ChunkContract
from tests.contract.export_suite import ExportContract
from tests.contract.import_suite import ImportContract
from tests.contract.ledger_suite import LedgerContract
from tests.contract.ledgers import CONTENT, LIVE, Ledgers, admit, outs, spec
from tests.contract.sources_suite import SourcesContract
from tests.contract.verify_suite import VerifyContract


class SqliteLedgers:
    """Each job through a ledger object of its own: its own connection, thread and fence."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: list[SqliteLedger] = []

    def open(self) -> Ledger:
        ledger = SqliteLedger.open(self.path, note=lambda text: None)
        self._open.append(ledger)
        return ledger

    async def die(self, spec: JobSpec) -> None:
        (owner,) = self._write("SELECT owner FROM jobs WHERE name=?", spec.name)[0]
        self._write(
            "UPDATE jobs SET owner=? WHERE name=?", json.dumps({**json.loads(owner), "pid": dead_pid()}), spec.name
        )

    async def lapse(self, spec: JobSpec) -> None:
        self._write("UPDATE jobs SET lease_until_ms=1 WHERE name=?", spec.name)

    def _write(self, sql: str, *values: Any) -> list[Any]:
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def close(self) -> None:
        for ledger in self._open:
            ledger.close()


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
async def ledgers(tmp_path: Path) -> AsyncIterator[Ledgers]:
    opened = SqliteLedgers(tmp_path / "ledger.db")
    yield opened
    opened.close()


class TestLedger(LedgerContract):
    """Jobs, names and leases."""


class TestChunks(ChunkContract):
    """Requests under way."""


class TestImports(ImportContract):
    """Records of imports."""


class TestSources(SourcesContract):
    """Sources of imports."""


class TestExports(ExportContract):
    """Runs of exports."""


class TestChanges(ChangeContract):
    """Changes of many tasks."""


class TestChecks(VerifyContract):
    """Checks of a job."""


def quiet(text: str) -> None:
    """Nobody listens."""


# --- the writer ------------------------------------------------------------------------------------


@pytest.fixture
def writer(tmp_path: Path) -> Any:
    made = Writer(open_ledger(tmp_path / "l.db", create=True, note=quiet), tmp_path / "l.db")
    made_table(tmp_path / "l.db")
    yield made
    made.close()


def made_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    connection.commit()
    connection.close()


async def numbers(writer: Writer) -> list[int]:
    found = await writer.read(lambda db: db.execute("SELECT n FROM t ORDER BY n").fetchall())
    return [n for (n,) in found]


async def test_a_group_that_fails_is_rolled_back_and_all_its_callers_are_informed(writer):
    busy = asyncio.ensure_future(writer.write(lambda db: threading.Event().wait(0.1)))
    await asyncio.sleep(0.02)
    group = [writer.write(lambda db, n=n: db.execute("INSERT INTO t VALUES (?)", (n,))) for n in (1, 2)]
    broken = writer.write(lambda db: db.execute("INSERT INTO nowhere VALUES (1)"))
    results = await asyncio.gather(*group, broken, return_exceptions=True)
    await busy
    assert [type(result) for result in results] == [LedgerUnusable] * 3
    assert await numbers(writer) == []
    await writer.write(lambda db: db.execute("INSERT INTO t VALUES (9)"))
    assert await numbers(writer) == [9]


async def test_an_error_of_the_work_itself_reaches_the_caller_as_it_is(writer):
    def work(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES (1)")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await writer.write(work)
    assert await numbers(writer) == []


async def test_a_fence_that_refuses_writes_nothing_of_the_group(writer):
    def fence(db: sqlite3.Connection) -> None:
        raise LedgerBusy("the fence")

    writer.set_fence(fence)
    with pytest.raises(LedgerBusy, match="the fence"):
        await writer.write(lambda db: db.execute("INSERT INTO t VALUES (1)"))
    writer.set_fence(None)
    assert await numbers(writer) == []


async def test_reading_sees_one_moment_and_can_change_nothing(writer, tmp_path):
    def work(db: sqlite3.Connection) -> tuple[int, int]:
        before = db.execute("SELECT count(*) FROM t").fetchone()[0]
        other = sqlite3.connect(tmp_path / "l.db")
        other.execute("INSERT INTO t VALUES (5)")
        other.commit()
        other.close()
        return before, db.execute("SELECT count(*) FROM t").fetchone()[0]

    assert await writer.read(work) == (0, 0)
    assert await numbers(writer) == [5]
    await writer.read(lambda db: db.execute("INSERT INTO t VALUES (6)"))
    assert await numbers(writer) == [5]


async def test_results_come_in_the_order_of_the_calls_beyond_one_group(writer):
    calls = [
        writer.write(lambda db, n=n: db.execute("INSERT INTO t VALUES (?) RETURNING n", (n,)).fetchone()[0])
        for n in range(3 * MAX_GROUP)
    ]
    assert await asyncio.gather(*calls) == list(range(3 * MAX_GROUP))


async def test_a_caller_that_went_away_harms_nobody(writer):
    call = asyncio.ensure_future(writer.write(lambda db: db.execute("INSERT INTO t VALUES (1)")))
    await asyncio.sleep(0)
    call.cancel()
    await writer.write(lambda db: db.execute("INSERT INTO t VALUES (2)"))
    assert await numbers(writer) == [1, 2]


async def test_closing_finishes_what_is_queued_and_refuses_the_rest(tmp_path):
    writer = Writer(open_ledger(tmp_path / "l.db", create=True, note=quiet), tmp_path / "l.db")
    made_table(tmp_path / "l.db")
    call = asyncio.ensure_future(writer.write(lambda db: db.execute("INSERT INTO t VALUES (1)")))
    await asyncio.sleep(0)
    writer.close()
    writer.close()
    await call
    with pytest.raises(LedgerUnusable, match="closed"):
        await writer.write(lambda db: None)


# --- owners ----------------------------------------------------------------------------------------


def test_an_owner_is_alive_dead_or_on_another_machine():
    here = {"host": socket.gethostname(), "pid": os.getpid(), "start": ""}
    assert owner_alive(json.dumps(here))
    assert not owner_alive(json.dumps({**here, "pid": dead_pid()}))
    assert not owner_alive(json.dumps({**here, "start": "1"})), "a reused pid is another program"
    assert owner_alive(json.dumps({**here, "host": "another-machine", "pid": dead_pid()}))
    owner = Owner()
    assert owner_alive(owner.to_json())
    owner.end()
    assert not owner_alive(owner.to_json()), "its ledger was closed without giving the lease back"


def test_an_owner_that_ended_is_dead_although_its_parent_has_not_noticed():
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    owner = json.dumps({"host": socket.gethostname(), "pid": child.pid, "start": start_of(child.pid)})
    assert owner_alive(owner)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended and stays as it is
    assert not owner_alive(owner)
    child.wait()


async def test_who_waited_without_success_for_the_lock_does_not_wait_as_long_again(tmp_path):
    path = tmp_path / "l.db"
    writer = Writer(open_ledger(path, create=True, note=quiet, busy_timeout_s=1.2), path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusy):
        await writer.write(lambda db: None)
    assert await writer.read(lambda db: db.execute("PRAGMA busy_timeout").fetchone()) == (1000,)
    other.close()
    await writer.write(lambda db: None)
    writer.close()


async def test_events_tell_the_history_of_what_was_out_of_the_ordinary(tmp_path):
    ledger = SqliteLedger.open(tmp_path / "l.db", note=quiet)
    job = await ledger.open_import(spec())
    await admit(job, outs(2))
    await job.record([RowOutcome("k0", RowState.FAILED, status=400, reason="no", event="refused")])
    await job.record([RowOutcome("k1", RowState.CREATED, ref="t")])
    ledger.close()
    with closing(Database(tmp_path / "l.db")) as db:
        events = list(db["events"].rows)
    assert [(row["unique_id"], row["event"]) for row in events] == [("k0", "refused")]


async def test_the_history_tells_no_conflict_of_a_record_that_accepted_the_task(tmp_path):
    ledger = SqliteLedger.open(tmp_path / "l.db", note=quiet)
    job = await ledger.open_import(spec())
    await admit(job, outs(1))
    differs = {"differences": {"type": {}}}
    adopted = RowOutcome("k0", RowState.ADOPTED, ref="t", detail=differs, event="adopted", content=CONTENT)
    await job.record([adopted])
    await job.record([adopted._replace(state=RowState.CONFLICT, event="conflict")])
    assert (await job.counts())["adopted"] == 1
    ledger.close()
    with closing(Database(tmp_path / "l.db")) as db:
        assert [row["event"] for row in db["events"].rows] == ["adopted"]


async def test_the_views_for_people_agree_with_the_counts(tmp_path):
    ledger = SqliteLedger.open(tmp_path / "l.db", note=quiet)
    job = await ledger.open_import(spec())
    await admit(job, outs(3))
    await job.record([RowOutcome("k0", RowState.CREATED, ref="t")])
    ledger.close()
    with closing(Database(tmp_path / "l.db")) as db:
        found = {row["state"]: row["records"] for row in db["job_summary"].rows}
    assert found == {"created": 1, "sending": 2}
    assert str(LIVE) == "https://a.test/v1 (live, account default)"


def test_no_statement_numbers_its_placeholders():
    """CPython 3.12.0 to 3.12.3 warn of `?1` beside a sequence, and warnings may be errors."""
    sources = Path(rows.__file__).parents[1].rglob("*.py")
    assert [path.name for path in sources if re.search(r"[ (,=]\?[0-9]", path.read_text("utf-8"))] == []
