"""The ledger as one run of one job sees it. No row id of a database leaves the ledger."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, Protocol

from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.rows import OtherRecord, RowOutcome, RowState
from scalesync.model.targets import Target


class Verb(Enum):
    """What to do with an admitted record."""

    SEND = "send"
    SETTLE = "settle"  # an earlier request may have arrived: look it up first
    SKIP = "skip"  # finished before, nothing to do


class Admission(NamedTuple):
    """What the ledger says of one record. new: no task is known under this key yet. home: the row is this job's.

    adopts: from now on the record accepts a task that was made for another content.
    """

    verb: Verb
    state: RowState
    intent_ms: int
    new: bool
    home: bool
    adopts: bool = False


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job as named or derived. identity: what the name is bound to; settings: may change between runs."""

    name: str
    command: str
    target: Target
    identity: Mapping[str, Any]
    settings: Mapping[str, Any]


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
