"""The ledger for one run of one import job. No row id of a database leaves the ledger."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from typing import Any, Protocol

from scalesync.model.jobs import Feeder, SourceCursor, SourceSplit
from scalesync.model.records import Checkpoint, JsonObject, Outgoing
from scalesync.model.row_views import Doubtful, Known, LookedUp
from scalesync.model.rows import Admission, OtherRecord, RecordState, RowOutcome, RowState
from scalesync.ports.chunk_log import ChunkLog
from scalesync.ports.job_ledger import JobLedger
from scalesync.ports.verify_ledger import VerifyLedger


class Checkpoints(Protocol):
    """The checkpoints of a job's sources in the ledger, which let a run leave finished lines unread."""

    async def marked(self, settings: str) -> frozenset[int]:
        """The sources with checkpoints that were made under these settings."""

    async def load(self, number: int) -> Sequence[tuple[Checkpoint, int]]:
        """The checkpoints of one of these sources, each with the home rows up to it."""

    async def keep(self, number: int, cursor: SourceCursor) -> None:
        """Store the progress in a source that is still being read."""

    async def first_open_line(self, number: int) -> int | None:
        """The first line of a source that must be read again, by the ledger; None if there is none."""

    async def first_alone(
        self, number: int, repeats: Callable[[RecordState, str, bytes, bytes | None], bool]
    ) -> int | None:
        """The first line of a source that was a repeat and no longer is; None if all of them still are.

        repeats: called with (state, unique_id, content, first) in a thread of the ledger: whether a duplicate or a
            clash still is one. first: content of the record above it in the same source, None if that is in another
            source.
        """

    async def visit(self, number: int, line: int, homes: int, add: Callable[[str, bytes], object]) -> bool:
        """Call `add`, in a thread of the ledger, with key and content of each home row up to a line.

        Returns False and adds nothing if their number is not `homes`: then some belong to lines that no longer exist.
        """

    async def keep_other_records(self, number: int, line: int) -> tuple[int, int]:
        """Other records up to a line count as met by this run; returns how many there are, and how many invalid."""


class GoneRows(Protocol):
    """The job's rows with a record that is no longer in any source, and with a request that may have left."""

    async def doubtful(self, after: str, size: int) -> Sequence[Doubtful]:
        """Up to `size` of them after a key, in order."""

    async def waiting(self) -> int:
        """How many there are."""

    async def conclude(self, told: Sequence[LookedUp]) -> None:
        """Write the results of the look-ups; leaves a row that changed meanwhile."""


class ImportLedger(JobLedger, Protocol):
    """One run of one import job."""

    @property
    def checkpoints(self) -> Checkpoints:
        """The progress in the sources."""

    @property
    def gone_rows(self) -> GoneRows:
        """Rows that are gone and in doubt."""

    @property
    def chunks(self) -> ChunkLog:
        """Requests under way."""

    @property
    def checks(self) -> VerifyLedger:
        """The job's rows for a check that may write."""

    # --- sources -------------------------------------------------------------------------------

    async def register_sources(self, sources: Iterable[tuple[str, JsonObject]]) -> Sequence[int]:
        """Number the sources (name, facts) by name; a source keeps its number from run to run."""

    async def source_splits(self, but: Set[int] = frozenset()) -> Sequence[SourceSplit]:
        """The sources that the job has read, by number, except some."""

    async def close_sources(self, read: Sequence[tuple[int, JsonObject, SourceCursor | None]]) -> None:
        """These sources are read to their end: number, facts and cursor of each."""

    async def lose_sources(self, gone: Sequence[int]) -> None:
        """These sources no longer exist."""

    def reads(self, sources: Set[int] | None) -> None:
        """This run reads these sources of the job, None for all; copies of its records in the others stay there."""

    def touch_few(self) -> None:
        """This run admits a few records of its sources: other records of earlier runs between them stay."""

    # --- records -------------------------------------------------------------------------------

    async def peek(self, keys: Sequence[str]) -> Mapping[str, tuple[RowState, bytes]]:
        """State and content of the keys that are known.

        A task counts as good in this job even if its record changed in another job.
        """

    async def known(self, keys: Sequence[str]) -> Mapping[str, Known]:
        """Everything that is known about the keys, in any job."""

    async def admit(
        self,
        records: Sequence[Outgoing],
        other_records: Sequence[OtherRecord],
        *,
        now_ms: int,
        recheck: bool = False,
        adopt: bool = False,
    ) -> Sequence[Admission]:
        """Make the intent durable for every record to send; sets `intent_ms` on each.

        now_ms: the platform's clock.
        recheck: conflicts are looked up again.
        adopt: records accept tasks that differ from them.
        Returns one admission per record, in order, after the commit. Keys within `records` are distinct.
        """

    async def record(self, outcomes: Sequence[RowOutcome]) -> None:
        """Write the outcomes of records, or their return to pending; durable when it returns."""

    async def counts(self) -> Mapping[str, int]:
        """Records of the whole job by counted state."""

    async def reopen(self, wanted: Callable[[str, int | None, str], bool]) -> int:
        """Make failed rows pending again if wanted(key, status, reason) holds; returns how many."""

    async def mark_gone(
        self, present: int, is_present: Callable[[str], bool], sources: Collection[int] | None = None
    ) -> int:
        """Flag home rows with a record that the sources no longer hold, clear the others; returns how many are gone.

        present: home rows that this reading met; if these are all rows, there is nothing to check.
        sources: the sources in question, None for all of the job.
        """

    async def retire_sources(self, missing: Collection[int], read: Collection[int]) -> Sequence[int]:
        """Turn those of the missing sources to `gone` that the ones read whole have replaced; returns their numbers.

        Such a source holds no record, and no other place, that is not in one of those, too.
        """

    async def drop_stale_other_records(self, sources: Collection[int] | None = None) -> None:
        """Forget other records that this run did not meet, having read these sources whole. None: all of the job."""

    # --- what was learned ----------------------------------------------------------------------

    async def unechoed_fields(self) -> frozenset[str]:
        """Fields that the platform returns with another value than it received: they are not compared."""

    async def add_unechoed_fields(self, names: Sequence[str]) -> None:
        """Remember such fields for the job."""

    # --- batches and other jobs ----------------------------------------------------------------

    async def remember_batch(self, name: str, project: str | None, *, created: bool) -> None:
        """A batch that exists on the server; `created` when this job made it."""

    async def finalized(self, name: str) -> None:
        """The batch was finalized."""

    async def feeders(self, batches: Collection[str], read: Collection[int]) -> Mapping[str, Sequence[Feeder]]:
        """Jobs of the target that still owe records to each of these batches.

        read: the sources that this job has just read to their end. Of this job only its other sources count: this
            reading knows the records of these better.
        """

    async def jobs_beside(self) -> Sequence[tuple[str, Mapping[str, Any], int]]:
        """(name, settings, tasks) of each other job with tasks that stand for records of this one."""
