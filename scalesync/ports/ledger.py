"""The ledger as the flows see it: its jobs, and the way to one run of a job.

job_ledger.py, import_ledger.py, export_ledger.py, change_ledger.py and verify_ledger.py have what a run reads and
writes. Every method may raise LedgerUnusable, LedgerBusy or DiskFull, and a write of a run LeaseLost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from scalesync.model.jobs import Failure, JobRow, JobSpec, SourceSplit, Stop, StoredJob
from scalesync.model.records import JsonObject
from scalesync.model.row_views import Known, Standing
from scalesync.model.rows import RowState
from scalesync.model.targets import RequestClass, Target
from scalesync.ports.change_ledger import ChangeLedger
from scalesync.ports.export_ledger import ExportLedger
from scalesync.ports.import_ledger import ImportLedger
from scalesync.ports.verify_ledger import VerifyLedger


class Ledger(Protocol):
    """An open ledger. Calls from one event loop at a time."""

    @property
    def path(self) -> Path:
        """The file that settings name; sources beneath its folder count by their path in it."""

    def close(self) -> None:
        """Finish queued writes and release everything."""

    # --- jobs ----------------------------------------------------------------------------------

    async def jobs(self) -> Sequence[JobRow]:
        """Every job with its counts and newest run, oldest first."""

    async def stops(self, job: str | None) -> Sequence[Stop]:
        """How the last run of each unfinished job ended, newest first.

        job: None for every job.
        """

    async def jobs_of(self, target: Target, command: str) -> Sequence[StoredJob]:
        """Every job of a target with this command, oldest first."""

    async def find_job(self, target: Target, name: str) -> StoredJob | None:
        """The job of that name and target, if there is one."""

    async def open_import(self, spec: JobSpec, *, beside: bool = False, alone: bool = False) -> ImportLedger:
        """Bind the name at first use, take the lease, begin a run of an import.

        beside: the run does other work than the job's own, whose settings stay as they are.
        alone: no other import of the target may run meanwhile, for the server takes a key twice; all of such a target
            must say so.
        Raises NameBound when the name means something else, JobRunning when another run holds the lease.
        """

    async def open_export(self, spec: JobSpec) -> ExportLedger:
        """The same for a run of an export or a backfill."""

    async def open_changes(self, spec: JobSpec) -> ChangeLedger:
        """The same for a run of `apply`.

        spec: its identity has the `change` by name, its `arguments`, and the `subject` unless that is a task.
        """

    # --- records, without a run ----------------------------------------------------------------

    async def counts(self, job: StoredJob) -> Mapping[str, int]:
        """Records of a job by counted state."""

    async def homes(self, job: StoredJob, sources: Collection[int] | None = None) -> Mapping[Standing, int]:
        """The rows of a job by how they count, all of them or those of some sources."""

    async def source_splits(self, job: StoredJob) -> Sequence[SourceSplit]:
        """Every source that the job has read, by number."""

    async def peek(self, target: Target, keys: Sequence[str]) -> Mapping[str, tuple[RowState, bytes]]:
        """State and content of the keys that are known in a target."""

    async def known(self, target: Target, job: StoredJob | None, keys: Sequence[str]) -> Mapping[str, Known]:
        """What admitting records to a job would find about their keys; None for a job that does not exist yet."""

    async def visit_failures(
        self, visit: Callable[[Failure], None], *, job: str | None = None, number: int | None = None
    ) -> None:
        """Call `visit`, in a thread of the ledger, with each failing record of the jobs of a name, or of one by id."""

    def checks(self, job: StoredJob) -> VerifyLedger:
        """The rows of a job for a check that only reads and does not need the job's lease."""

    # --- the target ----------------------------------------------------------------------------

    async def learned_limits(self, target: Target) -> Mapping[RequestClass, JsonObject]:
        """The limits of a target that earlier runs learned, by class of requests."""
