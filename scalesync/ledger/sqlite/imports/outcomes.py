"""Outcomes into rows: the plain case in one statement for many, all others one by one as `decisions.record` has it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from scalesync.ledger import decisions
from scalesync.ledger.decisions import Rival, RowNow
from scalesync.ledger.sqlite.imports import rows
from scalesync.ledger.sqlite.imports.rows import SIZES, Place, pieces, to_json
from scalesync.ledger.sqlite.schema import SHARING
from scalesync.ledger.states import is_loose
from scalesync.model.rows import CHANGED, RowOutcome, RowState

LISTED = f"SELECT source, line FROM other_records WHERE job=? AND unique_id=? AND {SHARING}"
_NAMES = {state: state.value for state in RowState}
# The plain case: `decisions.takes`, which says why.
# The rows are there, they were admitted: so no value but those of the update is ever written. Joining them to the new
# values takes a third longer.
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
    """Write outcomes; those of `rivals` are taken out of it. Returns them as the job's history should have them."""
    ends = [end if end.state is not RowState.CONFLICT else _as_accepted(db, place, end) for end in ends]
    alone = [end for end in ends if end.key not in rivals] if rivals else ends
    for end in alone:
        if is_loose(end.state, end.detail):
            rows.accept(db, place, end.key, end.content, end.ref)
    for end in write(db, place, alone):
        _apply(db, place, end, None)
    if alone is not ends:
        for end in ends:
            if (rival := rivals.pop(end.key, None)) is not None:
                _apply(db, place, end, rival)
    return ends


def write(db: sqlite3.Connection, place: Place, ends: Sequence[RowOutcome]) -> list[RowOutcome]:
    """Write outcomes to their rows; returns those that a row did not take: it has a task, or holds another record."""
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
        told = None if detail is None else to_json(detail)
        about = bytearray(content)  # for bytes, sqlite3 asks its adapters first, each time
        values += (place.target, key, _NAMES[state], ref, status, reason, told, attempts, about)
    return values


def _apply(db: sqlite3.Connection, place: Place, end: RowOutcome, rival: Rival | None) -> None:
    """Write one outcome by what the row holds now.

    rival: None for a record that had the row alone when admitted.
    """
    job, state, reason, status, detail, content = db.execute(
        "SELECT job, state, reason, status, detail, content FROM rows WHERE target=? AND unique_id=?",
        (place.target, end.key),
    ).fetchone()
    loose = is_loose(RowState(state), json.loads(detail) if detail else None)
    row = RowNow(RowState(state), content, reason, status, loose=loose, home=job == place.job)
    at = _listed(db, place, end.key) if rival is None and not row.home else None
    effect = decisions.record(row, end, rival, at)
    about = end.content or content
    if effect.listed is not None:
        rows.write_asides(db, place, [effect.listed])
    if effect.accepts:
        rows.accept(db, place, end.key, about, end.ref)
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
    """Write an outcome to its row, whatever the row holds."""
    db.execute(
        "UPDATE rows SET state=?, task_id=coalesce(?, task_id), status=?, reason=?, detail=?, attempts=attempts+?"
        " WHERE target=? AND unique_id=?",
        (
            *(end.state.value, end.ref, end.status, end.reason, to_json(end.detail), end.attempts),
            *(place.target, end.key),
        ),
    )


def _as_accepted(db: sqlite3.Connection, place: Place, end: RowOutcome) -> RowOutcome:
    return decisions.as_accepted(end, rows.accepted(db, place, end.key, end.ref))


def _listed(db: sqlite3.Connection, place: Place, key: str) -> tuple[int, int] | None:
    """Where a record of this job is listed beside the row."""
    found: tuple[int, int] | None = db.execute(LISTED, (place.job, key)).fetchone()
    return found


def write_events(db: sqlite3.Connection, place: Place, ends: Sequence[RowOutcome], at: str) -> None:
    """Write what was out of the ordinary into the history."""
    events = [
        (at, place.run, place.target, s.key, s.event, json.dumps({"status": s.status, "reason": s.reason}))
        for s in ends
        if s.event
    ]
    if events:
        db.executemany("INSERT INTO events (at, run, target, unique_id, event, detail) VALUES (?,?,?,?,?,?)", events)
