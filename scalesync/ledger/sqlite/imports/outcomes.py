"""Verdicts into rows.

A verdict is about the content that was sent. The row takes it while it holds that content and no task is known: nearly
always. What is left, and whatever was admitted beside another run's intent, is settled by what the row holds now: it
belongs to the record that became the task, which takes it over, content, job and place, and the record that had it is
listed beside it. A verdict against a record leaves the row to those it belongs to.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from scalesync.ledger.sqlite.imports import rows
from scalesync.ledger.sqlite.imports.rows import SIZES, Place, Rival, pieces, to_json
from scalesync.ledger.sqlite.schema import SHARING
from scalesync.ledger.states import has_task
from scalesync.model.contents import covers, open_batch
from scalesync.model.rows import CHANGED, FINAL, OtherRecord, RecordState, RowOutcome, RowState

LISTED = f"SELECT source, line FROM other_records WHERE job=? AND unique_id=? AND {SHARING}"
_NAMES = {state: state.value for state in RowState}
# A row whose task is known stays as it is: of two jobs that send the same record at once, the later one cannot take
# back what the earlier one found. Nor does a row take what was found out about another record than it holds.
# The rows are there, they were admitted: so no value but those of the update is ever written. Joining them to the new
# values takes a third longer.
_SETTLE = {
    size: "INSERT INTO rows (target, job, source, line, intent_ms,"
    " unique_id, state, task_id, status, reason, detail, attempts, content) VALUES "
    + ",".join(["(?,0,0,0,0,?,?,?,?,?,?,?,?)"] * size)
    + " ON CONFLICT (target, unique_id) DO UPDATE SET state=excluded.state,"
    " task_id=coalesce(excluded.task_id, task_id), status=excluded.status, reason=excluded.reason,"
    " detail=excluded.detail, attempts=attempts+excluded.attempts WHERE state NOT IN ('created', 'adopted')"
    f" AND reason IS NOT '{CHANGED}' AND (content=excluded.content OR excluded.content=x'')"
    for size in SIZES
}


def record(db: sqlite3.Connection, place: Place, settled: Sequence[RowOutcome], rivals: dict[str, Rival]) -> None:
    """Write outcomes; those of `rivals` are taken out of it."""
    settled = [_accepted(db, place, end) for end in settled]
    for end in settled:
        if rows.is_loose(end.state, end.detail):
            rows.accept(db, place, end.key, end.content, end.ref)
    alone = [end for end in settled if end.key not in rivals] if rivals else settled
    for end in write(db, place, alone):
        record_rival(db, place, end, None)
    if alone is not settled:
        for end in settled:
            if (rival := rivals.pop(end.key, None)) is not None:
                record_rival(db, place, end, rival)


def write(db: sqlite3.Connection, place: Place, settled: Sequence[RowOutcome]) -> list[RowOutcome]:
    """Write outcomes to their rows; returns those that a row did not take: it has a task, or holds another record."""
    left: list[RowOutcome] = []
    for some in pieces(settled):
        db.execute("SAVEPOINT outcomes")
        if db.execute(_SETTLE[len(some)], _values(place, some)).rowcount != len(some):
            db.execute("ROLLBACK TO outcomes")
            left += [one for one in some if not db.execute(_SETTLE[1], _values(place, [one])).rowcount]
        db.execute("RELEASE outcomes")
    return left


def _values(place: Place, settled: Sequence[RowOutcome]) -> list[object]:
    values: list[object] = []
    for key, state, ref, status, reason, detail, attempts, _, content in settled:
        told = None if detail is None else to_json(detail)
        about = bytearray(content)  # for bytes, sqlite3 asks its adapters first, each time
        values += (place.target, key, _NAMES[state], ref, status, reason, told, attempts, about)
    return values


def record_rival(db: sqlite3.Connection, place: Place, end: RowOutcome, rival: Rival | None) -> None:
    """Write one verdict by what the row holds now. rival: None for a record that had the row alone when admitted."""
    job, name, reason, detail, content = db.execute(
        "SELECT job, state, reason, detail, content FROM rows WHERE target=? AND unique_id=?", (place.target, end.key)
    ).fetchone()
    home, state = job == place.job, RowState(name)
    end = end if end.content else end._replace(content=content)
    if not home:
        rival = rival or _listed(db, place, end.key)
        if rival is None:
            return
        # Taken over meanwhile, the row may be listed as shared by an older form of this record.
        shared = OtherRecord(*rival.place, RecordState.SHARED, end.key, content=end.content)
        rows.write_asides(db, place, [shared])
    if has_task(state, reason):
        was = state if home and state in FINAL else None
        if rows.is_loose(state, json.loads(detail) if detail else None) and not covers(content, end.content):
            _compare_loose(db, place, end, rival, home=home)
        else:
            _compare(db, place, end, rival, content, was=was)
        return
    same = content == end.content
    if rows.is_loose(end.state, end.detail) and not home and not same and state is RowState.SENDING:
        # Whose task it is, only the record in the row can tell: its request may be the one that made it.
        known = "UPDATE rows SET task_id=? WHERE target=? AND unique_id=?"
        db.execute(known, (end.ref, place.target, end.key))
        return
    if end.state in FINAL:
        if not same and rival is not None:
            rows.take_over(db, place, end.key, end.content, rival.place)
    elif not same and home and end.state in {RowState.CONFLICT, RowState.FAILED}:
        _put_content(db, place, end)
    elif not same or (end.state is RowState.PENDING and rival is not None and not rival.moved):
        if not home and end.state is RowState.CONFLICT:
            _set_aside(db, place, end, rival)
        return
    write(db, place, [end._replace(content=b"")])


def _compare(
    db: sqlite3.Connection, place: Place, end: RowOutcome, rival: Rival | None, content: bytes, *, was: RowState | None
) -> None:
    """The row has its task meanwhile, or had it before and only the task's batch was to be asked for.

    was: its state, where the row is this job's own.
    """
    unasked = open_batch(content, end.content)
    if end.state in FINAL:
        if unasked:
            _put_content(db, place, end)
        elif not covers(content, end.content):
            rows.accept(db, place, end.key, end.content, end.ref)
    elif covers(content, end.content) or (unasked and end.state not in {RowState.CONFLICT, RowState.FAILED}):
        return
    elif was is not None:
        detail = json.dumps({"was": was.value, **(end.detail or {})})
        db.execute(
            "UPDATE rows SET state=?, reason=?, detail=? WHERE target=? AND unique_id=?",
            (RowState.CONFLICT.value, CHANGED, detail, place.target, end.key),
        )
    else:
        _set_aside(db, place, end, rival)


def _compare_loose(db: sqlite3.Connection, place: Place, end: RowOutcome, rival: Rival | None, *, home: bool) -> None:
    """The row's task was adopted by a record that it was not made for; this one was compared with the task itself."""
    if end.state in FINAL:
        rows.accept(db, place, end.key, end.content, end.ref)
    elif home:
        # It was a stranger's task, so this is a conflict like any other, or a doubt.
        pending = end.state not in {RowState.CONFLICT, RowState.FAILED}
        state = RowState.SENDING if pending else end.state
        if not pending:
            _put_content(db, place, end)
        db.execute(
            "UPDATE rows SET state=?, status=?, reason=?, detail=? WHERE target=? AND unique_id=?",
            (*(state.value, end.status, end.reason, rows.to_json(end.detail)), place.target, end.key),
        )
    elif end.state in {RowState.CONFLICT, RowState.FAILED}:
        _set_aside(db, place, end, rival)


def _accepted(db: sqlite3.Connection, place: Place, end: RowOutcome) -> RowOutcome:
    """A record that once accepted a task is not in conflict with it, unless the task died."""
    if end.state is not RowState.CONFLICT or rows.is_dead(end.detail):
        return end
    if not rows.has_accepted(db, place, end.key, end.content, end.ref):
        return end
    return end._replace(state=RowState.ADOPTED, event=None)


def _listed(db: sqlite3.Connection, place: Place, key: str) -> Rival | None:
    """A record that had the row alone when it was admitted, and was listed beside it when another job took it over.

    None when another record was listed at its place since: a row that this run had not met yet, taken over too.
    """
    found = db.execute(LISTED, (place.job, key)).fetchone()
    return None if found is None else Rival(found, moved=True)


def _put_content(db: sqlite3.Connection, place: Place, end: RowOutcome) -> None:
    db.execute("UPDATE rows SET content=? WHERE target=? AND unique_id=?", (end.content, place.target, end.key))


def _set_aside(db: sqlite3.Connection, place: Place, end: RowOutcome, rival: Rival | None) -> None:
    if rival is None:
        return  # listed when the row was taken over
    told: dict[str, Any] = {"reason": end.reason, "detail": end.detail, "content": end.content}
    rows.write_asides(db, place, [OtherRecord(*rival.place, RecordState.CHANGED, end.key, **told)])


def write_events(db: sqlite3.Connection, place: Place, settled: Sequence[RowOutcome], at: str) -> None:
    """Write what was out of the ordinary into the history."""
    events = [
        (at, place.run, place.target, s.key, s.event, json.dumps({"status": s.status, "reason": s.reason}))
        for s in settled
        if s.event
    ]
    if events:
        db.executemany("INSERT INTO events (at, run, target, unique_id, event, detail) VALUES (?,?,?,?,?,?)", events)
