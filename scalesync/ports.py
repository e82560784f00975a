"""The protocols the engine and the flows call. Nothing here knows HTTP, SQLite or a file format.

A platform package implements `Platform`; a ledger implements `Ledger` and `JobLedger`. Both speak in batches:
a record's key is its unique_id, and no row id of a database leaves the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, Protocol

from scalesync.model import (
    Aside,
    Finding,
    JsonObject,
    Outcome,
    Outgoing,
    RequestClass,
    RowState,
    Selection,
    Settled,
    Target,
    Verdict,
)


class KeyStrength(Enum):
    """What a record's key is worth on a platform: may a lost reply be answered by sending again?"""

    ENFORCED = "enforced"  # the server refuses a second use (Scale): resending is safe
    BY_NAME = "by_name"  # only names are unique (Dataloop): resend after a look-up
    NONE = "none"  # nothing is (Ango Hub): a look-up must precede any resend


class Pacing(Protocol):
    """Asked at the hand-over to the socket, told afterwards how it went."""

    async def admit(self, request: RequestClass) -> None:
        """Wait until an attempt of this class may leave."""

    def width(self, request: RequestClass) -> int:
        """How many requests of this class may be in flight now."""

    @property
    def in_flight(self) -> int:
        """Requests handed to the network and not yet answered."""


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of tasks. documents: raw bytes of each task as sent. cursor: opaque, None at the end.

    total: how many tasks match the query, None when the platform does not say.
    """

    documents: Sequence[bytes]
    cursor: str | None
    total: int | None


class Platform(Protocol):
    """One labelling service, seen by the engine. Batch first: a send carries up to `send_batch` records."""

    key_strength: KeyStrength
    send_batch: int
    settle_batch: int

    async def send(self, records: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Send records; one outcome each, in order. Never raises for an answer of the service."""

    async def settle(self, keys: Sequence[str]) -> Mapping[str, Finding]:
        """Look up to `settle_batch` keys up; every key is in the answer."""

    async def read(self, ref: str) -> Finding:
        """Read one task by the platform's own id."""

    def judge(self, record: Outgoing, task: JsonObject) -> Verdict:
        """Compare a record with a task found under its key."""

    async def release(self, ref: str) -> Outcome:
        """Free the key of a dead task, so that the record can be sent again."""

    @property
    def server_now_ms(self) -> int:
        """The service's clock, as far as its replies tell; the local clock before the first reply."""


class TaskView(Protocol):
    """What an export reads of one raw task."""

    task_id: str
    updated_at: str | None

    def get(self, name: str, /) -> Any:
        """A member by name."""

    def created_ms(self) -> int:
        """When it was created, ms since the epoch."""

    def updated_ms(self) -> int:
        """When it was changed last, ms since the epoch; its creation when the service does not say."""

    def times(self) -> Mapping[str, int]:
        """created, updated, completed in ms since the epoch; 0 when missing."""

    def urls(self) -> Iterator[tuple[str, str]]:
        """(place in the task, URL) of each result file."""


class TaskLister(Protocol):
    """The part of a platform that exports need."""

    def query(self, selection: Selection, page_size: int) -> Mapping[str, Any]:
        """A selection as the query that `page` takes."""

    def head(self, document: bytes) -> TaskView:
        """Read the head of one raw task."""

    async def read(self, ref: str) -> Finding:
        """Read one task by the platform's own id."""

    async def page(self, query: Mapping[str, Any], cursor: str | None) -> ListPage:
        """One page of the tasks that match `query`, from an opaque cursor on. Raises RemoteError."""


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
        asides: Sequence[Aside],
        *,
        now_ms: int,
        recheck: bool = False,
        adopt: bool = False,
    ) -> Sequence[Admission]:
        """Make the intent to send durable; returns after the commit, one admission per record."""

    async def settle(self, settled: Sequence[Settled]) -> None:
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
