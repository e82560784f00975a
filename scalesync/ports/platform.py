"""A labelling service as the engine and exports see it. It speaks in batches; a record's key is its unique_id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from scalesync.model.outcomes import Comparison, LookupResult, Outcome
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.selection import Selection


class KeyStrength(Enum):
    """What a record's key is worth on a platform: may a lost reply be answered by sending again?"""

    ENFORCED = "enforced"  # the server refuses a second use (Scale): resending is safe
    BY_NAME = "by_name"  # only names are unique (Dataloop): resend after a look-up
    NONE = "none"  # nothing is (Ango Hub): a look-up must precede any resend


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
    look_up_most: int

    async def send(self, records: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Send records; one outcome each, in order. Never raises for an answer of the service."""

    async def look_up(self, keys: Sequence[str]) -> Mapping[str, LookupResult]:
        """Look up to `look_up_most` keys up; every key is in the answer."""

    async def read(self, ref: str) -> LookupResult:
        """Read one task by the platform's own id."""

    def compare(self, record: Outgoing, task: JsonObject) -> Comparison:
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

    async def read(self, ref: str) -> LookupResult:
        """Read one task by the platform's own id."""

    async def page(self, query: Mapping[str, Any], cursor: str | None) -> ListPage:
        """One page of the tasks that match `query`, from an opaque cursor on. Raises RemoteError."""
