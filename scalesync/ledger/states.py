"""The meaning of a row's state, and how records count that have or share a row. Pure, the same for every ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.model.contents import batches_apart, covers, open_batch
from scalesync.model.records import Outgoing
from scalesync.model.row_views import Held, Known, Standing
from scalesync.model.rows import CHANGED, FINAL, Gone, OtherRecord, RecordState, RowState


def has_task(state: RowState, reason: str | None) -> bool:
    """Whether the row's content is known to have a live task."""
    return state in FINAL or (state is RowState.CONFLICT and reason == CHANGED)


def is_loose(state: RowState, detail: Mapping[str, Any] | None) -> bool:
    """Whether the record adopted a task that differs from it."""
    return state is RowState.ADOPTED and bool((detail or {}).get("differences"))


def is_dead(detail: Mapping[str, Any] | None) -> bool:
    """Whether a conflict is about a task that nobody works on."""
    facts = detail or {}
    return facts.get("turned") is not None or "status" in (facts.get("differences") or {})


def is_accepted(accepted: bytes | None, content: bytes) -> bool:
    """Whether a record accepts a task that was made for another content.

    accepted: the content with which this record once accepted the task.
    """
    return accepted is not None and covers(accepted, content)


def stands(state: RowState, reason: str | None, was: str | None, gone: int | None) -> RowState | None:
    """The state that a home row counts as. A row whose record is gone counts as its task, while the task lives.

    None: the row is superseded. It has no task that anybody waits for and no record that could get one, so it counts
    only as gone. If a request may have left, it is looked up first. `views.STANDS` is the same in SQL.
    """
    if gone is None or state in FINAL:
        return state
    if state is RowState.SENDING:
        return _LOOKED_UP[Gone(gone)]
    return RowState(was or RowState.CREATED) if has_task(state, reason) else None


_LOOKED_UP = {
    Gone.GONE: RowState.SENDING,
    Gone.ABSENT: None,
    Gone.CREATED: RowState.CREATED,
    Gone.ADOPTED: RowState.ADOPTED,
}


def shared_state(known: Known, content: bytes) -> RowState | RecordState:
    """The state of a record that shares the row of another job: the row's state, while the row has its content.

    Another record may have taken the row over since, or the row's record may have changed after its task was created.
    `views.SHOWN` is the same in SQL.
    """
    accepted = known.ref is not None and is_accepted(known.accepted, content)
    if accepted and not (has_task(known.state, known.reason) and covers(known.content, content)):
        return RowState.ADOPTED
    if known.state in FINAL and not covers(known.content, content):
        asked = known.loose or open_batch(known.content, content)
        return RowState.SENDING if asked else RecordState.CHANGED
    return known.seen_from_beside if covers(known.content, content) else known.state


def other_record_of(row: Held, record: Outgoing) -> OtherRecord:
    """The entry for a record in a job that is not its row's home."""
    if row.state not in FINAL or covers(row.content, record.content):
        return OtherRecord(record.source, record.line, RecordState.SHARED, key=record.key, content=record.content)
    apart = batches_apart(row.content, record.content)
    detail = {"differences": apart} if apart else None
    changed = RecordState.CHANGED
    return OtherRecord(record.source, record.line, changed, key=record.key, detail=detail, content=record.content)


COUNTED = {
    RowState.PENDING: "pending",
    RowState.SENDING: "pending",
    RowState.CREATED: "created",
    RowState.ADOPTED: "adopted",
    RowState.CONFLICT: "conflicts",
    RowState.FAILED: "failed",
    RecordState.CLASH: "conflicts",
    RecordState.CHANGED: "conflicts",
    RecordState.INVALID: "invalid",
    RecordState.DUPLICATE: "duplicates",
}


def counted_state(state: str) -> str:
    """The name under which the summary counts a state."""
    return {key.value: name for key, name in COUNTED.items()}[state]


def standing_of(state: RowState, reason: str | None, was: str | None, gone: int | None) -> Standing:
    """How a home row with these columns counts."""
    states = (stands(state, reason, was, gone), stands(state, reason, was, gone or Gone.GONE))
    return Standing(*(None if one is None else COUNTED[one] for one in states))


def turn(state: RowState, was: str | None, *, dead: bool) -> tuple[RowState, RowState | None]:
    """The state of a row whose task died or lives again: (state now, state before).

    The state before keeps that a record changed after its task was created. If the task lives again, it is compared
    once more.
    """
    before = RowState(was or state)
    return (RowState.CONFLICT, before) if dead else (before, None)
