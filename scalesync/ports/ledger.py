"""The ledger as one run of one job sees it. No row id of a database leaves the ledger."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.rows import Admission, OtherRecord, RowOutcome, RowState


class JobLedger(Protocol):
    """The ledger as one run of one job may use it; every write is fenced by the run's lease."""

    async def register_splits(self, kind: str, splits: Iterable[tuple[str, JsonObject]]) -> Sequence[int]:
        """Number splits (source files, slices) by name; a split keeps its number from run to run."""

    async def peek(self, keys: Sequence[str]) -> Mapping[str, tuple[RowState, bytes]]:
        """State and content of known keys; writes nothing."""

    async def admit(
        self,
        records: Sequence[Outgoing],
        asides: Sequence[OtherRecord],
        *,
        now_ms: int,
        recheck: bool = False,
        adopt: bool = False,
    ) -> Sequence[Admission]:
        """Make the intent to send durable; returns after the commit, one admission per record."""

    async def record(self, settled: Sequence[RowOutcome]) -> None:
        """Record ends (or returns to pending); durable when it returns."""

    async def counts(self) -> Mapping[str, int]:
        """Records of the whole job by counted state."""

    async def reopen(self, wanted: Callable[[str, int | None, str], bool]) -> int:
        """Failed rows for which wanted(key, status, reason) holds become pending again; returns how many."""

    async def mark_gone(
        self, present: int, is_present: Callable[[str], bool], sources: Collection[int] | None = None
    ) -> int:
        """Flag rows of this job whose record no longer stands in the source; returns how many."""

    async def finish(
        self, *, complete: bool, exit_code: int, figures: Mapping[str, Any], message: str | None = None
    ) -> None:
        """End the run and give the lease back. message: the sentence that it ends with; None for work beside it."""
