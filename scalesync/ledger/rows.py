"""The SQL of rows: admitting records, settling them, counting them. Runs inside the writer's transactions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from scalesync.ledger.schema import TOLD
from scalesync.ledger.states import Known, Move
from scalesync.ledger.states import admit as decide
from scalesync.model import Aside, Outgoing, RecordState, RowState, Settled
from scalesync.ports import Admission

T = TypeVar("T")
CHUNK = 500

# Many rows in one statement: the thread keeps to SQLite for all of them, and does not ask for the interpreter's lock
# again after each, which the loop beside it would make it wait for.
_SIZES = (128, 32, 8, 1)
_INSERT = {
    size: "INSERT INTO rows (target, unique_id, state, job, source, line, content, intent_ms) VALUES "
    + ",".join(["(?,?,?,?,?,?,?,?)"] * size)
    + " ON CONFLICT (target, unique_id) DO NOTHING"
    for size in _SIZES
}
# A row whose task is known stays as it is: of two jobs that send the same record at once, the later one cannot take
# back what the earlier one found.
# The rows are there, they were admitted: so no value but those of the update is ever written. Joining them to the new
# values takes a third longer.
_SETTLE = {
    size: "INSERT INTO rows (target, job, source, line, content, intent_ms,"
    " unique_id, state, task_id, status, reason, detail, attempts) VALUES "
    + ",".join(["(?,?,0,0,x'',0,?,?,?,?,?,?,?)"] * size)
    + " ON CONFLICT (target, unique_id) DO UPDATE SET state=excluded.state,"
    " task_id=coalesce(excluded.task_id, task_id), status=excluded.status, reason=excluded.reason,"
    " detail=excluded.detail, attempts=attempts+excluded.attempts WHERE state NOT IN ('created', 'adopted')"
    for size in _SIZES
}


@dataclass(frozen=True, slots=True)
class Rival:
    """A record that was admitted while another one under its key may have been under way. row: as it was then."""

    content: bytes
    source: int
    line: int
    row: Known


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run writes: the ids of its target, job and run."""

    target: int
    job: int
    run: int


def load(db: sqlite3.Connection, target: int, job: int, keys: Sequence[str]) -> dict[str, Known]:
    """What is known of these keys."""
    known: dict[str, Known] = {}
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        marks = ",".join("?" * len(chunk))
        for key, state, content, intent_ms, reason, detail, home, *place in db.execute(
            "SELECT unique_id, state, content, intent_ms, reason, CASE WHEN state='conflict' THEN detail END, job,"
            f" source, line FROM rows WHERE target=? AND unique_id IN ({marks})",
            (target, *chunk),
        ):
            was = json.loads(detail).get("was") if detail else None
            known[key] = Known(RowState(state), content, intent_ms, reason, was, home == job, (place[0], place[1]))
    return known


def admit(
    db: sqlite3.Connection,
    place: Place,
    records: Sequence[Outgoing],
    *,
    now_ms: int,
    recheck: bool,
    fresh: bool,
    rivals: dict[str, Rival],
) -> list[Admission]:
    """Decide and write each record's move; keys within `records` are distinct. Rivals are put into `rivals`.

    fresh: expect that none of them is known. Right, it saves the look-ups; wrong, it costs the attempt.
    """
    if fresh and records and _insert(db, place, records, now_ms) == len(records):
        for record in records:
            record.intent_ms = now_ms
        return [_new(now_ms)] * len(records)
    known = load(db, place.target, place.job, [record.key for record in records])
    admissions: list[Admission] = []
    news: list[Outgoing] = []
    moves: list[tuple[Outgoing, Move]] = []
    moved: list[Outgoing] = []
    asides: list[Aside] = []
    for record in records:
        before = known.get(record.key)
        if before is None:
            record.intent_ms = now_ms
            admissions.append(_new(now_ms))
            news.append(record)
            continue
        move = decide(before, record.content, now_ms, recheck=recheck)
        record.intent_ms = move.intent_ms
        state = move.state or before.state
        admissions.append(Admission(move.verb, state, move.intent_ms, new=False, home=before.home))
        if move.state is not None:
            moves.append((record, move))
        elif before.home and before.place != (record.source, record.line):
            moved.append(record)
        if move.rival:
            rivals[record.key] = Rival(record.content, record.source, record.line, before)
        if move.aside is not None:
            asides.append(
                Aside(
                    *(record.source, record.line, move.aside, record.key),
                    detail=_differing(move),
                    content=record.content,
                )
            )
    _insert(db, place, news, now_ms)
    _write_moves(db, place, moves)
    if moved:
        db.executemany(
            "UPDATE rows SET source=?, line=? WHERE target=? AND unique_id=?",
            [(record.source, record.line, place.target, record.key) for record in moved],
        )
    write_asides(db, place, asides)
    return admissions


def _new(now_ms: int) -> Admission:
    """What becomes of a record whose key nobody knew."""
    move = decide(None, b"", now_ms, recheck=False)
    assert move.state is not None
    return Admission(move.verb, move.state, move.intent_ms, new=True, home=True)


def _insert(db: sqlite3.Connection, place: Place, records: Sequence[Outgoing], now_ms: int) -> int:
    """Make rows for records; returns how many were made. When a key was known after all, none is."""
    state = _new(now_ms).state.value
    db.execute("SAVEPOINT fresh")
    made = 0
    for some in _pieces(records):
        values: list[object] = []
        for record in some:
            values += (place.target, record.key, state, place.job, record.source, record.line, record.content, now_ms)
        if db.execute(_INSERT[len(some)], values).rowcount != len(some):
            break
        made += len(some)
    if made != len(records):
        db.execute("ROLLBACK TO fresh")
        made = 0
    db.execute("RELEASE fresh")
    return made


def _pieces(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Pieces of a few fixed sizes: each size is one prepared statement."""
    start = 0
    for size in _SIZES:
        while len(items) - start >= size:
            yield items[start : start + size]
            start += size


def _write_moves(db: sqlite3.Connection, place: Place, moves: Sequence[tuple[Outgoing, Move]]) -> None:
    for record, move in moves:
        assert move.state is not None
        detail = _json({"was": move.was} | (_differing(move) or {}) if move.was else None)
        db.execute(
            "UPDATE rows SET state=?, intent_ms=?, status=NULL, reason=?, detail=?, gone=NULL,"
            " content=CASE WHEN ? THEN ? ELSE content END,"
            " source=CASE WHEN job=? THEN ? ELSE source END, line=CASE WHEN job=? THEN ? ELSE line END"
            " WHERE target=? AND unique_id=?",
            (
                *(move.state.value, move.intent_ms, move.reason, detail),
                *(move.take_content, record.content),
                *(place.job, record.source, place.job, record.line),
                *(place.target, record.key),
            ),
        )


def _differing(move: Move) -> dict[str, object] | None:
    return {"differences": move.differences} if move.differences else None


def drop_asides(db: sqlite3.Connection, place: Place, read: Sequence[tuple[int, int, int]]) -> None:
    """Forget what earlier runs set aside in these stretches (source, first line, last line): they are read anew."""
    db.executemany(
        "DELETE FROM other_records WHERE job=? AND source=? AND line BETWEEN ? AND ? AND run<?",
        [(place.job, source, first, last, place.run) for source, first, last in read],
    )


def write_asides(db: sqlite3.Connection, place: Place, asides: Sequence[Aside]) -> None:
    """Put down records without a home row; the same place again replaces what it was."""
    if asides:
        db.executemany(
            "INSERT OR REPLACE INTO other_records"
            " (job, source, line, state, unique_id, reason, raw, detail, content, run) VALUES (?,?,?,?,?,?,?,?,?,?)",
            [
                (place.job, a.source, a.line, a.state, a.key, a.reason, a.raw, _json(a.detail), a.content, place.run)
                for a in asides
            ],
        )


def _json(detail: Mapping[str, Any] | None) -> str | None:
    return None if detail is None else json.dumps(detail)


def settle(db: sqlite3.Connection, place: Place, settled: Sequence[Settled]) -> None:
    """Write outcomes to their rows."""
    names = {state: state.value for state in RowState}
    for some in _pieces(settled):
        values: list[object] = []
        for key, state, ref, status, reason, detail, attempts, _ in some:
            values += (place.target, place.job, key, names[state], ref, status, reason, _json(detail), attempts)
        db.execute(_SETTLE[len(some)], values)


def write_events(db: sqlite3.Connection, place: Place, settled: Sequence[Settled], at: str) -> None:
    """Write what was out of the ordinary into the history."""
    events = [
        (at, place.run, place.target, s.key, s.event, json.dumps({"status": s.status, "reason": s.reason}))
        for s in settled
        if s.event
    ]
    if events:
        db.executemany("INSERT INTO events (at, run, target, unique_id, event, detail) VALUES (?,?,?,?,?,?)", events)


def count(db: sqlite3.Connection, target: int, job: int) -> dict[str, int]:
    """Records by counted state: created adopted conflicts failed invalid pending duplicates, and gone."""
    counts = dict.fromkeys(("created", "adopted", "conflicts", "failed", "invalid", "pending", "duplicates", "gone"), 0)
    for state, gone, number in db.execute(
        "SELECT state, gone IS NOT NULL, count(*) FROM rows WHERE target=? AND job=? GROUP BY 1, 2",
        (target, job),
    ):
        counts[counted_state(state)] += number
        counts["gone"] += number if gone else 0
    for state, number in db.execute(
        f"SELECT {TOLD}, count(*) FROM other_records o"
        " LEFT JOIN rows r ON o.state='shared' AND r.target=? AND r.unique_id=o.unique_id"
        " WHERE o.job=? GROUP BY 1",
        (target, job),
    ):
        counts[counted_state(state)] += number
    return counts


def count_homes(db: sqlite3.Connection, job: int) -> dict[str, int]:
    """The job's own rows by counted state."""
    counts: dict[str, int] = {}
    of_job = "WHERE target=(SELECT target FROM jobs WHERE id=?) AND job=?"
    for state, number in db.execute(f"SELECT state, count(*) FROM rows {of_job} GROUP BY 1", (job, job)):
        name = counted_state(state)
        counts[name] = counts.get(name, 0) + number
    return counts


COUNTED = {
    RowState.PENDING: "pending",
    RowState.SENDING: "pending",
    RowState.CREATED: "created",
    RowState.ADOPTED: "adopted",
    RowState.CONFLICT: "conflicts",
    RowState.FAILED: "failed",
    RecordState.CLASH: "conflicts",
    RecordState.CHANGED: "conflicts",
    RecordState.INVALID: "invalid",
    RecordState.DUPLICATE: "duplicates",
}


def counted_state(state: str) -> str:
    """The name under which the summary counts a state."""
    return {key.value: name for key, name in COUNTED.items()}[state]


def reopen(db: sqlite3.Connection, target: int, job: int, wanted: Callable[[str, int | None, str], bool]) -> int:
    """Failed rows of the job, shared ones included, become pending where wanted(key, status, reason) says so."""
    found = db.execute(
        "SELECT unique_id, status, coalesce(reason, '') FROM rows WHERE target=? AND state='failed' AND"
        " (job=? OR unique_id IN (SELECT unique_id FROM other_records WHERE job=? AND state='shared'))",
        (target, job, job),
    ).fetchall()
    keys = [(target, key) for key, status, reason in found if wanted(key, status, reason)]
    db.executemany("UPDATE rows SET state='pending' WHERE target=? AND unique_id=?", keys)
    return len(keys)


def mark_gone(db: sqlite3.Connection, target: int, job: int, present: int, is_present: Callable[[str], bool]) -> int:
    """Flag home rows whose record is not present, clear the flag of the others; returns how many are flagged."""
    total, flagged = db.execute(
        "SELECT count(*), count(gone) FROM rows WHERE target=? AND job=?", (target, job)
    ).fetchone()
    if total == present and not flagged:
        return 0
    gone, back = [], []
    for key, flagged in db.execute("SELECT unique_id, gone FROM rows WHERE target=? AND job=?", (target, job)):
        present = is_present(key)
        if not present and not flagged:
            gone.append((target, key))
        elif present and flagged:
            back.append((target, key))
    db.executemany("UPDATE rows SET gone=1 WHERE target=? AND unique_id=?", gone)
    db.executemany("UPDATE rows SET gone=NULL WHERE target=? AND unique_id=?", back)
    row = db.execute(
        "SELECT count(*) FROM rows WHERE target=? AND job=? AND gone IS NOT NULL", (target, job)
    ).fetchone()
    return int(row[0])
