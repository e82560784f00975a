"""The moves of a row, pure: what admitting a record does to it, and what an outcome does. The same for every ledger.

                     admit                          record
    (no row) ------------------> sending ------------------------> created | adopted | conflict | failed
    pending -------------------> sending ---(not sent after all)-> pending
    sending --- look up first -> sending
    failed --- changed, retry -> sending            created | adopted --- record changed ---> conflict
    any --- verify --fix ------> sending            created | adopted --- task died --------> conflict, and back

`sending` is the durable intent: from it on a request may have left. An interrupted run leaves rows in it; the next
run looks each of them up before it sends anything. While a row is in it, its content stays that of the record it was
made for; another record under the key brings its own with the task. docs/ledger.md says more.

An outcome is about the content that was sent. The row takes it while it holds that content and no task is known: nearly
always. What is left, and whatever was admitted beside another run's intent, is decided by what the row holds now: it
belongs to the record that became the task, which takes it over, content, job and place, and the record that had it is
listed beside it. An outcome against a record leaves the row to those it belongs to.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

from scalesync.ledger.states import has_task, is_accepted, is_dead, is_loose
from scalesync.model.contents import batches_apart, covers, open_batch
from scalesync.model.records import Outgoing
from scalesync.model.row_views import Known
from scalesync.model.rows import CHANGED, FINAL, Admission, OtherRecord, RecordState, RowOutcome, RowState, Verb

_AGAINST = frozenset({RowState.CONFLICT, RowState.FAILED})

# --- admitting -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Move:
    """What admitting a record does: the verb for the engine and what to write.

    state None: the row stays as it is.

    takes_over: another job had the row, and either no task with it or no record left.
    aside: how the record is listed when the row is not this job's.
    rival: a request for another record, or from another job, may be under way, so the row is this record's only once
        the task is.
    differences: of the record from its task, as the contents show them.
    accepts: the record is content with the task that the row has, although the task was made for another content.
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


def admit(known: Known | None, content: bytes, now_ms: int, *, recheck: bool, adopt: bool = False) -> Move:
    """Decide one record.

    recheck: look conflicts up again (another way of handling them was asked for).
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
            # Nobody at home waits for a row that is gone: it becomes this record's, and its outcome can be written.
            left = not known.home and known.gone is not None
            return Move(Verb.LOOK_UP, None, intent_ms, aside=None if left else aside, rival=True, takes_over=left)
        case RowState.CONFLICT:
            if known.reason == CHANGED:
                return _admit_changed(known, content, intent_ms, aside, adopt=adopt)
            return _admit_conflict(known, content, intent_ms, aside, recheck=recheck)
        case _:
            return _admit_final(known, content, intent_ms, aside, adopt=adopt)


def _admit_changed(known: Known, content: bytes, intent_ms: int, aside: RecordState | None, *, adopt: bool) -> Move:
    """The row's task lives, and its home's record has another content. That of another job may be as it was."""
    fits = covers(known.content, content)
    if not fits and not (adopt or is_accepted(known.accepted, content)):
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
    return Move(Verb.LOOK_UP, state, intent_ms, aside=aside, rival=True)


def _admit_final(known: Known, content: bytes, intent_ms: int, aside: RecordState | None, *, adopt: bool) -> Move:
    if covers(known.content, content):
        return Move(Verb.SKIP, None, intent_ms, aside=aside)
    accepted = is_accepted(known.accepted, content)
    if open_batch(known.content, content) and not accepted:
        return Move(Verb.LOOK_UP, None, intent_ms, aside=aside, rival=True)
    if known.loose and not accepted:
        # What the task was made for was never known: it may be this.
        return Move(Verb.LOOK_UP, RowState.SENDING if known.home else None, intent_ms, aside=aside, rival=True)
    if adopt or accepted:
        # The row keeps the content that its task was made for: it is what other records are compared with.
        return Move(Verb.SKIP, None, intent_ms, aside=aside, accepts=True)
    apart = batches_apart(known.content, content)
    if not known.home:
        return Move(Verb.SKIP, None, intent_ms, aside=RecordState.CHANGED, differences=apart)
    was = known.state.value
    return Move(Verb.SKIP, RowState.CONFLICT, intent_ms, reason=CHANGED, was=was, differences=apart)


def admission(known: Known, move: Move, content: bytes) -> Admission:
    """What the run learns of a record whose key was known."""
    adopts = move.accepts and not is_accepted(known.accepted, content)
    home = known.home or move.takes_over
    return Admission(move.verb, move.state or known.state, move.intent_ms, new=False, home=home, adopts=adopts)


def accepts_again(known: Known, move: Move, content: bytes) -> bool:
    """Whether a record that is asked once more accepts its task as it may have become since."""
    loose = known.home and known.loose and covers(known.content, content)
    return move.verb is Verb.SKIP and (loose or is_accepted(known.accepted, content))


def left_behind(reads: Set[int], known: Known, record: Outgoing) -> OtherRecord | None:
    """The same record in a source that this run does not read: the row goes with the record that is met, it stays.

    reads: the sources that the run reads.
    """
    if known.place[0] in reads or known.gone is not None:
        return None
    if known.content != record.content:
        return None  # an older form of the record, which the one named later takes the place of
    return OtherRecord(*known.place, RecordState.DUPLICATE, record.key, content=known.content)


def displaced(state: RowState, gone: int | None, was: bytes, content: bytes) -> RecordState | None:
    """How the record is listed whose row another job's record takes over.

    was, content: theirs.

    None: not at all. Its place is no longer its own, what stands there now may be listed under it.
    """
    if gone:
        return None
    return RecordState.CHANGED if state is RowState.CONFLICT and not covers(content, was) else RecordState.SHARED


# --- outcomes ------------------------------------------------------------------------------------


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
