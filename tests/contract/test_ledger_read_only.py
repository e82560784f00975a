"""A ledger that can only be read is read by the commands that only read, and by no other."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlite_utils import Database

from scalesync.errors import LedgerUnusable
from scalesync.flows.jobs.status import job_status, list_failures, stopped_jobs
from scalesync.ledger.sqlite.connection import open_ledger
from scalesync.ledger.sqlite.schema import migrations
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.model.rows import RowOutcome, RowState
from tests.contract.ledgers import admit, outs, spec


def quiet(text: str) -> None:
    """Nobody listens."""


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Neither the folder nor its files can be written, as in a snapshot."""
    files = list(folder.iterdir())
    for file in files:
        file.chmod(stat.S_IRUSR)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        yield
    finally:
        folder.chmod(stat.S_IRWXU)
        for file in files:
            file.chmod(stat.S_IRUSR | stat.S_IWUSR)


async def fill(path: Path, *, close: bool = True) -> SqliteLedger:
    ledger = SqliteLedger.open(path, note=quiet)
    job = await ledger.open_import(spec())
    await admit(job, outs(3))
    await job.record([RowOutcome("k0", RowState.FAILED, status=400, reason="no")])
    await job.finish(complete=False, exit_code=3, figures={}, message="stopped by Ctrl-C")
    if close:
        ledger.close()
    return ledger


async def check(path: Path) -> None:
    (job,) = await job_status(path, None)
    assert (job.job, job.message, dict(job.counts)["failed"]) == ("j", "stopped by Ctrl-C", 1)
    (group,) = await list_failures(path, None, None)
    assert (group.count, group.message) == (1, "no")
    (stop,) = await stopped_jobs(path, None)
    assert (stop.job, stop.exit_code) == ("j", 3)


async def test_status_and_failures_read_a_ledger_that_cannot_be_written(plain_user: Path) -> None:
    path = plain_user / "l ?#%.db"  # what a URI must not take for its own
    await fill(path)
    before = sorted(plain_user.iterdir())
    with unwritable(plain_user):
        await check(path)
    assert sorted(plain_user.iterdir()) == before


async def test_so_they_do_where_only_the_file_is_read_only(plain_user: Path) -> None:
    path = plain_user / "l.db"
    await fill(path)
    path.chmod(stat.S_IRUSR)
    await check(path)


async def test_a_snapshot_of_a_running_job_shows_what_its_journal_holds(plain_user: Path) -> None:
    """The newest changes stand in the WAL: reading the file alone would show an older state."""
    ledger = await fill(plain_user / "l.db", close=False)
    snapshot = plain_user / "snapshot"
    snapshot.mkdir()
    for file in plain_user.glob("l.db*"):
        shutil.copy(file, snapshot)
    ledger.close()
    assert (snapshot / "l.db-wal").stat().st_size > 0
    with unwritable(snapshot):
        await check(snapshot / "l.db")


async def test_without_the_journals_index_the_way_out_is_named(plain_user: Path) -> None:
    ledger = await fill(plain_user / "l.db", close=False)
    snapshot = plain_user / "snapshot"
    snapshot.mkdir()
    for file in ("l.db", "l.db-wal"):
        shutil.copy(plain_user / file, snapshot)
    ledger.close()
    with unwritable(snapshot), pytest.raises(LedgerUnusable, match=r"l\.db-wal.*copy both files"):
        await job_status(snapshot / "l.db", None)


async def test_one_of_an_older_version_is_read_and_left_as_it_is(plain_user: Path) -> None:
    path = plain_user / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        migrations().apply(Database(old), stop_before="m003_other_contents")
        old.execute("INSERT INTO targets VALUES (1, 'https://a.test/v1', 'live', 'default', '')")
        old.execute(
            "INSERT INTO jobs (id, target, name, command, identity, settings, created_at)"
            " VALUES (1, 1, 'j', 'import', '', '{}', '')"
        )
    before = path.read_bytes()
    with unwritable(plain_user):
        (job,) = await job_status(path, None)
    assert job.job == "j"
    assert path.read_bytes() == before


async def test_whoever_writes_is_refused_as_before(plain_user: Path) -> None:
    path = plain_user / "l.db"
    await fill(path)
    with unwritable(plain_user):
        with pytest.raises(LedgerUnusable, match="read-only"):
            open_ledger(path, create=True, note=quiet)
        connection = open_ledger(path, create=False, note=quiet, to_read=True)
        with closing(connection), pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM rows")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to begin as somebody else")
async def test_a_file_that_cannot_even_be_read_is_named(plain_user: Path) -> None:
    path = plain_user / "l.db"
    await fill(path)
    path.chmod(0)
    with pytest.raises(LedgerUnusable, match=r"l\.db"):
        await job_status(path, None)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
