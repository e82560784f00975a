"""Every move of a row, and that no row of a random life is ever forgotten."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.home import Home
from scalesync.ledger.effects import Rival
from scalesync.ledger.moves import Move, admit
from scalesync.ledger.sqlite.imports import outcomes, row_counts, rows
from scalesync.ledger.sqlite.imports.feeding import owing
from scalesync.ledger.sqlite.imports.other_records import write_other_records
from scalesync.ledger.sqlite.imports.statements import Place
from scalesync.ledger.sqlite.report import failures
from scalesync.ledger.sqlite.upgrade import migrate
from scalesync.ledger.states import COUNTED, shared_state, standing_of, stands
from scalesync.model.records import Outgoing
from scalesync.model.row_views import Known
from scalesync.model.rows import CHANGED, Gone, OtherRecord, RecordState, RowOutcome, RowState, Verb

OLD, NEW = b"old-content-16by", b"new-content-16by"
THEN, NOW = 1_000, 2_000
S, R = RowState, RecordState


def known(state: RowState, *, reason: str | None = None, was: str | None = None, home: bool = True) -> Known:
    return Known(state, OLD, THEN, reason, was, home)


def test_an_unknown_record_gets_a_durable_intent_of_now():
    assert admit(None, NEW, NOW, recheck=False) == Move(Verb.SEND, S.SENDING, NOW, take_content=True)


# state, same content, recheck -> verb, new state, whether the content is taken
CELLS = [
    (S.PENDING, True, False, Verb.SEND, S.SENDING, False),
    (S.PENDING, False, False, Verb.SEND, S.SENDING, True),
    (S.PENDING, True, True, Verb.SEND, S.SENDING, False),
    (S.PENDING, False, True, Verb.SEND, S.SENDING, True),
    (S.SENDING, True, False, Verb.LOOK_UP, None, False),
    (S.SENDING, False, False, Verb.LOOK_UP, None, False),
    (S.SENDING, True, True, Verb.LOOK_UP, None, False),
    (S.SENDING, False, True, Verb.LOOK_UP, None, False),
    (S.FAILED, True, False, Verb.SKIP, None, False),
    (S.FAILED, False, False, Verb.SEND, S.SENDING, True),
    (S.FAILED, True, True, Verb.SKIP, None, False),
    (S.FAILED, False, True, Verb.SEND, S.SENDING, True),
    (S.CONFLICT, True, False, Verb.SKIP, None, False),
    (S.CONFLICT, False, False, Verb.LOOK_UP, S.SENDING, False),
    (S.CONFLICT, True, True, Verb.LOOK_UP, S.SENDING, False),
    (S.CONFLICT, False, True, Verb.LOOK_UP, S.SENDING, False),
    (S.CREATED, True, False, Verb.SKIP, None, False),
    (S.CREATED, False, False, Verb.SKIP, S.CONFLICT, False),
    (S.CREATED, True, True, Verb.SKIP, None, False),
    (S.CREATED, False, True, Verb.SKIP, S.CONFLICT, False),
    (S.ADOPTED, True, False, Verb.SKIP, None, False),
    (S.ADOPTED, False, False, Verb.SKIP, S.CONFLICT, False),
    (S.ADOPTED, True, True, Verb.SKIP, None, False),
    (S.ADOPTED, False, True, Verb.SKIP, S.CONFLICT, False),
]


def test_the_table_has_every_cell():
    assert {(state, same, recheck) for state, same, recheck, *_ in CELLS} == {
        (state, same, recheck) for state in RowState for same in (True, False) for recheck in (True, False)
    }


@pytest.mark.parametrize(("state", "same", "recheck", "verb", "after", "takes"), CELLS)
def test_admitting_a_home_row(state, same, recheck, verb, after, takes):
    move = admit(known(state), OLD if same else NEW, NOW, recheck=recheck)
    assert (move.verb, move.state, move.take_content, move.listed_as) == (verb, after, takes, None)
    assert move.intent_ms == THEN
    assert move.rival is (verb is Verb.LOOK_UP)
    if state in {S.CREATED, S.ADOPTED} and not same:
        assert (move.reason, move.was) == (CHANGED, state.value)
    else:
        assert (move.reason, move.was) == (None, None)


@pytest.mark.parametrize(("state", "same", "recheck", "verb", "after", "takes"), CELLS)
def test_admitting_a_row_of_another_job(state, same, recheck, verb, after, takes):
    """As at home, but the record is listed beside, or takes over a row that cannot have a task.

    A row with a task is never turned into another job's conflict, nor a conflict into another job's doubt.
    """
    move = admit(known(state, home=False), OLD if same else NEW, NOW, recheck=recheck)
    if state in {S.CREATED, S.ADOPTED} and not same:
        assert (move.verb, move.state, move.listed_as) == (Verb.SKIP, None, R.CHANGED)
    elif state in {S.PENDING, S.FAILED} and not same:
        assert (move.verb, move.state, move.take_content, move.listed_as) == (verb, after, takes, None)
        assert (move.takes_over, move.rival) == (True, False)
    else:
        stays = state is S.CONFLICT and not same
        assert (move.verb, move.state, move.listed_as) == (verb, None if stays else after, R.SHARED)
        assert (move.take_content, move.takes_over, move.rival) == (False, False, verb is not Verb.SKIP)


@pytest.mark.parametrize("recheck", [False, True])
@pytest.mark.parametrize("was", [S.CREATED, S.ADOPTED])
def test_a_record_changed_after_creation_and_put_back(was, recheck):
    row = known(S.CONFLICT, reason=CHANGED, was=was.value)
    assert admit(row, NEW, NOW, recheck=recheck) == Move(Verb.SKIP, None, THEN)
    assert admit(row, OLD, NOW, recheck=recheck) == Move(Verb.SKIP, was, THEN)
    other = known(S.CONFLICT, reason=CHANGED, was=was.value, home=False)
    assert admit(other, OLD, NOW, recheck=recheck) == Move(Verb.SKIP, None, THEN, listed_as=R.SHARED)


@pytest.mark.parametrize("state", [S.CREATED, S.ADOPTED])
@pytest.mark.parametrize("home", [True, False])
def test_a_record_that_differs_from_its_task_is_accepted_on_request_and_stays_so(state, home):
    listed_as = None if home else R.SHARED
    row = Known(state, OLD, THEN, None, None, home, ref="task")
    assert admit(row, NEW, NOW, recheck=True, adopt=True) == Move(
        Verb.SKIP, None, THEN, listed_as=listed_as, accepts=True
    )
    kept = replace(row, accepted=NEW)
    assert admit(kept, NEW, NOW, recheck=False) == Move(Verb.SKIP, None, THEN, listed_as=listed_as, accepts=True)
    assert admit(kept, OLD, NOW, recheck=False) == Move(Verb.SKIP, None, THEN, listed_as=listed_as)
    third = admit(kept, b"third-content-16", NOW, recheck=False)
    assert (third.reason, third.listed_as) == ((CHANGED, None) if home else (None, R.CHANGED))


@pytest.mark.parametrize("was", [S.CREATED, S.ADOPTED])
def test_a_conflict_over_a_changed_record_ends_when_that_is_accepted(was):
    row = known(S.CONFLICT, reason=CHANGED, was=was.value)
    assert admit(row, NEW, NOW, recheck=True, adopt=True) == Move(Verb.SKIP, was, THEN, accepts=True)
    beside = replace(row, home=False)
    accepted = Move(Verb.SKIP, None, THEN, listed_as=R.SHARED, accepts=True)
    assert admit(beside, NEW, NOW, recheck=True, adopt=True) == accepted
    assert admit(replace(beside, accepted=NEW), NEW, NOW, recheck=False) == accepted
    assert admit(beside, NEW, NOW, recheck=True) == Move(Verb.SKIP, None, THEN, listed_as=R.SHARED)


@pytest.mark.parametrize("adopt", [False, True])
def test_what_an_adopted_task_was_made_for_is_asked_of_the_server(adopt):
    row = Known(S.ADOPTED, OLD, THEN, None, None, True, loose=True)
    assert admit(row, NEW, NOW, recheck=adopt, adopt=adopt) == Move(Verb.LOOK_UP, S.SENDING, THEN, rival=True)
    beside = replace(row, home=False)
    asked = Move(Verb.LOOK_UP, None, THEN, listed_as=R.SHARED, rival=True)
    assert admit(beside, NEW, NOW, recheck=adopt, adopt=adopt) == asked
    assert admit(beside, OLD, NOW, recheck=adopt, adopt=adopt) == Move(Verb.SKIP, None, THEN, listed_as=R.SHARED)


@pytest.mark.parametrize("gone", Gone)
def test_a_row_in_doubt_that_is_gone_at_home_is_taken_over(gone):
    row = Known(S.SENDING, OLD, THEN, None, None, home=False, gone=gone)
    assert admit(row, NEW, NOW, recheck=False) == Move(Verb.LOOK_UP, None, THEN, takes_over=True, rival=True)


def test_a_row_without_an_intent_gets_one():
    assert admit(Known(S.PENDING, OLD, 0, None, None, True), OLD, NOW, recheck=False).intent_ms == NOW


CONTENTS = (OLD, NEW, OLD + b"batch", OLD + b"other")


DETAILS = (
    {},
    {"was": "adopted"},
    {"differences": {"type": {}}},
    {"differences": {"status": {}}},
    {"was": "created", "turned": "canceled"},
)


@pytest.mark.parametrize("accepted", [None, OLD, NEW + b"batch", NEW])
@pytest.mark.parametrize("ref", [None, "task", "another"])
def test_the_ledger_tells_a_shared_record_as_the_move_would(accepted, ref):
    db = new_ledger()
    if accepted is not None:
        rows.accept(db, Place(1, 2, 2), "k", accepted, "task")
    for state, held, reason, detail in product(RowState, CONTENTS, (None, CHANGED, "a sentence"), DETAILS):
        for asked in CONTENTS:
            db.execute("DELETE FROM rows")
            db.execute("DELETE FROM other_records")
            db.execute(
                "INSERT INTO rows (target, unique_id, state, job, source, line, content, intent_ms, reason, detail,"
                " task_id) VALUES (1, 'k', ?, 1, 1, 1, ?, 0, ?, ?, ?)",
                (state.value, held, reason, json.dumps(detail) if detail else None, ref),
            )
            write_other_records(db, Place(1, 2, 2), [OtherRecord(1, 1, R.SHARED, key="k", content=asked)])
            known = rows.load(db, 1, 2, ["k"])["k"]
            assert (known.state, known.content, known.reason, known.ref) == (state, held, reason, ref)
            told = shared_state(known, asked)
            ((name, number),) = ((name, n) for name, n in row_counts.count(db, 1, 2).items() if n)
            assert (name, number) == (COUNTED[told], 1)
            listed = db.execute("SELECT state FROM job_records WHERE job='j2'").fetchall()
            assert listed == [(told.value,)]
            failing = [failure.state for failure in failures(db, Home("/"), "j2")]
            assert failing == {"conflicts": ["conflict"], "failed": ["failed"]}.get(name, [])
    db.close()


def test_the_ledger_tells_a_row_that_is_gone_as_the_rule_does():
    db = new_ledger()
    for state, reason, was, gone in product(RowState, (None, CHANGED, "a sentence"), (None, "adopted"), (None, *Gone)):
        detail = json.dumps({"was": was}) if was else None
        db.execute("DELETE FROM rows")
        db.execute(
            "INSERT INTO rows (target, unique_id, state, job, source, line, content, intent_ms, reason, detail, gone)"
            " VALUES (1, 'k', ?, 1, 1, 1, ?, 0, ?, ?, ?)",
            (state.value, OLD, reason, detail, gone),
        )
        told = stands(state, reason, was, gone)
        counts = {name: number for name, number in row_counts.count(db, 1, 1).items() if number}
        counted = {} if told is None else {COUNTED[told]: 1}
        assert counts == counted | ({} if gone is None else {"gone": 1})
        listed = db.execute("SELECT state, gone FROM job_records WHERE job='j1'").fetchall()
        assert listed == [("gone" if told is None else told.value, gone is not None)]
        (standing,) = row_counts.count_homes(db, 1)
        assert standing == standing_of(state, reason, was, gone)
        assert standing.now == next(iter(counted), None)
        failing = [failure.state for failure in failures(db, Home("/"), "j1")]
        assert bool(failing) == (gone is None and state in {S.FAILED, S.CONFLICT})
        assert row_counts.reopen(db, 1, 1, lambda *_: True) == (state is S.FAILED and gone is None)
    db.close()


def test_a_batch_is_owed_the_rows_that_stand_for_no_task_yet():
    db = new_ledger()
    db.execute("UPDATE jobs SET command='import', identity='{}'")
    db.execute("INSERT INTO splits (job, number, kind, name, spec, state) VALUES (1, 1, 'source', 'a', '{}', 'read')")
    for state, reason, was, gone in product(RowState, (None, CHANGED), (None, "adopted"), (None, *Gone)):
        db.execute("DELETE FROM rows")
        db.execute(
            "INSERT INTO rows (target, unique_id, state, job, source, line, content, intent_ms, reason, detail, gone)"
            " VALUES (1, 'k', ?, 1, 1, 1, ?, 0, ?, ?, ?)",
            (state.value, OLD + b"batch", reason, json.dumps({"was": was}) if was else None, gone),
        )
        owed = stands(state, reason, was, gone) not in {None, S.CREATED, S.ADOPTED}
        out = {feeder.job: feeder.out for feeder in owing(db, 1, 2, {"batch"}, ()).get("batch", ())}
        assert out.get("j1", 0) == owed, (state, reason, was, gone)
    db.close()


@pytest.mark.parametrize(("state", "reason"), list(product(RowState, (None, CHANGED))))
def test_no_row_that_is_gone_keeps_a_job_from_being_done_once_it_was_looked_up(state, reason):
    """Only a living task counts on; nothing that is left would want a command that cannot come."""
    told = stands(state, reason if state is S.CONFLICT else None, "adopted", Gone.ABSENT)
    assert told in {None, S.CREATED, S.ADOPTED}
    assert (told is None) != (state in {S.CREATED, S.ADOPTED} or (state is S.CONFLICT and reason == CHANGED))


# --- random lives ----------------------------------------------------------------------------------


@dataclass
class Life:
    """Two jobs over one ledger and a server that refuses a key in use. Tasks: key -> content."""

    db: sqlite3.Connection
    tasks: dict[str, bytes] = field(default_factory=dict)
    creates: int = 0
    run: int = 0

    def step(self, job: int, content: bytes, ending: str) -> None:
        """One run of one job over one record `k`, which ends as asked."""
        self.run += 1
        record = Outgoing("k", content, b"{}", source=1, line=1)
        place, rivals = Place(1, job, job), {}
        (admission,) = rows.admit(
            self.db, place, [record], now_ms=self.run, recheck=False, fresh=self.run % 2 == 1, rivals=rivals
        )
        if admission.verb is Verb.SKIP or ending == "killed before":
            return
        found = self.tasks.get("k") if admission.verb is Verb.LOOK_UP else None
        if found is None and ending == "refused":
            self.settle(place, S.FAILED, rivals, content)
            return
        if found is None and ending == "unsent":
            self.settle(place, S.PENDING, rivals, content)
            return
        if found is None and "k" not in self.tasks:
            self.creates += 1
            self.tasks["k"] = content
        if ending != "killed after":
            self.settle(place, S.CREATED if self.tasks["k"] == content else S.CONFLICT, rivals, content)

    def settle(self, place: Place, state: RowState, rivals: dict[str, Rival], content: bytes = b"") -> None:
        end = RowOutcome("k", state, ref="task" if state in {S.CREATED, S.CONFLICT} else None, content=content)
        outcomes.record(self.db, place, [end], rivals)

    def row(self) -> tuple[str, str | None, bytes]:
        (found,) = self.db.execute("SELECT state, task_id, content FROM rows").fetchall()
        return found[0], found[1], found[2]


def new_ledger() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db)
    db.execute("INSERT INTO targets VALUES (1, 'scale', 'u', 'live', 'default', '', '')")
    for job in (1, 2, 3):
        db.execute(
            "INSERT INTO jobs (id, target, name, command, identity, settings, created_at) VALUES (?,1,?,'','','','')",
            (job, f"j{job}"),
        )
        db.execute("INSERT INTO runs (id, job, epoch, owner, started_at) VALUES (?, ?, 1, '', '')", (job, job))
    return db


ENDINGS = ("done", "killed before", "killed after", "refused", "unsent")
STEPS = st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from([OLD, NEW]), st.sampled_from(ENDINGS)), max_size=12)


@given(STEPS)
def test_no_life_makes_two_tasks_or_forgets_the_one_it_made(steps):
    life = Life(new_ledger())
    try:
        for step in steps:
            life.step(*step)
            state, ref, content = life.row()
            assert life.creates <= 1
            if state in {S.CREATED, S.ADOPTED}:
                assert ref == "task"
                assert life.tasks["k"] == content
            if "k" in life.tasks:
                # Known as a task, told as a conflict, or still in doubt: never pending or failed for good.
                life.step(1, life.tasks["k"], "done")
                assert life.row()[:2] == (S.CREATED, "task") or life.row()[0] in {S.CONFLICT, S.FAILED}
            for job in (1, 2):
                counts = row_counts.count(life.db, 1, job)
                assert sum(counts.values()) - counts["gone"] in {0, 1}
    finally:
        life.db.close()


@given(STEPS)
def test_a_created_row_stays_created_whatever_another_run_settles_late(steps):
    """Two jobs that sent the same record at once: the slower one's verdict comes after the task is known."""
    life = Life(new_ledger())
    try:
        life.step(1, OLD, "done")
        life.step(2, OLD, "done")
        for state, job in product((S.CONFLICT, S.FAILED, S.PENDING, S.SENDING), (1, 2)):
            life.settle(Place(1, job, job), state, {}, OLD)
            assert life.row()[:2] == (S.CREATED, "task")
        for step in steps:
            life.step(*step)
        assert life.creates == 1
        assert life.row()[0] in {S.CREATED, S.CONFLICT}
    finally:
        life.db.close()
