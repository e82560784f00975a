"""A change of one task or batch on its way to the platform, and its states in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from scalesync.model.records import JsonObject


class ChangeState(StrEnum):
    """States of a change; docs/ledger.md draws the moves."""

    PENDING = "pending"  # known, no request has left for it
    SENDING = "sending"  # durable intent; a request may have left, its outcome is not known
    APPLIED = "applied"
    UNCHANGED = "unchanged"  # the task was so already
    FAILED = "failed"
    UNCLEAR = "unclear"  # it may have been carried out, must not be repeated, and cannot be seen


@dataclass(frozen=True, slots=True)
class Change:
    """One task or batch to change.

    ref: the platform's id of the task, or the name of the batch.
    key: the unique_id by which a row named the task; None if it named the id.
    arguments: of the change.
    source, line: where the row stands; 0 and its number where no file names it.
    expected: what a plan showed before the change; None without a plan.
    """

    ref: str
    key: str | None
    arguments: JsonObject
    source: int
    line: int
    expected: JsonObject | None = None


class StoredChange(NamedTuple):
    """A change as the ledger holds it."""

    change: Change
    state: ChangeState
    attempts: int = 0
    status: int | None = None
    reason: str | None = None


class ChangeOutcome(NamedTuple):
    """The end of one change in this run, its return to pending, or that it is still in doubt (`sending`).

    status: of the reply, None without one.
    reason: one sentence for failures and what stays unclear.
    """

    ref: str
    state: ChangeState
    status: int | None = None
    reason: str | None = None
    attempts: int = 0
    event: str | None = None
