"""The moves of a row: how an admission changes it, and how an outcome does. Pure, and the same for every ledger.

                     admit                          record
    (no row) ------------------> sending ------------------------> created | adopted | conflict | failed
    pending -------------------> sending ---(not sent after all)-> pending
    sending --- look up first -> sending
    failed --- changed, retry -> sending            created | adopted --- record changed ---> conflict
    any --- verify --fix ------> sending            created | adopted --- task died --------> conflict, and back

`sending` is the durable intent: a request may have left from now on. An interrupted run leaves rows in this state, and
the next run looks each of them up before it sends anything. A row in this state keeps the content of the record that it
was made for; another record with the same key brings its content only together with its task. docs/ledger.md says more;
`effects` says what an outcome does.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from scalesync.ledger.states import is_accepted
from scalesync.model.contents import batches_apart, covers, open_batch
from scalesync.model.records import Outgoing
from scalesync.model.row_views import Known
from scalesync.model.rows import CHANGED, Admission, OtherRecord, RecordState, RowState, Verb


@dataclass(frozen=True, slots=True)
class Move:
    """The result of an admission: the verb for the engine, and the changes to write.

    state: None leaves the row as it is.
    takes_over: another job had the row, and has either no task with it or no record left.
    listed_as: how the record is listed if the row is not this job's.
    rival: a request for another record, or from another job, may be under way. So the row belongs to this record only
        once its task does.
    differences: of the record from its task, if their contents show any.
    accepts: the record accepts the row's task, although the task was made for another content.
    """

    verb: Verb
    state: RowState | None
    intent_ms: int
    take_content: bool = False
    reason: str | None = None
    was: str | None = None
    takes_over: bool = False
    listed_as: RecordState | None = None
    rival: bool = False
    differences: Mapping[str, Any] | None = None
    accepts: bool = False


def admit(known: Known | None, content: bytes, now_ms: int, *, recheck: bool, adopt: bool = False) -> Move:
    """Decide the move of one record.

    recheck: look conflicts up again, because the run handles them in another way than the run before.
    adopt: accept tasks that differ from their record.
    """
    if known is None:
        return Move(Verb.SEND, RowState.SENDING, now_ms, take_content=True)
    same = known.content == content
    listed_as = None if known.home else RecordState.SHARED
    intent_ms = known.intent_ms or now_ms
    match known.state:
        case RowState.FAILED if same:
            return Move(Verb.SKIP, None, intent_ms, listed_as=listed_as)
        case RowState.PENDING | RowState.FAILED if same:
            return Move(Verb.SEND, RowState.SENDING, intent_ms, listed_as=listed_as, rival=not known.home)
        case RowState.PENDING | RowState.FAILED:
            return Move(Verb.SEND, RowState.SENDING, intent_ms, take_content=True, takes_over=not known.home)
        case RowState.SENDING:
            # The home has no record left for this row, so the row becomes this record's and can take its outcome.
            left = not known.home and known.gone is not None
            return Move(
                Verb.LOOK_UP, None, intent_ms, listed_as=None if left else listed_as, rival=True, takes_over=left
            )
        case RowState.CONFLICT:
            if known.reason == CHANGED:
                return _admit_changed(known, content, intent_ms, listed_as, adopt=adopt)
            return _admit_conflict(known, content, intent_ms, listed_as, recheck=recheck)
        case _:
            return _admit_final(known, content, intent_ms, listed_as, adopt=adopt)


def _admit_changed(known: Known, content: bytes, intent_ms: int, listed_as: RecordState | None, *, adopt: bool) -> Move:
    """Decide for a row whose task lives and whose home record changed. Another job may still have the old record."""
    fits = covers(known.content, content)
    if not fits and not (adopt or is_accepted(known.accepted, content)):
        return Move(Verb.SKIP, None, intent_ms, listed_as=listed_as)
    if not known.home:
        return Move(Verb.SKIP, None, intent_ms, listed_as=listed_as, accepts=not fits)
    return Move(Verb.SKIP, RowState(known.was or RowState.CREATED), intent_ms, accepts=not fits)


def _admit_conflict(
    known: Known, content: bytes, intent_ms: int, listed_as: RecordState | None, *, recheck: bool
) -> Move:
    same = known.content == content
    if same and not recheck:
        return Move(Verb.SKIP, None, intent_ms, listed_as=listed_as)
    # A conflict of another job over another record says nothing about this record.
    state = RowState.SENDING if same or known.home else None
    return Move(Verb.LOOK_UP, state, intent_ms, listed_as=listed_as, rival=True)


def _admit_final(known: Known, content: bytes, intent_ms: int, listed_as: RecordState | None, *, adopt: bool) -> Move:
    if covers(known.content, content):
        return Move(Verb.SKIP, None, intent_ms, listed_as=listed_as)
    accepted = is_accepted(known.accepted, content)
    if open_batch(known.content, content) and not accepted:
        return Move(Verb.LOOK_UP, None, intent_ms, listed_as=listed_as, rival=True)
    if known.loose and not accepted:
        # The content of the task was never known, so the task may be this record's.
        return Move(Verb.LOOK_UP, RowState.SENDING if known.home else None, intent_ms, listed_as=listed_as, rival=True)
    if adopt or accepted:
        # The row keeps the content of its task, because other records are compared with that.
        return Move(Verb.SKIP, None, intent_ms, listed_as=listed_as, accepts=True)
    apart = batches_apart(known.content, content)
    if not known.home:
        return Move(Verb.SKIP, None, intent_ms, listed_as=RecordState.CHANGED, differences=apart)
    was = known.state.value
    return Move(Verb.SKIP, RowState.CONFLICT, intent_ms, reason=CHANGED, was=was, differences=apart)


def admission(known: Known, move: Move, content: bytes) -> Admission:
    """The admission of a record with a known key."""
    adopts = move.accepts and not is_accepted(known.accepted, content)
    home = known.home or move.takes_over
    return Admission(move.verb, move.state or known.state, move.intent_ms, new=False, home=home, adopts=adopts)


def accepts_again(known: Known, move: Move, content: bytes) -> bool:
    """Whether a record that is asked once more accepts its task as it may have become since."""
    loose = known.home and known.loose and covers(known.content, content)
    return move.verb is Verb.SKIP and (loose or is_accepted(known.accepted, content))


def left_behind(reads: Set[int], known: Known, record: Outgoing) -> OtherRecord | None:
    """The entry for the same record in a source that this run does not read. The row moves to the record that is read.

    reads: the sources that the run reads.
    """
    if known.place[0] in reads or known.gone is not None:
        return None
    if known.content != record.content:
        return None  # an older form of the record, which this one replaces
    return OtherRecord(*known.place, RecordState.DUPLICATE, record.key, content=known.content)


def displaced(state: RowState, gone: int | None, was: bytes, content: bytes) -> RecordState | None:
    """How a record is listed after a record of another job took its row over.

    was: its content.
    content: the content of the other record.
    Returns None if it is not listed: it is gone, and another record may be listed at its place.
    """
    if gone:
        return None
    return RecordState.CHANGED if state is RowState.CONFLICT and not covers(content, was) else RecordState.SHARED
