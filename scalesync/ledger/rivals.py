"""The ends of records that were not alone under their key: two jobs, or an older form of the record, sent it too.

The row belongs to the record that became the task. So a rival takes the row over, content, job and place, when the task
is its own; the record that had the row is listed beside it then, as changed. A rival that is refused leaves the row to
those it belongs to.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from scalesync.ledger.rows import Place, Rival, write_asides
from scalesync.ledger.states import FINAL, covers
from scalesync.model import Aside, RecordState, RowState, Settled


def settle_rivals(db: sqlite3.Connection, place: Place, settled: Sequence[tuple[Settled, Rival]]) -> list[Settled]:
    """Write what is special about the ends of rivals; returns those that are to be written to their rows as well."""
    plain: list[Settled] = []
    for end, rival in settled:
        if end.state in FINAL:
            if not (end.detail or {}).get("differences"):  # adopted although it differs: it stays whose it is
                _take_over(db, place, end.key, rival)
            plain.append(end)
        elif rival.row.home:
            plain.append(end)
        else:
            same = covers(rival.row.content, rival.content)
            if end.state is RowState.CONFLICT and not same:
                _set_aside(db, place, end, rival)
            if rival.row.state is not RowState.SENDING or (same and end.state is not RowState.PENDING):
                plain.append(end)
    return plain


def _take_over(db: sqlite3.Connection, place: Place, key: str, rival: Rival) -> None:
    """Make the row the rival's own, unless it has a task already or holds the same record."""
    row = db.execute(
        "SELECT job, source, line FROM rows WHERE target=? AND unique_id=? AND content<>?"
        " AND state NOT IN ('created', 'adopted')",
        (place.target, key, rival.content),
    ).fetchone()
    if row is None:
        return
    job, source, line = row
    db.execute(
        "UPDATE rows SET content=?, job=?, source=?, line=?, gone=NULL WHERE target=? AND unique_id=?",
        (rival.content, place.job, rival.source, rival.line, place.target, key),
    )
    if job == place.job:
        return
    db.execute("DELETE FROM other_records WHERE job=? AND source=? AND line=?", (place.job, rival.source, rival.line))
    (run,) = db.execute("SELECT max(id) FROM runs WHERE job=?", (job,)).fetchone()
    write_asides(db, Place(place.target, job, run), [Aside(source, line, RecordState.CHANGED, key=key)])


def _set_aside(db: sqlite3.Connection, place: Place, end: Settled, rival: Rival) -> None:
    told = Aside(rival.source, rival.line, RecordState.CHANGED, key=end.key, reason=end.reason)
    write_asides(db, place, [told])
