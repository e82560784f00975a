"""The SQL of changes: collect them, move them, read and count them. It runs inside the writer's transactions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from scalesync.jsonvalue import dumps, loads
from scalesync.ledger import change_moves
from scalesync.ledger.change_moves import OPEN, REPLACED_AT_END, Take
from scalesync.ledger.sqlite.imports.statements import SIZES, Place, pieces
from scalesync.model.changes import Change, ChangeOutcome, ChangeState, StoredChange
from scalesync.model.records import JsonObject

CHUNK = 500
PAGE = 1000
SHOWN = ("applied", "unchanged", "failed", "unclear", "invalid", "pending", "duplicates")  # in this order
_STATES = {state.value: state for state in ChangeState}
_OPEN, _REPLACED = (",".join(f"'{state}'" for state in sorted(states)) for states in (OPEN, REPLACED_AT_END))
_COLUMNS = "ref, unique_id, arguments, source, line, expected, state, attempts, status, reason"
_RECORD = (
    f"UPDATE changes SET state=?, status=?, reason=?, attempts=attempts+? WHERE job=? AND ref=? AND state IN ({_OPEN})"
)
_INSERT = {
    size: "INSERT INTO changes (job, ref, state, source, line, run, unique_id, arguments, expected) VALUES "
    + ",".join(["(?,?,'pending',?,?,?,?,?,?)"] * size)
    + " ON CONFLICT (job, ref) DO UPDATE SET state=excluded.state, source=excluded.source, line=excluded.line,"
    " run=excluded.run, unique_id=excluded.unique_id, arguments=excluded.arguments, expected=excluded.expected,"
    " attempts=0, status=NULL, reason=NULL, asked=NULL, asked_expected=NULL"
    for size in SIZES
}


def collect(db: sqlite3.Connection, place: Place, rows: Sequence[Change]) -> int:
    """Write rows of a source: each is a new change, or meets one. Returns how many name a task for a second time."""
    last = {row.ref: row for row in rows}
    doubles = len(rows) - len(last)
    news = dict(last)
    for ref, state, run, arguments, expected in _known(db, place.job, list(last)):
        doubles += run == place.run
        take = change_moves.collect(_STATES[state], loads(arguments.encode()), _object(expected), last[ref])
        if take is not Take.REPLACES:
            _meet(db, place, news.pop(ref), differs=take is Take.DIFFERS)
    _insert(db, place, list(news.values()))
    return doubles


def _known(db: sqlite3.Connection, job: int, refs: Sequence[str]) -> list[tuple[str, str, int, str, str | None]]:
    found: list[tuple[str, str, int, str, str | None]] = []
    for start in range(0, len(refs), CHUNK):
        some = refs[start : start + CHUNK]
        marks = ",".join("?" * len(some))
        query = f"SELECT ref, state, run, arguments, expected FROM changes WHERE job=? AND ref IN ({marks})"
        found += db.execute(query, (job, *some)).fetchall()
    return found


def refs(db: sqlite3.Connection, job: int, keys: Sequence[str]) -> dict[str, str]:
    """Ref of each key that a row of this job had; of several, the last by ref."""
    found: dict[str, str] = {}
    for start in range(0, len(keys), CHUNK):
        some = keys[start : start + CHUNK]
        marks = ",".join("?" * len(some))
        query = f"SELECT unique_id, ref FROM changes WHERE job=? AND unique_id IN ({marks}) ORDER BY ref"
        found |= dict(db.execute(query, (job, *some)).fetchall())
    return found


def _meet(db: sqlite3.Connection, place: Place, row: Change, *, differs: bool) -> None:
    """Write that this row named a change that stays."""
    asked = (_text(row.arguments), None if row.expected is None else _text(row.expected)) if differs else (None, None)
    db.execute(
        "UPDATE changes SET run=?, source=?, line=?, unique_id=?, asked=?, asked_expected=? WHERE job=? AND ref=?",
        (place.run, row.source, row.line, row.key, *asked, place.job, row.ref),
    )


def _insert(db: sqlite3.Connection, place: Place, rows: Sequence[Change]) -> None:
    for some in pieces(rows):
        values: list[object] = []
        for row in some:
            values += (place.job, row.ref, row.source, row.line, place.run, row.key, _text(row.arguments))
            values.append(None if row.expected is None else _text(row.expected))
        db.execute(_INSERT[len(some)], values)


def end_collection(db: sqlite3.Connection, job: int, figures: str) -> int:
    """Mark the collection as finished, and replace changes that their rows may replace now.

    Returns how many changes stay although their rows ask for something else.
    """
    db.execute(
        "UPDATE changes SET state='pending', arguments=asked, expected=asked_expected, attempts=0, status=NULL,"
        f" reason=NULL, asked=NULL, asked_expected=NULL WHERE job=? AND asked IS NOT NULL AND state IN ({_REPLACED})",
        (job,),
    )
    db.execute(
        "INSERT OR REPLACE INTO splits (job, number, kind, name, spec, state)"
        " VALUES (?, 0, 'collection', 'collection', ?, 'done')",
        (job, figures),
    )
    return int(db.execute("SELECT count(*) FROM changes WHERE job=? AND asked IS NOT NULL", (job,)).fetchone()[0])


def clear(db: sqlite3.Connection, job: int, run: int) -> None:
    """Forget the collection: pending changes, rows set aside, what rows asked for, the mark of its end."""
    db.execute("DELETE FROM changes WHERE job=? AND state='pending'", (job,))
    db.execute(
        "UPDATE changes SET run=0, asked=NULL, asked_expected=NULL WHERE job=? AND (asked IS NOT NULL OR run=?)",
        (job, run),
    )
    db.execute("DELETE FROM other_records WHERE job=?", (job,))
    db.execute("DELETE FROM splits WHERE job=? AND kind='collection'", (job,))


def intend(db: sqlite3.Connection, job: int, refs: Sequence[str]) -> None:
    """Move pending changes to `sending`."""
    for start in range(0, len(refs), CHUNK):
        some = refs[start : start + CHUNK]
        marks = ",".join("?" * len(some))
        query = f"UPDATE changes SET state='sending' WHERE job=? AND state='pending' AND ref IN ({marks})"
        db.execute(query, (job, *some))


def record(db: sqlite3.Connection, place: Place, ends: Sequence[ChangeOutcome], at: str) -> None:
    """Write outcomes to changes that have none yet, and to the history those that are out of the ordinary."""
    db.executemany(_RECORD, [_values(place, end) for end in ends if end.event is None])
    for end in ends:
        if end.event is not None and db.execute(_RECORD, _values(place, end)).rowcount:
            _write_event(db, place, end, at)


def _values(place: Place, end: ChangeOutcome) -> tuple[object, ...]:
    return end.state.value, end.status, end.reason, end.attempts, place.job, end.ref


def _write_event(db: sqlite3.Connection, place: Place, end: ChangeOutcome, at: str) -> None:
    detail = json.dumps({"ref": end.ref, "status": end.status, "reason": end.reason})
    db.execute(
        "INSERT INTO events (at, run, target, unique_id, event, detail)"
        " SELECT ?, ?, ?, unique_id, ?, ? FROM changes WHERE job=? AND ref=?",
        (at, place.run, place.target, end.event, detail, place.job, end.ref),
    )


def pages(db: sqlite3.Connection, job: int, states: Iterable[ChangeState], after: str, size: int) -> list[StoredChange]:
    """Up to `size` changes in these states whose ref follows `after`, by ref."""
    names = [state.value for state in states]
    marks = ",".join("?" * len(names))
    query = f"SELECT {_COLUMNS} FROM changes WHERE job=? AND ref>? AND state IN ({marks}) ORDER BY ref LIMIT ?"
    return [_stored(row) for row in db.execute(query, (job, after, *names, size))]


def count(db: sqlite3.Connection, job: int) -> dict[str, int]:
    """Changes by state, and rows that were set aside."""
    counts = dict.fromkeys((state.value for state in ChangeState), 0)
    counts |= dict(db.execute("SELECT state, count(*) FROM changes WHERE job=? GROUP BY state", (job,)).fetchall())
    query = "SELECT count(*) FROM other_records WHERE job=? AND state='invalid'"
    return counts | {"invalid": int(db.execute(query, (job,)).fetchone()[0])}


def shown_counts(db: sqlite3.Connection, job: int) -> dict[str, int]:
    """The same as people see it, with the repeats that the collection met."""
    figures = collection(db, job) or {}
    counts = change_moves.counted(count(db, job)) | {"duplicates": figures.get("duplicates", 0)}
    return {name: counts[name] for name in SHOWN}


def collection(db: sqlite3.Connection, job: int) -> Mapping[str, int] | None:
    """The figures of the finished collection; None before it is finished."""
    row = db.execute("SELECT spec FROM splits WHERE job=? AND kind='collection'", (job,)).fetchone()
    return None if row is None else json.loads(row[0])


def reopen(db: sqlite3.Connection, job: int, wanted: Callable[[str, int | None, str], bool]) -> int:
    """Make the failed changes pending for which wanted(ref, status, reason) holds. Returns how many."""
    number = 0
    for refs in _failed(db, job, wanted):
        db.executemany("UPDATE changes SET state='pending' WHERE job=? AND ref=?", [(job, ref) for ref in refs])
        number += len(refs)
    return number


def _failed(
    db: sqlite3.Connection, job: int, wanted: Callable[[str, int | None, str], bool]
) -> Iterator[Sequence[str]]:
    """Page by page, because a million refs would take 100 MB."""
    query = (
        "SELECT ref, status, coalesce(reason, '') FROM changes WHERE job=? AND ref>? AND state='failed'"
        " ORDER BY ref LIMIT ?"
    )
    after = ""
    while page := db.execute(query, (job, after, PAGE)).fetchall():
        after = page[-1][0]
        yield [ref for ref, status, reason in page if wanted(ref, status, reason)]


def _stored(row: tuple[str, str | None, str, int, int, str | None, str, int, int | None, str | None]) -> StoredChange:
    ref, key, arguments, source, line, expected, state, attempts, status, reason = row
    change = Change(ref, key, loads(arguments.encode()), source, line, _object(expected))
    return StoredChange(change, _STATES[state], attempts, status, reason)


def _object(text: str | None) -> JsonObject | None:
    return None if text is None else loads(text.encode())


def _text(value: JsonObject) -> str:
    return dumps(value).decode()
