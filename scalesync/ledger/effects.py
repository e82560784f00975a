"""The effect of an outcome on a row and on the records beside it, pure. The same for every ledger.

An outcome is about the content that was sent. Nearly always the row still holds that content and has no known task, and
takes the outcome. In all other cases, and for a record that was admitted beside another run's intent, the row as it is
now decides. It belongs to the record that became the task: this record takes it over with content, job and place, and
the record that had it is listed beside it. An outcome against a record leaves the row where it belongs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from scalesync.ledger.states import has_task, is_accepted, is_dead, is_loose
from scalesync.model.contents import covers, open_batch
from scalesync.model.rows import CHANGED, FINAL, OtherRecord, RecordState, RowOutcome, RowState

_AGAINST = frozenset({RowState.CONFLICT, RowState.FAILED})


@dataclass(frozen=True, slots=True)
class Rival:
    """A record that was admitted while a request for another record with its key may have been under way.

    place: its source and line.
    moved: the row held no earlier intent, so this record's own intent can be taken back.
    """

    place: tuple[int, int]
    moved: bool


@dataclass(frozen=True, slots=True)
class RowNow:
    """The row when an outcome arrives.

    home: whether it is a home row of the job.
    loose: as in `Known`.
    status: the status in the row.
    """

    state: RowState
    content: bytes
    reason: str | None
    status: int | None
    loose: bool
    home: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """The changes that an outcome writes, in this order.

    listed: the entry of the record, beside a row of another job or of another record.
    accepts: the record accepts the task, although it was made for another content.
    takes_over: the row becomes the record's with content, job and place; the record that had it is listed beside it.
    takes_content: the row gets the content of the outcome.
    takes_ref: the row gets only the task's id.
    row: the new state of the row; None leaves it as it is. A ref of None leaves the row's ref, and attempts are added.
    """

    listed: OtherRecord | None = None
    accepts: bool = False
    takes_over: bool = False
    takes_content: bool = False
    takes_ref: bool = False
    row: RowOutcome | None = None


def as_accepted(end: RowOutcome, accepted: bytes | None) -> RowOutcome:
    """The outcome without a conflict that the record has accepted before. A dead task stays a conflict.

    accepted: the content with which a record of this job accepted this very task.
    """
    if end.state is not RowState.CONFLICT or is_dead(end.detail) or not is_accepted(accepted, end.content):
        return end
    return end._replace(state=RowState.ADOPTED, event=None)


def record(row: RowNow, end: RowOutcome, rival: Rival | None, listed_at: tuple[int, int] | None = None) -> Effect:
    """Decide one outcome.

    rival: None for a record that had the row alone when it was admitted.
    listed_at: source and line of such a record if the row was taken over since. None if another record is listed at
        its place by now, because a row that this run had not met yet was taken over too.
    """
    if rival is None and takes(row, end):
        effect = Effect(row=end)
    elif rival is None and not row.home:
        effect = Effect() if listed_at is None else _effect(row, _filled(row, end), Rival(listed_at, moved=True))
    else:
        effect = _effect(row, _filled(row, end), rival)
    return replace(effect, accepts=True) if is_loose(end.state, end.detail) else effect


def _filled(row: RowNow, end: RowOutcome) -> RowOutcome:
    return end if end.content else end._replace(content=row.content)


def takes(row: RowNow, end: RowOutcome) -> bool:
    """Whether a row takes the outcome of a record that had it alone: it has no known task, and still holds the record.

    A row with a known task stays as it is. If two jobs send the same record at once, the later outcome must not undo
    the earlier one. A row also takes no outcome of a record that it does not hold.
    """
    return row.state not in FINAL and row.reason != CHANGED and end.content in (row.content, b"")


def _effect(row: RowNow, end: RowOutcome, rival: Rival | None) -> Effect:
    # If the row was taken over meanwhile, an older form of this record may be listed beside it as shared.
    shared = None if row.home else _beside(end, rival, RecordState.SHARED)
    if has_task(row.state, row.reason):
        if row.loose and not covers(row.content, end.content):
            return _compared_with_task(row, end, rival, shared)
        return _compared_with_row(row, end, rival, shared)
    same = row.content == end.content
    if is_loose(end.state, end.detail) and not row.home and not same and row.state is RowState.SENDING:
        # Only the record in the row can decide whose task it is, because its request may have created the task.
        return Effect(listed=shared, takes_ref=True)
    if end.state in FINAL:
        return Effect(listed=shared, takes_over=not same and rival is not None, row=end)
    if not same and row.home and end.state in _AGAINST:
        return Effect(takes_content=True, row=end)
    if not same or (end.state is RowState.PENDING and rival is not None and not rival.moved):
        differs = not row.home and end.state is RowState.CONFLICT
        return Effect(listed=_beside(end, rival, RecordState.CHANGED) if differs else shared)
    return Effect(listed=shared, row=end)


def _compared_with_row(row: RowNow, end: RowOutcome, rival: Rival | None, shared: OtherRecord | None) -> Effect:
    """Compare with the row: it has its task by now, or had it before and only the task's batch was open."""
    unasked = open_batch(row.content, end.content)
    if end.state in FINAL:
        accepts = not unasked and not covers(row.content, end.content)
        return Effect(listed=shared, accepts=accepts, takes_content=unasked)
    if covers(row.content, end.content) or (unasked and end.state not in _AGAINST):
        return Effect(listed=shared)
    if row.home and row.state in FINAL:
        detail = {"was": row.state.value, **(end.detail or {})}
        changed = RowOutcome(end.key, RowState.CONFLICT, status=row.status, reason=CHANGED, detail=detail, attempts=0)
        return Effect(row=changed)
    return Effect(listed=_beside(end, rival, RecordState.CHANGED))


def _compared_with_task(row: RowNow, end: RowOutcome, rival: Rival | None, shared: OtherRecord | None) -> Effect:
    """Compare with the task: the row's record adopted a task that differs from it, so its content proves nothing."""
    against = end.state in _AGAINST
    if end.state in FINAL:
        return Effect(listed=shared, accepts=True)
    if row.home:
        # The task was made by somebody else, so this record is in conflict with it or in doubt.
        state = end.state if against else RowState.SENDING
        return Effect(takes_content=against, row=end._replace(state=state, ref=None, attempts=0))
    return Effect(listed=_beside(end, rival, RecordState.CHANGED) if against else shared)


def _beside(end: RowOutcome, rival: Rival | None, state: RecordState) -> OtherRecord | None:
    """The entry of the record at its place; None if it was already listed when its row was taken over."""
    if rival is None:
        return None
    shared = OtherRecord(*rival.place, state, end.key, content=end.content)
    return shared if state is RecordState.SHARED else replace(shared, reason=end.reason, detail=end.detail)
