"""States of rows and records in the ledger, and what is written there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple


class RowState(StrEnum):
    """States of a row; docs/ledger.md draws the moves."""

    PENDING = "pending"  # known, no request has left for it
    SENDING = "sending"  # durable intent; a request may have left, its outcome is not known
    CREATED = "created"
    ADOPTED = "adopted"
    CONFLICT = "conflict"
    FAILED = "failed"


class RecordState(StrEnum):
    """States of a source record that has no row of its own in its job."""

    DUPLICATE = "duplicate"
    CLASH = "clash"
    INVALID = "invalid"
    SHARED = "shared"
    CHANGED = "changed_after_creation"


class RowOutcome(NamedTuple):
    """The end of one row's journey in this run, or its return to pending.

    reason: one sentence for failures and conflicts. detail: JSON-able, such as field differences.
    event: a word for the history when something out of the ordinary happened. content: of the record that it is about,
    as in `Outgoing`; empty stands for whatever the row holds.
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

    detail: JSON-able, such as field differences. content: of a record that is whole, as in `Outgoing`.
    batch: of an invalid one, where it can be told; it is not kept.
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
