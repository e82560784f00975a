"""Write outcomes to rows: the usual case many at a time in one statement, others alone through `effects.record`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from scalesync.ledger import effects
from scalesync.ledger.effects import Rival, RowNow
from scalesync.ledger.sqlite.imports import rows
from scalesync.ledger.sqlite.imports.other_records import write_other_records
from scalesync.ledger.sqlite.imports.statements import SIZES, Place, pieces, to_json
from scalesync.ledger.sqlite.views import SHARING
from scalesync.ledger.states import is_loose
from scalesync.model.rows import CHANGED, RowOutcome, RowState

LISTED = f"SELECT source, line FROM other_records WHERE job=? AND unique_id=? AND {SHARING}"
_NAMES = {state: state.value for state in RowState}
# The usual case (`effects.takes` gives the reasons). The rows exist, because they were admitted, so only the UPDATE
# part ever writes. A join of the rows with the new values would take a third longer.
_RECORD = {
    size: "INSERT INTO rows (target, job, source, line, intent_ms,"
    " unique_id, state, task_id, status, reason, detail, attempts, content) VALUES "
    + ",".join(["(?,0,0,0,0,?,?,?,?,?,?,?,?)"] * size)
    + " ON CONFLICT (target, unique_id) DO UPDATE SET state=excluded.state,"
    " task_id=coalesce(excluded.task_id, task_id), status=excluded.status, reason=excluded.reason,"
    " detail=excluded.detail, attempts=attempts+excluded.attempts WHERE state NOT IN ('created', 'adopted')"
    f" AND reason IS NOT '{CHANGED}' AND (content=excluded.content OR excluded.content=x'')"
    for size in SIZES
}


def record(
    db: sqlite3.Connection, place: Place, ends: Sequence[RowOutcome], rivals: dict[str, Rival]
) -> Sequence[RowOutcome]:
    """Write outcomes, and remove their keys from `rivals`. Returns the outcomes in the form for the history."""
    ends = [end if end.state is not RowState.CONFLICT else _as_accepted(db, place, end) for end in ends]
    alone = [end for end in ends if end.key not in rivals] if rivals else ends
    for end in alone:
        if is_loose(end.state, end.detail):
            rows.accept(db, place, end.key, end.content, end.ref, detail=end.detail)
    for end in write(db, place, alone):
        _apply(db, place, end, None)
    if alone is not ends:
        for end in ends:
            if (rival := rivals.pop(end.key, None)) is not None:
                _apply(db, place, end, rival)
    return ends


def write(db: sqlite3.Connection, place: Place, ends: Sequence[RowOutcome]) -> list[RowOutcome]:
    """Write outcomes to their rows. Returns those that a row did not take: it has a task, or holds another record."""
    left: list[RowOutcome] = []
    for some in pieces(ends):
        db.execute("SAVEPOINT outcomes")
        if db.execute(_RECORD[len(some)], _values(place, some)).rowcount != len(some):
            db.execute("ROLLBACK TO outcomes")
            left += [one for one in some if not db.execute(_RECORD[1], _values(place, [one])).rowcount]
        db.execute("RELEASE outcomes")
    return left


def _values(place: Place, ends: Sequence[RowOutcome]) -> list[object]:
    values: list[object] = []
    for key, state, ref, status, reason, detail, attempts, _, content in ends:
        stored = None if detail is None else to_json(detail)
        about = bytearray(content)  # for bytes, sqlite3 tries its adapters first, each time
        values += (place.target, key, _NAMES[state], ref, status, reason, stored, attempts, about)
    return values


def _apply(db: sqlite3.Connection, place: Place, end: RowOutcome, rival: Rival | None) -> None:
    """Write one outcome; what it changes depends on the row as it is now.

    rival: None for a record that had the row alone when it was admitted.
    """
    job, state, reason, status, detail, content = db.execute(
        "SELECT job, state, reason, status, detail, content FROM rows WHERE target=? AND unique_id=?",
        (place.target, end.key),
    ).fetchone()
    loose = is_loose(RowState(state), json.loads(detail) if detail else None)
    row = RowNow(RowState(state), content, reason, status, loose=loose, home=job == place.job)
    at = _listed(db, place, end.key) if rival is None and not row.home else None
    effect = effects.record(row, end, rival, at)
    about = end.content or content
    if effect.listed is not None:
        write_other_records(db, place, [effect.listed])
    if effect.accepts:
        rows.accept(db, place, end.key, about, end.ref, detail=end.detail)
    if effect.takes_over:
        at = at if rival is None else rival.place
        assert at is not None
        rows.take_over(db, place, end.key, about, at)
    if effect.takes_content:
        db.execute("UPDATE rows SET content=? WHERE target=? AND unique_id=?", (about, place.target, end.key))
    if effect.takes_ref:
        db.execute("UPDATE rows SET task_id=? WHERE target=? AND unique_id=?", (end.ref, place.target, end.key))
    if effect.row is not None:
        _put(db, place, effect.row)


def _put(db: sqlite3.Connection, place: Place, end: RowOutcome) -> None:
    """Write an outcome to its row unconditionally."""
    db.execute(
        "UPDATE rows SET state=?, task_id=coalesce(?, task_id), status=?, reason=?, detail=?, attempts=attempts+?"
        " WHERE target=? AND unique_id=?",
        (
            *(end.state.value, end.ref, end.status, end.reason, to_json(end.detail), end.attempts),
            *(place.target, end.key),
        ),
    )


def _as_accepted(db: sqlite3.Connection, place: Place, end: RowOutcome) -> RowOutcome:
    return effects.as_accepted(end, rows.accepted(db, place, end.key, end.ref))


def _listed(db: sqlite3.Connection, place: Place, key: str) -> tuple[int, int] | None:
    """Source and line at which a record of this job is listed beside the row; None if it is not."""
    found: tuple[int, int] | None = db.execute(LISTED, (place.job, key)).fetchone()
    return found


def write_events(db: sqlite3.Connection, place: Place, ends: Sequence[RowOutcome], at: str) -> None:
    """Write unusual outcomes to the history."""
    events = [
        (at, place.run, place.target, s.key, s.event, json.dumps({"status": s.status, "reason": s.reason}))
        for s in ends
        if s.event
    ]
    if events:
        db.executemany("INSERT INTO events (at, run, target, unique_id, event, detail) VALUES (?,?,?,?,?,?)", events)
