"""The ledger for one run of one job of `scalesync apply`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from scalesync.model.changes import Change, ChangeOutcome, ChangeState, StoredChange
from scalesync.ports.job_ledger import JobLedger


class ChangeLedger(JobLedger, Protocol):
    """The changes of a job. First they are collected, all of them; then they are sent.

    A task has one change in a job. Of several rows that name it, the last one counts, as long as none was sent.
    """

    async def collect(self, changes: Sequence[Change]) -> int:
        """Keep these changes as pending; returns how many of them name a task that an earlier one named.

        A change that was sent, or is finished, stays as it is. Durable when it returns.
        """

    async def collected(self, figures: Mapping[str, int]) -> None:
        """All rows are read: `collection` returns these figures from now on."""

    async def collection(self) -> Mapping[str, int] | None:
        """The figures of a finished collection; None if it was never finished."""

    async def clear(self) -> None:
        """Forget changes that were never sent, before they are collected again."""

    async def waiting(self, after: str, size: int) -> Sequence[StoredChange]:
        """Up to `size` changes in `pending` or `sending` whose ref follows `after`, by ref."""

    async def intend(self, refs: Sequence[str]) -> None:
        """Requests may leave for these pending changes: they are in `sending`. Durable when it returns."""

    async def record(self, outcomes: Sequence[ChangeOutcome]) -> None:
        """Write the outcomes of changes, or their return to pending; durable when it returns."""

    async def counts(self) -> Mapping[str, int]:
        """Changes of the job by state, every state named."""

    async def pages(self, states: Collection[ChangeState], after: str, size: int) -> Sequence[StoredChange]:
        """Up to `size` changes in these states whose ref follows `after`, by ref."""

    async def reopen(self, wanted: Callable[[str, int | None, str], bool]) -> int:
        """Make failed changes pending again if wanted(ref, status, reason) holds; returns how many."""
