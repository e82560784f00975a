"""The ends of records that were not alone under their key: two jobs, or an older form of the record, sent it too.

The row belongs to the record that became the task. So a rival takes the row over, content, job and place, when the task
is its own; the record that had the row is listed beside it then, as changed. A rival that is refused leaves the row to
those it belongs to.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from scalesync.ledger.rows import Place, Rival, write_asides
from scalesync.ledger.states import CHANGED, FINAL, Known, covers, open_batch
from scalesync.model import Aside, RecordState, RowState, Settled


def settle_rivals(db: sqlite3.Connection, place: Place, settled: Sequence[tuple[Settled, Rival]]) -> list[Settled]:
    """Write what is special about the ends of rivals; returns those that are to be written to their rows as well."""
    return [end for end, rival in settled if _settle(db, place, end, rival)]


def _settle(db: sqlite3.Connection, place: Place, end: Settled, rival: Rival) -> bool:
    job, state, content = db.execute(
        "SELECT job, state, content FROM rows WHERE target=? AND unique_id=?", (place.target, end.key)
    ).fetchone()
    if RowState(state) in FINAL:
        _compare(db, place, end, rival, Known(RowState(state), content, 0, None, None, job == place.job))
        return False
    same = covers(rival.row.content, rival.content)
    if end.state in FINAL:
        # Adopted although it differs: the row stays whose it is
        alone = same and covers(content, rival.content)
        if not alone and not (end.detail or {}).get("differences"):
            _take_over(db, place, end.key, rival)
        return True
    if rival.row.home:
        if end.state in {RowState.FAILED, RowState.CONFLICT}:  # the verdict is about this form of the record
            _put_content(db, place, end.key, rival.content)
        return True
    if end.state is RowState.CONFLICT and not same and rival.row.state in {RowState.SENDING, RowState.CONFLICT}:
        _set_aside(db, place, end, rival)
    return rival.row.state is not RowState.SENDING or (same and end.state is not RowState.PENDING)


def _compare(db: sqlite3.Connection, place: Place, end: Settled, rival: Rival, row: Known) -> None:
    """The row has its task meanwhile, or had it before and only the task's batch was to be asked for."""
    if end.state in FINAL:
        if open_batch(row.content, rival.content):
            _put_content(db, place, end.key, rival.content)
    elif end.state is RowState.CONFLICT and row.home:
        detail = json.dumps({"was": row.state.value, **(end.detail or {})})
        db.execute(
            "UPDATE rows SET state=?, reason=?, detail=? WHERE target=? AND unique_id=?",
            (RowState.CONFLICT.value, CHANGED, detail, place.target, end.key),
        )
    elif end.state is RowState.CONFLICT or not covers(row.content, rival.content):
        _set_aside(db, place, end, rival)


def _put_content(db: sqlite3.Connection, place: Place, key: str, content: bytes) -> None:
    db.execute("UPDATE rows SET content=? WHERE target=? AND unique_id=?", (content, place.target, key))


def _take_over(db: sqlite3.Connection, place: Place, key: str, rival: Rival) -> None:
    """Make the row the rival's own."""
    job, source, line, content = db.execute(
        "SELECT job, source, line, content FROM rows WHERE target=? AND unique_id=?", (place.target, key)
    ).fetchone()
    db.execute(
        "UPDATE rows SET content=?, job=?, source=?, line=?, gone=NULL WHERE target=? AND unique_id=?",
        (rival.content, place.job, rival.source, rival.line, place.target, key),
    )
    if job == place.job:
        return
    db.execute("DELETE FROM other_records WHERE job=? AND source=? AND line=?", (place.job, rival.source, rival.line))
    (run,) = db.execute("SELECT max(id) FROM runs WHERE job=?", (job,)).fetchone()
    write_asides(
        db, Place(place.target, job, run), [Aside(source, line, RecordState.CHANGED, key=key, content=content)]
    )


def _set_aside(db: sqlite3.Connection, place: Place, end: Settled, rival: Rival) -> None:
    told = Aside(
        *(rival.source, rival.line, RecordState.CHANGED, end.key, end.reason),
        detail=end.detail,
        content=rival.content,
    )
    write_asides(db, place, [told])
