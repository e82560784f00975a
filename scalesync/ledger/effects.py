"""The effect of an outcome on a row and on the records beside it, pure. The same for every ledger.

An outcome is about the content that was sent. The row takes it while it holds that content and no task is known: nearly
always. What is left, and whatever was admitted beside another run's intent, is decided by what the row holds now: it
belongs to the record that became the task, which takes it over, content, job and place, and the record that had it is
listed beside it. An outcome against a record leaves the row to those it belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from scalesync.ledger.states import has_task, is_accepted, is_dead, is_loose
from scalesync.model.contents import covers, open_batch
from scalesync.model.rows import CHANGED, FINAL, OtherRecord, RecordState, RowOutcome, RowState

_AGAINST = frozenset({RowState.CONFLICT, RowState.FAILED})


@dataclass(frozen=True, slots=True)
class Rival:
    """A record that was admitted while another one under its key may have been under way.

    place: its source and line.
    moved: no intent stood in the row, so it can be taken back.
    """

    place: tuple[int, int]
    moved: bool


@dataclass(frozen=True, slots=True)
class RowNow:
    """The row as an outcome finds it.

    home: it is the job's own.
    loose: as of `Known`.
    status: that it holds.
    """

    state: RowState
    content: bytes
    reason: str | None
    status: int | None
    loose: bool
    home: bool


@dataclass(frozen=True, slots=True)
class Effect:
    """What an outcome writes, in this order.

    listed: the record, beside a row that is not its job's, or that another record has.
    accepts: the record is content with the outcome's task although that was made for another content.
    takes_over: the row becomes the record's, content, job and place; the one that had it is listed beside it.
    takes_content: the row gets the content that the outcome is about.
    takes_ref: nothing is known of the row but its task.
    row: what it becomes, None: it stays as it is; a ref of None leaves the row's, attempts are added to those that it
        has.
    """

    listed: OtherRecord | None = None
    accepts: bool = False
    takes_over: bool = False
    takes_content: bool = False
    takes_ref: bool = False
    row: RowOutcome | None = None


def as_accepted(end: RowOutcome, accepted: bytes | None) -> RowOutcome:
    """A record that once accepted a task is not in conflict with it, unless the task died.

    accepted: the content of the job's record that accepted the very task that the outcome is about.
    """
    if end.state is not RowState.CONFLICT or is_dead(end.detail) or not is_accepted(accepted, end.content):
        return end
    return end._replace(state=RowState.ADOPTED, event=None)


def record(row: RowNow, end: RowOutcome, rival: Rival | None, listed_at: tuple[int, int] | None = None) -> Effect:
    """Decide one outcome.

    rival: None for a record that had the row alone when it was admitted.
    listed_at: where such a record is listed beside a row that was taken over since, source and line; None when another
        record stands at its place by now, a row that this run had not met yet, taken over too.
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
    """Whether a row takes the outcome of a record that had it alone: no task is known, and the record is still its own.

    A row whose task is known stays as it is: of two jobs that send the same record at once, the later one cannot take
    back what the earlier one found. Nor does a row take what was found out about another record than it holds.
    """
    return row.state not in FINAL and row.reason != CHANGED and end.content in (row.content, b"")


def _effect(row: RowNow, end: RowOutcome, rival: Rival | None) -> Effect:
    # Taken over meanwhile, the row may be listed as shared by an older form of this record.
    shared = None if row.home else _beside(end, rival, RecordState.SHARED)
    if has_task(row.state, row.reason):
        if row.loose and not covers(row.content, end.content):
            return _compared_with_task(row, end, rival, shared)
        return _compared_with_row(row, end, rival, shared)
    same = row.content == end.content
    if is_loose(end.state, end.detail) and not row.home and not same and row.state is RowState.SENDING:
        # Whose task it is, only the record in the row can tell: its request may be the one that made it.
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
    """The row has its task meanwhile, or had it before and only the task's batch was to be asked for."""
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
    """The row's task was adopted by a record that it was not made for; this one was compared with the task itself."""
    against = end.state in _AGAINST
    if end.state in FINAL:
        return Effect(listed=shared, accepts=True)
    if row.home:
        # It was a stranger's task, so this is a conflict like any other, or a doubt.
        state = end.state if against else RowState.SENDING
        return Effect(takes_content=against, row=end._replace(state=state, ref=None, attempts=0))
    return Effect(listed=_beside(end, rival, RecordState.CHANGED) if against else shared)


def _beside(end: RowOutcome, rival: Rival | None, state: RecordState) -> OtherRecord | None:
    """The record at its place; None for one that was listed when its row was taken over."""
    if rival is None:
        return None
    shared = OtherRecord(*rival.place, state, end.key, content=end.content)
    return shared if state is RecordState.SHARED else replace(shared, reason=end.reason, detail=end.detail)
