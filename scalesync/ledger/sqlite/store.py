"""SqliteLedger: one ledger file with its targets, its jobs and their leases."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from scalesync.errors import JobRunning, LeaseLost, NameBound
from scalesync.home import Home
from scalesync.ledger import binding
from scalesync.ledger.sqlite import learned_limits, report, splits
from scalesync.ledger.sqlite.connection import open_ledger
from scalesync.ledger.sqlite.exports.export_store import ExportStore
from scalesync.ledger.sqlite.imports import row_counts
from scalesync.ledger.sqlite.jobs import JobStore
from scalesync.ledger.sqlite.owners import Owner, describe_owner, owner_alive
from scalesync.ledger.sqlite.writer import Writer
from scalesync.model.jobs import Failure, JobRow, JobSpec, SourceSplit, Stop, StoredJob
from scalesync.model.records import JsonObject
from scalesync.model.row_views import Known, Standing
from scalesync.model.rows import RowState
from scalesync.model.targets import RequestClass, Target
from scalesync.times import now_iso

# Methods import what only imports, checks and changes need: an export or a list of failures works without.
if TYPE_CHECKING:
    from scalesync.ledger.sqlite.changes.change_store import ChangeStore
    from scalesync.ledger.sqlite.imports.checks import CheckStore
    from scalesync.ledger.sqlite.imports.import_store import ImportStore

LEASE_MS = 60_000
S = TypeVar("S", bound=JobStore)


def now_ms() -> int:
    """Local wall clock in ms since the epoch."""
    return time.time_ns() // 1_000_000


class SqliteLedger:
    """A `Ledger`. Make it with `open`, end it with `close`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._home = Home(path.parent)
        self._writer = Writer(connection, path)
        self._owner = Owner()

    @classmethod
    def open(
        cls, path: Path, *, note: Callable[[str], None], create: bool = True, to_read: bool = False
    ) -> SqliteLedger:
        """Open or create the file. Raises LedgerUnusable, LedgerBusy or DiskFull with one sentence.

        to_read: the caller only reads, so the ledger may be read-only.
        """
        return cls(open_ledger(path, create=create, note=note, to_read=to_read), path)

    def close(self) -> None:
        """Finish the queued calls and close the file."""
        try:
            self._writer.close()
        finally:
            self._owner.end()

    async def jobs(self) -> list[JobRow]:
        """Every job with its counts and newest run, oldest first."""
        return await self._writer.read(lambda db: report.jobs(db, self._home))

    async def stops(self, job: str | None) -> list[Stop]:
        """The end of the last run of each incomplete job, newest first.

        job: the jobs of this name; None for all jobs.
        """
        return await self._writer.read(lambda db: report.stops(db, job))

    async def visit_failures(
        self, visit: Callable[[Failure], None], *, job: str | None = None, number: int | None = None
    ) -> None:
        """Call `visit`, in the ledger's thread, with each failing record of the jobs with a name or of one job."""

        def work(db: sqlite3.Connection) -> None:
            for failure in report.failures(db, self._home, job, number):
                visit(failure)

        await self._writer.read(work)

    async def source_splits(self, job: StoredJob) -> Sequence[SourceSplit]:
        """Every source that the job has read."""
        return await self._writer.read(lambda db: splits.load(db, job.id))

    async def jobs_of(self, target: Target, command: str) -> list[StoredJob]:
        """Every job of a target with this command, oldest first."""
        return await self._writer.read(lambda db: _jobs_of(db, target, command))

    async def find_job(self, target: Target, name: str) -> StoredJob | None:
        """The job of this target and name; None if there is none."""
        return await self._writer.read(lambda db: _find_job(db, target, name))

    async def counts(self, job: StoredJob) -> Mapping[str, int]:
        """Records of a job by counted state."""
        return await self._writer.read(
            lambda db: report.counts(db, job.command, _known_target(db, job.target) or 0, job.id)
        )

    async def learned_limits(self, target: Target) -> Mapping[RequestClass, JsonObject]:
        """The limits of a target that earlier runs learned, by class of requests."""
        return await self._writer.read(lambda db: learned_limits.load(db, _known_target(db, target) or 0))

    def checks(self, job: StoredJob) -> CheckStore:
        """The rows of a job for a check that only reads, which needs no lease."""
        from scalesync.ledger.sqlite.imports.checks import CheckStore  # noqa: PLC0415

        return CheckStore(self._writer, job.id)

    async def peek(self, target: Target, keys: Sequence[str]) -> Mapping[str, tuple[RowState, bytes]]:
        """State and content of the known keys of a target."""
        return {key: (row.state, row.content) for key, row in (await self.known(target, None, keys)).items()}

    async def known(self, target: Target, job: StoredJob | None, keys: Sequence[str]) -> Mapping[str, Known]:
        """Everything that an admission of records to a job would find of their keys.

        job: None if the job does not exist yet.
        """
        from scalesync.ledger.sqlite.imports import rows  # noqa: PLC0415

        def work(db: sqlite3.Connection) -> Mapping[str, Known]:
            number = _known_target(db, target)
            return {} if number is None else rows.load(db, number, 0 if job is None else job.id, keys)

        return await self._writer.read(work)

    async def homes(self, job: StoredJob, sources: Collection[int] | None = None) -> Mapping[Standing, int]:
        """The home rows of a job by how they count: all of them, or those of some sources."""
        return await self._writer.read(lambda db: row_counts.count_homes(db, job.id, sources))

    async def open_import(self, spec: JobSpec, *, beside: bool = False, alone: bool = False) -> ImportStore:
        """Bind the name at its first use, take the lease, and begin a run of an import.

        beside: the run does other work than the job's own, so the job's settings stay as they are.
        alone: no other import of the target may run meanwhile.
        Raises NameBound if the name is bound to something else, and JobRunning if another run holds the lease.
        """
        from scalesync.ledger.sqlite.imports.import_store import ImportStore  # noqa: PLC0415

        return await self._open(partial(ImportStore, alone=alone), spec, beside=beside, alone=alone)

    async def open_export(self, spec: JobSpec) -> ExportStore:
        """Like `open_import`, for a run of an export or a backfill."""
        return await self._open(ExportStore, spec, beside=False)

    async def open_changes(self, spec: JobSpec) -> ChangeStore:
        """Like `open_import`, for a run of `apply`."""
        from scalesync.ledger.sqlite.changes.change_store import ChangeStore  # noqa: PLC0415

        return await self._open(ChangeStore, spec, beside=False)

    async def _open(self, kind: Callable[..., S], spec: JobSpec, *, beside: bool, alone: bool = False) -> S:
        owner = self._owner.to_json()
        until_ms = now_ms() + LEASE_MS  # at least
        begun = await self._writer.write(lambda db: _begin(db, spec, owner, beside=beside, alone=alone))
        job, run, epoch, target, complete = begun

        def fence(db: sqlite3.Connection) -> int:
            until_ms = now_ms() + LEASE_MS
            changed = db.execute(
                "UPDATE jobs SET lease_until_ms=? WHERE id=? AND epoch=? AND owner=?", (until_ms, job, epoch, owner)
            )
            if changed.rowcount == 0:
                raise LeaseLost(f"another run of job {spec.name} took over; this one stops")
            return until_ms

        self._writer.set_fence(fence, until_ms)
        return kind(self._writer, job=job, run=run, target=target, name=spec.name, was_complete=complete)


_STORED = (
    "SELECT j.id, j.name, j.command, j.identity, j.settings, j.complete FROM jobs j JOIN targets t ON t.id=j.target"
    " WHERE t.platform=? AND t.base_url=? AND t.mode=? AND t.account=? AND t.namespace=?"
)


def _find_job(db: sqlite3.Connection, target: Target, name: str) -> StoredJob | None:
    key = _target_key(target)
    row = db.execute(f"{_STORED} AND j.name=?", (*key, name)).fetchone()
    return None if row is None else _stored(row, target)


def _jobs_of(db: sqlite3.Connection, target: Target, command: str) -> list[StoredJob]:
    key = _target_key(target)
    found = db.execute(f"{_STORED} AND j.command=? ORDER BY j.id", (*key, command)).fetchall()
    return [_stored(row, target) for row in found]


def _stored(row: tuple[Any, ...], target: Target) -> StoredJob:
    number, name, command, identity, settings, complete = row
    return StoredJob(number, name, command, target, json.loads(identity), json.loads(settings), bool(complete))


_TARGET = "SELECT id FROM targets WHERE platform=? AND base_url=? AND mode=? AND account=? AND namespace=?"


def _target_key(target: Target) -> tuple[str, ...]:
    """The values that identify a target, in the order of the columns."""
    return (target.platform, target.base_url, target.mode.value, target.account, target.namespace)


def _known_target(db: sqlite3.Connection, target: Target) -> int | None:
    row = db.execute(_TARGET, _target_key(target)).fetchone()
    return None if row is None else int(row[0])


def _target_id(db: sqlite3.Connection, target: Target) -> int:
    db.execute(
        "INSERT OR IGNORE INTO targets (platform, base_url, mode, account, namespace, created_at) VALUES (?,?,?,?,?,?)",
        (*_target_key(target), now_iso()),
    )
    row = db.execute(_TARGET, _target_key(target)).fetchone()
    return int(row[0])


def _check_alone(db: sqlite3.Connection, target: int, spec: JobSpec) -> None:
    query = (
        "SELECT name, owner, lease_until_ms FROM jobs WHERE target=? AND command=? AND name<>? AND owner IS NOT NULL"
    )
    for name, holder, until in db.execute(query, (target, spec.command, spec.name)).fetchall():
        if owner_alive(holder) and (until or 0) > now_ms():
            raise JobRunning(
                f"job {name} is running on the same target ({describe_owner(holder)}), whose server takes a key twice:"
                " only one import at a time is safe; wait for it or stop it, then run the same command"
            )


def _begin(
    db: sqlite3.Connection, spec: JobSpec, owner: str, *, beside: bool, alone: bool
) -> tuple[int, int, int, int, bool]:
    target = _target_id(db, spec.target)
    if alone:
        _check_alone(db, target, spec)
    identity = json.dumps(spec.identity, sort_keys=True)
    row = db.execute(
        "SELECT id, command, identity, owner, lease_until_ms, epoch, complete, settings FROM jobs"
        " WHERE target=? AND name=?",
        (target, spec.name),
    ).fetchone()
    if row is None:
        job = db.execute(
            "INSERT INTO jobs (target, name, command, identity, settings, created_at) VALUES (?,?,?,?,'{}',?)",
            (target, spec.name, spec.command, identity, now_iso()),
        ).lastrowid
        epoch, complete, settings = 0, 0, None
    else:
        job, command, bound, holder, until, epoch, complete, settings = row
        held = json.loads(bound)
        if not binding.same(command, held, spec.command, spec.identity):
            raise NameBound(binding.sentence(spec.name, command, held, spec.command, spec.identity))
        if holder and owner_alive(holder) and (until or 0) > now_ms():
            raise JobRunning(
                f"job {spec.name} is already running ({describe_owner(holder)}); wait for it or stop it,"
                " then run the same command"
            )
    assert job is not None
    epoch += 1
    db.execute(
        "UPDATE jobs SET settings=?, complete=0, owner=?, lease_until_ms=?, epoch=? WHERE id=?",
        (
            settings if beside and settings is not None else json.dumps(spec.settings, sort_keys=True),
            *(owner, now_ms() + LEASE_MS, epoch, job),
        ),
    )
    run = db.execute(
        "INSERT INTO runs (job, epoch, owner, started_at) VALUES (?,?,?,?)", (job, epoch, owner, now_iso())
    ).lastrowid
    assert run is not None
    return job, run, epoch, target, bool(complete)
