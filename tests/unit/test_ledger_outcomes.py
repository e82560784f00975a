"""What an outcome writes: the pure decision and the SQL that carries it out, over all combinations of what they see."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from itertools import product

import pytest

from scalesync.ledger.effects import Effect, Rival, RowNow, as_accepted, record, takes
from scalesync.ledger.sqlite.imports import outcomes
from scalesync.ledger.sqlite.imports.other_records import write_other_records
from scalesync.ledger.sqlite.imports.statements import Place
from scalesync.ledger.states import is_loose
from scalesync.model.contents import covers
from scalesync.model.rows import CHANGED, FINAL, OtherRecord, RecordState, RowOutcome, RowState

from .test_ledger_states import CONTENTS, DETAILS, NEW, OLD, new_ledger

S, R = RowState, RecordState
DIFFERS = {"differences": {"type": {}}}
DEAD = {"differences": {"status": {}}}
HERE = Place(1, 2, 2)  # target, job, run
RIVALS = (None, Rival((1, 7), moved=True), Rival((1, 7), moved=False))
LISTED = (1, 5)  # where the record is listed beside a row that was taken over
Row = tuple[RowState, bytes, str | None, dict[str, object]]


def rows_there_are() -> Iterator[Row]:
    """State, content, reason and detail of a row. Only a conflict is about a record that changed."""
    for state, content, reason, detail in product(RowState, CONTENTS, (None, CHANGED, "a sentence"), DETAILS):
        if reason != CHANGED or state is S.CONFLICT:
            yield state, content, reason, detail


def ends_there_are() -> Iterator[RowOutcome]:
    """With a detail where an outcome has one, and about no content in particular, as older callers have it."""
    for state, content in product(RowState, (*CONTENTS, b"")):
        for detail in {S.CONFLICT: (DIFFERS, DEAD), S.ADOPTED: (None, DIFFERS)}.get(state, (None,)):
            ref = "found" if state in {S.CREATED, S.ADOPTED, S.CONFLICT} else None
            yield RowOutcome("k", state, ref, 400, "because", detail, attempts=2, content=content)


def put(db: sqlite3.Connection, row: Row, job: int, *, listed: bool = False) -> RowNow:
    """The row of key `k` in a ledger that holds nothing else; as a run of job 2 meets it."""
    state, content, reason, detail = row
    for table in ("rows", "other_records", "acceptances"):
        db.execute(f"DELETE FROM {table}")
    db.execute(
        "INSERT INTO rows (target, unique_id, state, job, source, line, content, intent_ms, reason, detail, task_id,"
        " status, attempts) VALUES (1, 'k', ?, ?, 1, 1, ?, 0, ?, ?, 'task', 200, 3)",
        (state.value, job, content, reason, json.dumps(detail) if detail else None),
    )
    if listed:
        write_other_records(db, HERE, [OtherRecord(*LISTED, R.SHARED, "k", content=OLD)])
    return RowNow(state, content, reason, 200, loose=is_loose(state, detail), home=job == HERE.job)


def held(db: sqlite3.Connection) -> tuple[object, ...]:
    (row,) = db.execute("SELECT state, task_id, status, reason, detail, attempts, content, job FROM rows").fetchall()
    return (*row[:4], json.loads(row[4]) if row[4] else {}, *row[5:])


def beside(db: sqlite3.Connection, job: int) -> set[tuple[object, ...]]:
    """What is listed of a job: place, state, content."""
    return set(db.execute("SELECT source, line, state, content FROM other_records WHERE job=?", (job,)))


def test_the_statement_for_many_rows_takes_what_the_rule_takes():
    db = new_ledger()
    taken = set()
    for row, end in product(rows_there_are(), ends_there_are()):
        now = put(db, row, HERE.job)
        before = held(db)
        left = outcomes.write(db, HERE, [end])
        taken.add(takes(now, end))
        assert left == ([] if takes(now, end) else [end])
        assert takes(now, end) or held(db) == before
        plain = Effect(row=end, accepts=is_loose(end.state, end.detail))
        assert record(now, end, None) == plain or not takes(now, end)
    assert taken == {True, False}
    db.close()


def expected(now: RowNow, before: tuple[object, ...], effect: Effect, end: RowOutcome) -> tuple[object, ...]:
    """The row that an effect leaves."""
    state, ref, status, reason, detail, attempts, content, job = before
    if effect.takes_over:
        content, job = end.content or now.content, HERE.job
    if effect.takes_content:
        content = end.content or now.content
    if effect.takes_ref:
        ref = end.ref
    if (to := effect.row) is not None:
        state, ref, status, reason = to.state.value, to.ref or ref, to.status, to.reason
        detail, attempts = dict(to.detail or {}), int(str(attempts)) + to.attempts
    return state, ref, status, reason, detail, attempts, content, job


@pytest.mark.part(2)
@pytest.mark.parametrize("rival", RIVALS, ids=str)
@pytest.mark.parametrize("job", [HERE.job, 1], ids=["at home", "another job's"])
def test_the_ledger_writes_what_the_decision_says(rival: Rival | None, job: int):
    db = new_ledger()
    lists = (False, True) if rival is None and job != HERE.job else (False,)
    for row, end, listed in product(rows_there_are(), ends_there_are(), lists):
        now = put(db, row, job, listed=listed)
        before, was_listed = held(db), beside(db, HERE.job)
        effect = record(now, end, rival, LISTED if listed else None)
        outcomes.record(db, HERE, [end], {} if rival is None else {"k": rival})
        assert held(db) == expected(now, before, effect, end)
        accepted = db.execute("SELECT job, content, task_id FROM acceptances").fetchall()
        assert [found[::2] for found in accepted] == ([(HERE.job, end.ref)] if effect.accepts else [])
        if effect.takes_over:
            fits = covers(end.content or now.content, now.content)
            displaced = R.CHANGED if now.state is S.CONFLICT and not fits else R.SHARED
            assert beside(db, HERE.job) == set()
            assert beside(db, job) == ({(1, 1, displaced.value, now.content)} if job != HERE.job else set())
        elif (one := effect.listed) is not None:
            assert beside(db, HERE.job) == {(one.source, one.line, one.state.value, one.content)}
        else:
            assert beside(db, HERE.job) == was_listed
    db.close()


def test_what_a_row_with_a_task_says_of_it_is_never_taken_back():
    for row, end, rival, home in product(rows_there_are(), ends_there_are(), RIVALS, (True, False)):
        state, content, reason, detail = row
        if state not in FINAL:
            continue
        now = RowNow(state, content, reason, 200, loose=is_loose(state, detail), home=home)
        to = record(now, end, rival).row
        if to is not None and to.state not in FINAL:
            told = (to.state, to.reason, (to.detail or {}).get("was")) == (S.CONFLICT, CHANGED, state.value)
            assert home
            assert told or now.loose, "a stranger's task, of which only the server knows what it was made for"


def test_a_record_that_accepted_a_task_is_not_in_conflict_with_it_unless_that_died():
    conflict = RowOutcome("k", S.CONFLICT, "task", reason="differs", detail=DIFFERS, event="conflict", content=NEW)
    assert as_accepted(conflict, NEW) == conflict._replace(state=S.ADOPTED, event=None)
    assert as_accepted(conflict, NEW + b"batch").state is S.ADOPTED
    for end, accepted in (
        (conflict, None),
        (conflict, OLD),
        (conflict._replace(detail=DEAD), NEW),
        (conflict._replace(state=S.FAILED), NEW),
    ):
        assert as_accepted(end, accepted) is end
