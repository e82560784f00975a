"""States of rows and records in the ledger, verbs for the engine, and outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import Any, NamedTuple


class RowState(StrEnum):
    """States of a row; docs/ledger.md draws the moves."""

    PENDING = "pending"  # known, no request has left for it
    SENDING = "sending"  # durable intent; a request may have left, its outcome is not known
    CREATED = "created"
    ADOPTED = "adopted"
    CONFLICT = "conflict"
    FAILED = "failed"


FINAL = frozenset({RowState.CREATED, RowState.ADOPTED})
CHANGED = "changed_after_creation"  # reason of a conflict: the record changed after its task was made


class RecordState(StrEnum):
    """States of a source record that has no row of its own in its job."""

    DUPLICATE = "duplicate"
    CLASH = "clash"
    INVALID = "invalid"
    SHARED = "shared"
    CHANGED = "changed_after_creation"


class Gone(IntEnum):
    """What is known of a row whose record is no longer in any source, as its column `gone` holds it.

    All but the first are about rows in `sending`, which were looked up since. They stay in that state: what comes back
    is compared with the task, which could not be done without a record.
    """

    GONE = 1
    ABSENT = 2  # there is no living task
    CREATED = 3  # there is one, made after the intent
    ADOPTED = 4  # there is one, older than the intent


class Verb(Enum):
    """What to do with an admitted record."""

    SEND = "send"
    LOOK_UP = "look_up"  # first: an earlier request may have arrived
    SKIP = "skip"  # finished before, nothing to do


class Admission(NamedTuple):
    """What the ledger says of one record.

    new: no task is known under this key yet.
    home: the row is this job's.
    adopts: from now on the record accepts a task that was made for another content.
    """

    verb: Verb
    state: RowState
    intent_ms: int
    new: bool
    home: bool
    adopts: bool = False


class RowOutcome(NamedTuple):
    """The end of one row's journey in this run, or its return to pending.

    reason: one sentence for failures and conflicts.
    detail: JSON-able, such as field differences.
    event: a word for the history when something out of the ordinary happened.
    content: of the record that it is about, as in `Outgoing`; empty stands for whatever the row holds.
    """

    key: str
    state: RowState
    ref: str | None = None
    status: int | None = None
    reason: str | None = None
    detail: Mapping[str, Any] | None = None
    attempts: int = 1
    event: str | None = None
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class OtherRecord:
    """A source record that has no row of its own: duplicate, clash, invalid, shared or changed.

    detail: JSON-able, such as field differences.
    content: of a record that is whole, as in `Outgoing`.
    batch: of an invalid one, if known; it is not kept.
    """

    source: int
    line: int
    state: RecordState
    key: str | None = None
    reason: str | None = None
    raw: str | None = None
    detail: Mapping[str, Any] | None = None
    content: bytes | None = None
    batch: str | None = None
