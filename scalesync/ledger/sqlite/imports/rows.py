"""The SQL of rows: admit records, and accept tasks. It runs inside the writer's transactions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scalesync.ledger import moves
from scalesync.ledger.effects import Rival
from scalesync.ledger.moves import Move, displaced, left_behind
from scalesync.ledger.sqlite.imports.other_records import write_other_records
from scalesync.ledger.sqlite.imports.statements import SIZES, Place, pieces, to_json
from scalesync.ledger.states import has_task, is_dead, is_loose
from scalesync.model.contents import terms_in
from scalesync.model.records import Outgoing
from scalesync.model.row_views import Known
from scalesync.model.rows import Admission, Gone, OtherRecord, RecordState, RowState, Verb

_LISTED = frozenset({RowState.FAILED, RowState.CONFLICT})  # people see the places of these rows
CHUNK = 500
_INSERT = {
    size: "INSERT INTO rows (target, unique_id, state, job, source, line, content, intent_ms) VALUES "
    + ",".join(["(?,?,?,?,?,?,?,?)"] * size)
    + " ON CONFLICT (target, unique_id) DO NOTHING"
    for size in SIZES
}


def load(db: sqlite3.Connection, target: int, job: int, keys: Sequence[str]) -> dict[str, Known]:
    """Everything known of these keys."""
    known: dict[str, Known] = {}
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        marks = ",".join("?" * len(chunk))
        for key, state, content, intent_ms, reason, detail, home, source, line, gone, ref, accepted in db.execute(
            "SELECT r.unique_id, state, r.content, intent_ms, reason, CASE WHEN state<>'created' THEN detail END,"
            " r.job, source, line, gone, r.task_id, a.content FROM rows r"
            " LEFT JOIN acceptances a ON a.job=? AND a.unique_id=r.unique_id AND a.task_id IS r.task_id"
            f" WHERE target=? AND r.unique_id IN ({marks})",
            (job, target, *chunk),
        ):
            facts = json.loads(detail) if detail else {}
            now, was = RowState(state), facts.get("was")
            dead = not has_task(now, reason) and is_dead(facts)
            known[key] = Known(
                *(now, content, intent_ms, reason, was, home == job, (source, line), gone),
                *(is_loose(now, facts), ref, None if dead else accepted),
            )
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
    adopt: bool = False,
) -> list[Admission]:
    """Decide and write each record's move, and add rivals to `rivals`. The keys of `records` are distinct.

    fresh: expect only new keys. A right guess saves the look-ups, and a wrong one costs one attempt to insert.
    """
    if fresh and records and _insert(db, place, records, now_ms) == len(records):
        for record in records:
            record.intent_ms = now_ms
        return [_new(now_ms)] * len(records)
    known = load(db, place.target, place.job, [record.key for record in records])
    admissions: list[Admission] = []
    writes = _Writes()
    for record in records:
        before = known.get(record.key)
        if before is None:
            record.intent_ms = now_ms
            admissions.append(_new(now_ms))
            writes.news.append(record)
            continue
        move = moves.admit(before, record.content, now_ms, recheck=recheck, adopt=adopt)
        if adopt and moves.accepts_again(before, move, record.content):
            accept(db, place, record.key, record.content, before.ref)
        admissions.append(_move(db, place, record, before=before, move=move, writes=writes))
        if move.rival:
            rivals[record.key] = Rival((record.source, record.line), moved=move.verb is Verb.SEND)
    _insert(db, place, writes.news, now_ms)
    _write_moves(db, place, writes.moves)
    _write_places(db, place, writes.placed)
    write_other_records(db, place, writes.other_records)
    return admissions


@dataclass(slots=True)
class _Writes:
    """What a load writes, a statement for each list.

    news: records whose key nobody knew.
    moves: rows that become another state.
    placed: records whose row stays as it is, and has another place now.
    """

    news: list[Outgoing] = field(default_factory=list)
    moves: list[tuple[Outgoing, Move]] = field(default_factory=list)
    placed: list[Outgoing] = field(default_factory=list)
    other_records: list[OtherRecord] = field(default_factory=list)


def _move(
    db: sqlite3.Connection, place: Place, record: Outgoing, *, before: Known, move: Move, writes: _Writes
) -> Admission:
    """Put what the move of a known key writes into `writes`; what is rare is written at once."""
    record.intent_ms = move.intent_ms
    admission = moves.admission(before, move, record.content)
    at = (record.source, record.line)
    if admission.adopts:
        accept(db, place, record.key, record.content, before.ref)
    if move.takes_over:
        take_over(db, place, record.key, record.content, at)
    if move.state is not None:
        writes.moves.append((record, move))
    elif before.home and (before.place != at or (record.inside and admission.state in _LISTED)):
        writes.placed.append(record)
    if place.reads is not None and before.home and (left := left_behind(place.reads, before, record)):
        writes.other_records.append(left)
    if move.listed_as is not None:
        other = OtherRecord(*at, move.listed_as, record.key, detail=_differing(move), content=record.content)
        writes.other_records.append(other)
    return admission


def _write_places(db: sqlite3.Connection, place: Place, records: Sequence[Outgoing]) -> None:
    if not records:
        return
    db.executemany(
        "UPDATE rows SET source=?, line=? WHERE target=? AND unique_id=?",
        [(record.source, record.line, place.target, record.key) for record in records],
    )
    db.executemany(
        "UPDATE rows SET detail=json_set(coalesce(detail, '{}'), '$.inside', json(?))"
        " WHERE target=? AND unique_id=? AND state IN ('failed', 'conflict')",
        [(json.dumps(record.inside), place.target, record.key) for record in records if record.inside],
    )


def _new(now_ms: int) -> Admission:
    """The admission of a record with a new key."""
    move = moves.admit(None, b"", now_ms, recheck=False)
    assert move.state is not None
    return Admission(move.verb, move.state, move.intent_ms, new=True, home=True)


def _insert(db: sqlite3.Connection, place: Place, records: Sequence[Outgoing], now_ms: int) -> int:
    """Insert rows for records. Returns how many: all, or none if a key was known after all."""
    state = _new(now_ms).state.value
    db.execute("SAVEPOINT fresh")
    made = 0
    for some in pieces(records):
        values: list[object] = []
        for record in some:
            content = bytearray(record.content)  # for bytes, sqlite3 tries its adapters first, each time
            values += (place.target, record.key, state, place.job, record.source, record.line, content, now_ms)
        if db.execute(_INSERT[len(some)], values).rowcount != len(some):
            break
        made += len(some)
    if made != len(records):
        db.execute("ROLLBACK TO fresh")
        made = 0
    db.execute("RELEASE fresh")
    return made


def _write_moves(db: sqlite3.Connection, place: Place, moves: Sequence[tuple[Outgoing, Move]]) -> None:
    for record, move in moves:
        assert move.state is not None
        facts = {"was": move.was} | (_differing(move) or {}) | ({"inside": record.inside} if record.inside else {})
        detail = to_json(facts if move.was else None)
        db.execute(
            "UPDATE rows SET state=?, intent_ms=?, status=NULL, reason=?, detail=?,"
            # A record of another job does not bring the home's record back, and the home does not wait for its outcome.
            f" gone=CASE WHEN job<>? AND gone IS NOT NULL THEN {Gone.ABSENT} END,"
            " content=CASE WHEN ? THEN ? ELSE content END,"
            " source=CASE WHEN job=? THEN ? ELSE source END, line=CASE WHEN job=? THEN ? ELSE line END"
            " WHERE target=? AND unique_id=?",
            (
                *(move.state.value, move.intent_ms, move.reason, detail, place.job),
                *(move.take_content, record.content),
                *(place.job, record.source, place.job, record.line),
                *(place.target, record.key),
            ),
        )


def _differing(move: Move) -> dict[str, object] | None:
    return {"differences": move.differences} if move.differences else None


def accept(
    db: sqlite3.Connection,
    place: Place,
    key: str,
    content: bytes,
    ref: str | None,
    *,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Remember that a record of this job accepts a task that was made for another content.

    detail: of the outcome that compared them, None if nobody has.
    """
    db.execute(
        "INSERT OR REPLACE INTO acceptances (job, unique_id, content, task_id, terms) VALUES (?,?,?,?,?)",
        (place.job, key, content, ref, to_json(terms_in(detail))),
    )


def accepted(db: sqlite3.Connection, place: Place, key: str, ref: str | None) -> bytes | None:
    """The content of this job's record that accepted the task earlier; None if none did."""
    found = db.execute(
        "SELECT content FROM acceptances WHERE job=? AND unique_id=? AND task_id IS ?", (place.job, key, ref)
    ).fetchone()
    return None if found is None else found[0]


def take_over(db: sqlite3.Connection, place: Place, key: str, content: bytes, at: tuple[int, int]) -> None:
    """Give the row to a record of this job, at a source and line. The other job's record that had it now shares it."""
    job, source, line, old, state, reason, detail, gone = db.execute(
        "SELECT job, source, line, content, state, reason, detail, gone FROM rows WHERE target=? AND unique_id=?",
        (place.target, key),
    ).fetchone()
    db.execute(
        "UPDATE rows SET content=?, job=?, source=?, line=?, gone=NULL WHERE target=? AND unique_id=?",
        (content, place.job, *at, place.target, key),
    )
    if job != place.job:
        db.execute("DELETE FROM other_records WHERE job=? AND source=? AND line=?", (place.job, *at))
        listed = displaced(RowState(state), gone, old, content)
        if listed is None:
            return
        (run,) = db.execute("SELECT max(id) FROM runs WHERE job=?", (job,)).fetchone()
        other = OtherRecord(source, line, listed, key, content=old)
        if listed is RecordState.CHANGED:
            other = replace(other, reason=reason, detail={} if detail is None else json.loads(detail))
        write_other_records(db, Place(place.target, job, run), [other])
