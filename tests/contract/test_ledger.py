"""SQLite under the contract of all ledgers, and what is its own: the file, its journal, its lock, its errors."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from scalesync.errors import DiskFull, LedgerBusy, LedgerUnusable
from scalesync.ledger import connection as opening
from scalesync.ledger.connection import open_ledger, translate
from scalesync.ledger.schema import migrate
from scalesync.ledger.store import SqliteLedger, owner_alive
from scalesync.ledger.writer import MAX_GROUP, Writer
from scalesync.model import RowState, Settled
from scalesync.ports import JobLedger, JobSpec
from tests.contract.ledger_suite import LIVE, LedgerContract, Ledgers, admit, outs, spec


class SqliteLedgers:
    """Each job through a ledger object of its own: its own connection, thread and fence."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: list[SqliteLedger] = []

    async def open_job(self, spec: JobSpec) -> JobLedger:
        ledger = SqliteLedger.open(self.path, note=lambda text: None)
        self._open.append(ledger)
        return await ledger.open_job(spec)

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


class TestSqlite(LedgerContract):
    """The contract of all ledgers."""


def quiet(text: str) -> None:
    """Nobody listens."""


# --- the file --------------------------------------------------------------------------------------


async def test_a_new_ledger_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "l.db"
    ledger = SqliteLedger.open(path, note=quiet)
    await ledger.open_job(spec())
    for file in tmp_path.glob("l.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    ledger.close()


def test_on_a_local_disk_the_journal_is_a_write_ahead_log(tmp_path):
    notes: list[str] = []
    connection = open_ledger(tmp_path / "l.db", create=True, note=notes.append)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()
    assert notes == []


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "9p", "fuse.sshfs"])
def test_on_a_network_file_system_it_is_not_and_a_note_says_so(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "file_system", lambda path: kind)
    notes: list[str] = []
    connection = open_ledger(tmp_path / "l.db", create=True, note=notes.append)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()
    assert len(notes) == 1
    assert "one machine" in notes[0]


def test_the_file_system_of_a_path_is_that_of_its_longest_mount():
    assert opening.file_system(Path("/proc/self/status")) == "proc"
    assert opening.file_system(Path("/")) != ""


def test_a_ledger_of_a_newer_program_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "l.db"
    connection = open_ledger(path, create=True, note=quiet)
    connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('scalesync', 'm099_later', 'x')"
    )
    connection.close()
    with pytest.raises(LedgerUnusable, match=r"l\.db was written by a newer scalesync.*upgrade") as refusal:
        open_ledger(path, create=True, note=quiet)
    assert refusal.value.exit_code == 2


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "photos.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE photos (id)")
    other.commit()
    other.close()
    before = path.read_bytes()
    with pytest.raises(LedgerUnusable, match="another program"):
        open_ledger(path, create=True, note=quiet)
    assert Database(path).table_names() == ["photos"]
    assert len(before) == path.stat().st_size


@pytest.mark.parametrize("content", [b"{}\n" * 1000, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_refused(content, tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_bytes(content)
    with pytest.raises(LedgerUnusable, match=r"records\.jsonl is not a usable ledger"):
        open_ledger(path, create=True, note=quiet)
    assert path.read_bytes() == content


@pytest.mark.parametrize("place", ["", "missing/l.db", "file/l.db", "x" * 300, "/proc/l.db"])
def test_a_place_where_no_file_can_be_is_told_in_one_sentence(place, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LedgerUnusable, match="ledger") as refusal:
        open_ledger(tmp_path / place, create=True, note=quiet)
    assert "\n" not in str(refusal.value)
    assert refusal.value.exit_code == 2


def test_a_ledger_that_must_be_there_and_is_not_is_told(tmp_path):
    with pytest.raises(LedgerUnusable, match="no ledger at"):
        open_ledger(tmp_path / "l.db", create=False, note=quiet)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere; the test of `translate` covers the words")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_read_only_ledger_is_told(what, tmp_path):
    path = tmp_path / "l.db"
    open_ledger(path, create=True, note=quiet).close()
    place = path if what == "file" else tmp_path
    place.chmod(0o400 if what == "file" else 0o500)
    try:
        with pytest.raises(LedgerUnusable, match="read-only"):
            open_ledger(path, create=True, note=quiet)
    finally:
        place.chmod(0o700)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("database or disk is full", DiskFull),
        ("disk I/O error", DiskFull),
        ("database is locked", LedgerBusy),
        ("database table is locked: rows", LedgerBusy),
        ("attempt to write a readonly database", LedgerUnusable),
        ("unable to open database file", LedgerUnusable),
        ("file is not a database", LedgerUnusable),
        ("database disk image is malformed", LedgerUnusable),
        ("no such column: x", LedgerUnusable),
    ],
)
def test_what_sqlite_says_becomes_one_sentence_with_its_exit_code(text, error):
    said = translate(sqlite3.OperationalError(text), Path("my.db"))
    assert type(said) is error
    assert said.exit_code == (2 if error is LedgerUnusable else 3)
    assert "my.db" in str(said)


# --- locks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fresh", [True, False])
def test_a_ledger_that_stays_locked_is_told_in_bounded_time(fresh, tmp_path):
    path = tmp_path / "l.db"
    if not fresh:
        open_ledger(path, create=True, note=quiet).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(LedgerBusy, match="locked by another program") as refusal:
            open_ledger(path, create=True, note=quiet, busy_timeout_s=0.1)
    finally:
        holder.close()
    assert refusal.value.exit_code == 3
    open_ledger(path, create=True, note=quiet).close()


async def test_a_lock_that_is_held_for_a_moment_is_waited_for(tmp_path):
    path = tmp_path / "l.db"
    ledger = SqliteLedger.open(path, note=quiet)
    job = await ledger.open_job(spec())
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    asyncio.get_running_loop().call_later(0.1, holder.close)
    assert len(await admit(job, outs(2))) == 2
    ledger.close()


def test_programs_that_find_a_new_ledger_at_the_same_moment_all_open_it(tmp_path):
    path = tmp_path / "l.db"
    barrier = threading.Barrier(8)
    failures: list[BaseException] = []

    def start() -> None:
        barrier.wait()
        try:
            open_ledger(path, create=True, note=quiet).close()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


async def test_programs_that_begin_the_same_job_at_the_same_moment_are_one_run(tmp_path):
    ledgers = [SqliteLedger.open(tmp_path / "l.db", note=quiet) for _ in range(6)]
    results = await asyncio.gather(*(ledger.open_job(spec()) for ledger in ledgers), return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    for ledger in ledgers:
        ledger.close()


def test_migrating_twice_changes_nothing(tmp_path):
    connection = open_ledger(tmp_path / "l.db", create=True, note=quiet)
    before = connection.execute("SELECT sql FROM sqlite_master").fetchall()
    migrate(Database(connection))
    assert connection.execute("SELECT sql FROM sqlite_master").fetchall() == before
    connection.close()


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


async def test_a_group_that_fails_is_rolled_back_and_all_its_callers_are_told(writer):
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


async def test_events_tell_the_history_of_what_was_out_of_the_ordinary(tmp_path):
    ledger = SqliteLedger.open(tmp_path / "l.db", note=quiet)
    job = await ledger.open_job(spec())
    await admit(job, outs(2))
    await job.settle([Settled("k0", RowState.FAILED, status=400, reason="no", event="refused")])
    await job.settle([Settled("k1", RowState.CREATED, ref="t")])
    ledger.close()
    events = Database(tmp_path / "l.db")["events"].rows
    assert [(row["unique_id"], row["event"]) for row in events] == [("k0", "refused")]


async def test_the_views_for_people_agree_with_the_counts(tmp_path):
    ledger = SqliteLedger.open(tmp_path / "l.db", note=quiet)
    job = await ledger.open_job(spec())
    await admit(job, outs(3))
    await job.settle([Settled("k0", RowState.CREATED, ref="t")])
    ledger.close()
    found = {row["state"]: row["records"] for row in Database(tmp_path / "l.db")["job_summary"].rows}
    assert found == {"created": 1, "sending": 2}
    assert str(LIVE) == "https://a.test/v1 (live, account default)"
