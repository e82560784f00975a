"""The ledger for one run of one job of `scalesync apply`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from scalesync.model.changes import Change, ChangeOutcome, ChangeState, StoredChange
from scalesync.model.records import JsonObject
from scalesync.model.rows import OtherRecord
from scalesync.ports.job_ledger import JobLedger


class ChangeLedger(JobLedger, Protocol):
    """The changes of a job. First they are collected, all of them; then they are sent.

    A task has one change in a job. Of several rows that name it, the last one counts.
    """

    async def register_sources(self, sources: Iterable[tuple[str, JsonObject]]) -> Sequence[int]:
        """Number the sources (name, facts) of changes by name; a source keeps its number from run to run."""

    async def refs(self, keys: Sequence[str]) -> Mapping[str, str]:
        """The tasks that rows of this job named by these keys, by key; without the keys that it has not met.

        A change may take the key from its task, so a later look-up finds none, or another task.
        """

    async def collect(self, changes: Sequence[Change]) -> int:
        """Keep changes as pending; returns how many name a task that an earlier row of this collection named.

        A change that was sent, or is finished, stays as it is until the collection ends. Durable when it returns.
        """

    async def set_aside(self, rows: Sequence[OtherRecord]) -> None:
        """Keep rows that name nothing, or cannot be used, as invalid, until the next `clear`."""

    async def collected(self, figures: Mapping[str, int]) -> int:
        """All rows are read: `collection` returns these figures from now on, `duplicates` among them.

        A change whose row asks for something else is pending again, in the new form, once it is known what came of it.
        Returns how many stay although their row asks for something else, because that is not known.
        """

    async def collection(self) -> Mapping[str, int] | None:
        """The figures of the finished collection; None before it is finished."""

    async def clear(self) -> None:
        """Forget pending changes, and rows that were set aside, before they are collected again."""

    async def waiting(self, after: str, size: int) -> Sequence[StoredChange]:
        """Up to `size` changes in `pending` or `sending` whose ref follows `after`, by ref."""

    async def intend(self, refs: Sequence[str]) -> None:
        """Requests may leave for these pending changes: they are in `sending`. Durable when it returns."""

    async def record(self, outcomes: Sequence[ChangeOutcome]) -> None:
        """Write the outcomes of changes; durable when it returns. The first end of a change counts."""

    async def counts(self) -> Mapping[str, int]:
        """Changes of the job by state, every state named, and rows set aside as `invalid`."""

    async def pages(self, states: Collection[ChangeState], after: str, size: int) -> Sequence[StoredChange]:
        """Up to `size` changes in these states whose ref follows `after`, by ref."""

    async def reopen(self, wanted: Callable[[str, int | None, str], bool]) -> int:
        """Make failed changes pending again if wanted(ref, status, reason) holds; returns how many."""
