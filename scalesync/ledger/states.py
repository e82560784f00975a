"""The moves of a row, pure: what an admitted record may do, given what the ledger knows of its key.

                     admit                          settle
    (no row) ------------------> sending ------------------------> created | adopted | conflict | failed
    pending -------------------> sending ---(not sent after all)-> pending
    sending --- look up first -> sending
    failed --- changed, retry -> sending            created | adopted --- record changed ---> conflict
    any --- verify --fix ------> sending            created | adopted --- task died --------> conflict, and back

`sending` is the durable intent: from it on a request may have left. An interrupted run leaves rows in it; the next
run looks each of them up before it sends anything. While a row is in it, its content stays that of the record it was
made for; another record under the key brings its own with the task (outcomes.py). docs/ledger.md tells the same at
length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalesync.model.contents import batches_apart, covers, open_batch
from scalesync.model.records import Outgoing
from scalesync.model.row_views import Held, Known, Standing
from scalesync.model.rows import CHANGED, FINAL, Gone, OtherRecord, RecordState, RowState, Verb


@dataclass(frozen=True, slots=True)
class Move:
    """What admitting a record does: the verb for the engine and what to write.

    state None: the row stays as it is. takes_over: another job had the row, and either no task with it or no record any
    more. aside: how the record is listed when the row is not this job's. rival: a request for another record, or from
    another job, may be under way, so the row is this record's only once the task is. differences: of the record from
    its task, as far as the contents tell them. accepts: the record is content with the task that the row has, although
    the task was made for another content.
    """

    verb: Verb
    state: RowState | None
    intent_ms: int
    take_content: bool = False
    reason: str | None = None
    was: str | None = None
    takes_over: bool = False
    aside: RecordState | None = None
    rival: bool = False
    differences: Mapping[str, Any] | None = None
    accepts: bool = False


def has_task(state: RowState, reason: str | None) -> bool:
    """Whether the row's content is known to have become a task that lives."""
    return state in FINAL or (state is RowState.CONFLICT and reason == CHANGED)


def stands(state: RowState, reason: str | None, was: str | None, gone: int | None) -> RowState | None:
    """The state that a home row counts as. One whose record is gone counts as its task does, while that lives.

    None: it is superseded. There is no task that anybody waits for, and no record that could become one; it counts as
    gone and as nothing else. A request that may have left is looked up before that is said. `schema.STANDS` says the
    same in SQL.
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


def admit(known: Known | None, content: bytes, now_ms: int, *, recheck: bool, adopt: bool = False) -> Move:
    """Decide one record. recheck: look conflicts up again (another way of handling them was asked for).

    adopt: tasks that differ from their record are accepted as they are.
    """
    if known is None:
        return Move(Verb.SEND, RowState.SENDING, now_ms, take_content=True)
    same = known.content == content
    aside = None if known.home else RecordState.SHARED
    intent_ms = known.intent_ms or now_ms
    match known.state:
        case RowState.FAILED if same:
            return Move(Verb.SKIP, None, intent_ms, aside=aside)
        case RowState.PENDING | RowState.FAILED if same:
            return Move(Verb.SEND, RowState.SENDING, intent_ms, aside=aside, rival=not known.home)
        case RowState.PENDING | RowState.FAILED:
            return Move(Verb.SEND, RowState.SENDING, intent_ms, take_content=True, takes_over=not known.home)
        case RowState.SENDING:
            # Nobody at home waits for a row that is gone: it becomes this record's, and its verdict can be written.
            left = not known.home and known.gone is not None
            return Move(Verb.SETTLE, None, intent_ms, aside=None if left else aside, rival=True, takes_over=left)
        case RowState.CONFLICT:
            if known.reason == CHANGED:
                return _admit_changed(known, content, intent_ms, aside, adopt=adopt)
            return _admit_conflict(known, content, intent_ms, aside, recheck=recheck)
        case _:
            return _admit_final(known, content, intent_ms, aside, adopt=adopt)


def _admit_changed(known: Known, content: bytes, intent_ms: int, aside: RecordState | None, *, adopt: bool) -> Move:
    """The row's task lives, and its home's record has another content. That of another job may be as it was."""
    fits = covers(known.content, content)
    if not fits and not (adopt or _accepted(known, content)):
        return Move(Verb.SKIP, None, intent_ms, aside=aside)
    if not known.home:
        return Move(Verb.SKIP, None, intent_ms, aside=aside, accepts=not fits)
    return Move(Verb.SKIP, RowState(known.was or RowState.CREATED), intent_ms, accepts=not fits)


def _admit_conflict(known: Known, content: bytes, intent_ms: int, aside: RecordState | None, *, recheck: bool) -> Move:
    same = known.content == content
    if same and not recheck:
        return Move(Verb.SKIP, None, intent_ms, aside=aside)
    # Another job's conflict over another record is no doubt of this one's.
    state = RowState.SENDING if same or known.home else None
    return Move(Verb.SETTLE, state, intent_ms, aside=aside, rival=True)


def _admit_final(known: Known, content: bytes, intent_ms: int, aside: RecordState | None, *, adopt: bool) -> Move:
    if covers(known.content, content):
        return Move(Verb.SKIP, None, intent_ms, aside=aside)
    accepted = _accepted(known, content)
    if open_batch(known.content, content) and not accepted:
        return Move(Verb.SETTLE, None, intent_ms, aside=aside, rival=True)
    if known.loose and not accepted:
        # What the task was made for was never known: it may be this.
        return Move(Verb.SETTLE, RowState.SENDING if known.home else None, intent_ms, aside=aside, rival=True)
    if adopt or accepted:
        # The row keeps the content that its task was made for: it is what other records are compared with.
        return Move(Verb.SKIP, None, intent_ms, aside=aside, accepts=True)
    apart = batches_apart(known.content, content)
    if not known.home:
        return Move(Verb.SKIP, None, intent_ms, aside=RecordState.CHANGED, differences=apart)
    was = known.state.value
    return Move(Verb.SKIP, RowState.CONFLICT, intent_ms, reason=CHANGED, was=was, differences=apart)


def _accepted(known: Known, content: bytes) -> bool:
    return known.accepted is not None and covers(known.accepted, content)


def shared_state(known: Known, content: bytes) -> RowState | RecordState:
    """How a record stands that shares the row of another job: as the row, while the row's content is its own.

    Another record may have taken the row over since, or the row's own may have changed after it became the task.
    `schema.TOLD` says the same in SQL.
    """
    accepted = known.ref is not None and _accepted(known, content)
    if accepted and not (has_task(known.state, known.reason) and covers(known.content, content)):
        return RowState.ADOPTED
    if known.state in FINAL and not covers(known.content, content):
        asked = known.loose or open_batch(known.content, content)
        return RowState.SENDING if asked else RecordState.CHANGED
    return known.seen_from_beside if covers(known.content, content) else known.state


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
    told = (stands(state, reason, was, gone), stands(state, reason, was, gone or Gone.GONE))
    return Standing(*(None if one is None else COUNTED[one] for one in told))


def turn(state: RowState, was: str | None, *, dead: bool) -> tuple[RowState, RowState | None]:
    """The row whose own task died, or lives again: its state now, and what it was before.

    A record that changed after its task was made is not forgotten by this: alive again, it is compared once more.
    """
    before = RowState(was or state)
    return (RowState.CONFLICT, before) if dead else (before, None)


def aside_of(row: Held, record: Outgoing) -> OtherRecord:
    """How a record is listed in a job that is not its row's home."""
    if row.state not in FINAL or covers(row.content, record.content):
        return OtherRecord(record.source, record.line, RecordState.SHARED, key=record.key, content=record.content)
    apart = batches_apart(row.content, record.content)
    detail = {"differences": apart} if apart else None
    changed = RecordState.CHANGED
    return OtherRecord(record.source, record.line, changed, key=record.key, detail=detail, content=record.content)
