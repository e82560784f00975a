"""The ledger's own file: its mode, its journal, its lock, and what is said when it cannot be used."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlite_utils import Database, recipes

from scalesync.errors import DiskFull, LedgerBusy, LedgerUnusable
from scalesync.home import Home
from scalesync.ledger.sqlite import connection as opening
from scalesync.ledger.sqlite import tools
from scalesync.ledger.sqlite.connection import open_ledger, translate
from scalesync.ledger.sqlite.imports.other_records import MOVED
from scalesync.ledger.sqlite.imports.outcomes import LISTED
from scalesync.ledger.sqlite.report import jobs
from scalesync.ledger.sqlite.schema import migrations
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.ledger.sqlite.upgrade import migrate
from tests.contract.ledgers import admit, outs, spec


def quiet(text: str) -> None:
    """Nobody listens."""


# --- the file --------------------------------------------------------------------------------------


async def test_a_new_ledger_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "l.db"
    ledger = SqliteLedger.open(path, note=quiet)
    await ledger.open_import(spec())
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


def test_the_file_system_of_a_ledger_is_the_one_that_a_link_leads_to(tmp_path):
    (tmp_path / "project").symlink_to("/proc/self")
    assert opening.file_system(tmp_path / "project" / "new.db") == "proc"


def test_a_link_may_lead_to_a_ledger_that_is_still_to_be_made(tmp_path):
    (tmp_path / "volume").mkdir()
    (tmp_path / "l.db").symlink_to("volume/real.db")
    open_ledger(tmp_path / "l.db", create=True, note=quiet).close()
    assert stat.S_IMODE((tmp_path / "volume" / "real.db").stat().st_mode) == 0o600
    (tmp_path / "m.db").symlink_to("nowhere/real.db")
    with pytest.raises(LedgerUnusable, match=r"the folder of the ledger .*m\.db does not exist"):
        open_ledger(tmp_path / "m.db", create=True, note=quiet)


@pytest.mark.parametrize("beside", [False, True])
def test_a_ledger_that_is_mounted_without_its_folder_is_reported(beside, tmp_path, monkeypatch):
    path = tmp_path / "my l.db"
    point = str(tmp_path if beside else path).replace(" ", "\\040")
    mounts = f"/dev/sda1 / ext4 rw 0 0\n/dev/sda1 {point} ext4 rw 0 0\n"
    monkeypatch.setattr(Path, "read_text", lambda self, **_: mounts)
    notes: list[str] = []
    open_ledger(path, create=True, note=notes.append).close()
    assert [note.startswith(f"the ledger {path} is mounted without its folder: ") for note in notes] == [True][beside:]


def test_a_ledger_from_before_shared_records_had_contents_is_brought_up_to_date(tmp_path):
    path = tmp_path / "l.db"
    old = sqlite3.connect(path, isolation_level=None)
    migrations().apply(Database(old), stop_before="m003_other_contents")
    old.execute("INSERT INTO targets VALUES (1, 'u', 'live', 'default', '')")
    for job in (1, 2):
        old.execute(
            "INSERT INTO jobs (id, target, name, command, identity, settings, created_at)"
            " VALUES (?, 1, ?, 'import', '{}', '{}', '')",
            (job, f"j{job}"),
        )
        old.execute("INSERT INTO runs (id, job, epoch, owner, started_at) VALUES (?, ?, 1, '', '')", (job, job))
    old.execute(
        "INSERT INTO rows (target, unique_id, state, job, source, line, content, intent_ms)"
        " VALUES (1, 'k', 'created', 1, 1, 1, x'01', 0)"
    )
    old.execute(
        "INSERT INTO other_records (job, source, line, state, unique_id, run) VALUES (2, 1, 1, 'shared', 'k', 2)"
    )
    old.close()
    connection = open_ledger(path, create=False, note=quiet)
    assert [job.counts["created"] for job in jobs(connection, Home(tmp_path))] == [1, 1]
    assert connection.execute("SELECT job, state FROM job_records ORDER BY 1").fetchall() == [
        ("j1", "created"),
        ("j2", "created"),
    ]
    connection.close()


@pytest.mark.parametrize(("query", "values"), [(LISTED, (1, "k")), (MOVED, (1, "k", 1, 1))])
def test_a_record_beside_a_row_is_found_without_a_look_at_the_others(tmp_path, query, values):
    db = open_ledger(tmp_path / "l.db", create=True, note=quiet)
    with closing(db):
        (step,) = db.execute(f"EXPLAIN QUERY PLAN {query}", values).fetchall()
    assert "unique_id=?" in step[-1]


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
    with closing(Database(path)) as again:
        assert again.table_names() == ["photos"]
    assert len(before) == path.stat().st_size


@pytest.mark.parametrize("content", [b"{}\n" * 1000, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_refused(content, tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_bytes(content)
    with pytest.raises(LedgerUnusable, match=r"records\.jsonl is not a usable ledger"):
        open_ledger(path, create=True, note=quiet)
    assert path.read_bytes() == content


@pytest.mark.parametrize("place", ["", "missing/l.db", "file/l.db", "x" * 300, "/proc/l.db"])
def test_a_place_where_no_file_can_be_is_reported_in_one_sentence(place, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LedgerUnusable, match="ledger") as refusal:
        open_ledger(tmp_path / place, create=True, note=quiet)
    assert "\n" not in str(refusal.value)
    assert refusal.value.exit_code == 2


def test_a_ledger_that_must_be_there_and_is_not_is_reported(tmp_path):
    with pytest.raises(LedgerUnusable, match="no ledger at"):
        open_ledger(tmp_path / "l.db", create=False, note=quiet)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_read_only_ledger_is_reported(what, plain_user):
    path = plain_user / "l.db"
    open_ledger(path, create=True, note=quiet).close()
    place = path if what == "file" else plain_user
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
def test_a_ledger_that_stays_locked_is_reported_in_bounded_time(fresh, tmp_path):
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
    job = await ledger.open_import(spec())
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    asyncio.get_running_loop().call_later(0.1, holder.close)
    assert len(await admit(job, outs(2))) == 2
    ledger.close()


OPENER = """
import sys
from pathlib import Path
from scalesync.ledger.sqlite.connection import open_ledger
print("ready", flush=True)
for line in sys.stdin:
    try:
        open_ledger(Path(line.strip()), create=True, note=print).close()
    except Exception as error:
        print(type(error).__name__, error, flush=True)
    else:
        print("opened", flush=True)
"""


@contextmanager
def openers(count: int) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-c", OPENER]
    programs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    try:
        assert [program.stdout.readline() for program in programs] == ["ready\n"] * count
        yield programs
    finally:
        for program in programs:
            program.communicate()


@pytest.mark.part(2)
@pytest.mark.parametrize(("programs", "files"), [(2, 150), (6, 40)])
def test_programs_that_find_a_new_ledger_at_the_same_moment_all_open_it(programs, files, tmp_path):
    """Both ways in which one of them used to be refused came up in about one of thirty openings."""
    with openers(programs) as running:
        for number in range(files):
            for program in running:
                program.stdin.write(f"{tmp_path / str(number)}\n")
                program.stdin.flush()
            assert [program.stdout.readline() for program in running] == ["opened\n"] * programs, number


async def test_programs_that_begin_the_same_job_at_the_same_moment_are_one_run(tmp_path):
    ledgers = [SqliteLedger.open(tmp_path / "l.db", note=quiet) for _ in range(6)]
    results = await asyncio.gather(*(ledger.open_import(spec()) for ledger in ledgers), return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    for ledger in ledgers:
        ledger.close()


def test_migrating_twice_changes_nothing(tmp_path):
    connection = open_ledger(tmp_path / "l.db", create=True, note=quiet)
    before = connection.execute("SELECT sql FROM sqlite_master").fetchall()
    migrate(connection)
    assert connection.execute("SELECT sql FROM sqlite_master").fetchall() == before
    connection.close()


@pytest.mark.parametrize(
    ("text", "name"),
    [("locking protocol", "SQLITE_PROTOCOL"), ("disk I/O error", "SQLITE_IOERR_LOCK")],
)
def test_a_file_system_without_locks_is_reported_with_the_way_out(text, name):
    error = sqlite3.OperationalError(text)
    error.sqlite_errorname = name
    said = opening.translate(error, Path("l.db"))
    assert said.exit_code == 2
    assert str(said) == (
        f"the ledger l.db cannot be locked, as on some network file systems ({text});"
        " keep it on a disk of this machine: --ledger FILE"
    )


def test_dates_of_sqlite_utils_are_parsed_although_the_parser_came_late():
    assert tools.Database is Database
    assert recipes.parsedate("1 May 2020") == "2020-05-01"
    with pytest.raises(ValueError, match="Unknown string format"):
        recipes.parsedate("nonsense")
