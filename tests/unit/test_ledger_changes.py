"""Random lives of a job of `apply` against a model: what is collected, sent, settled, lost with a run, and told."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from scalesync.errors import LeaseLost
from scalesync.ledger.change_moves import OPEN, Take, collect, counted
from scalesync.ledger.sqlite.changes.change_store import ChangeStore
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.model.changes import Change, ChangeOutcome, ChangeState, StoredChange
from scalesync.model.jobs import JobSpec
from scalesync.model.targets import Mode, Target
from tests.draws import draws

C = ChangeState
SPEC = JobSpec("a", "apply", Target("https://a.test/v1", Mode.LIVE), {"change": "tags add"}, {})
REFS = ("a", "b", "c")
ONE, TWO = {"tags": ["1"]}, {"tags": ["2"]}
LATE = Change("z", None, ONE, 0, 1)

# state, whether the row asks for the same, whether it expects the same -> what it does to the change
CELLS = {
    **{(C.PENDING, same, as_before): Take.REPLACES for same in (True, False) for as_before in (True, False)},
    (C.FAILED, True, True): Take.REPEATS,
    (C.FAILED, True, False): Take.DIFFERS,
    (C.FAILED, False, True): Take.DIFFERS,
    (C.FAILED, False, False): Take.DIFFERS,
    **{
        (state, same, as_before): Take.REPEATS if same else Take.DIFFERS
        for state in (C.SENDING, C.APPLIED, C.UNCHANGED, C.UNCLEAR)
        for same in (True, False)
        for as_before in (True, False)
    },
}


def test_the_table_has_every_cell():
    assert set(CELLS) == set(product(C, (True, False), (True, False)))


@pytest.mark.parametrize(("cell", "take"), CELLS.items())
def test_what_a_row_does_to_the_change_of_its_task(cell, take):
    state, same, as_before = cell
    row = Change("a", None, ONE if same else TWO, 0, 1, {"tags": []} if as_before else {"tags": ["9"]})
    assert collect(state, ONE, {"tags": []}, row) is take


def test_a_flag_is_not_a_number():
    for state, take in ((C.APPLIED, Take.DIFFERS), (C.FAILED, Take.DIFFERS), (C.PENDING, Take.REPLACES)):
        assert collect(state, {"clear": True}, None, Change("a", None, {"clear": 1}, 0, 1)) is take


def test_what_is_under_way_counts_as_pending():
    states = {state.value: 2**place for place, state in enumerate(C)}
    assert counted(states) == {"pending": 3, "applied": 4, "unchanged": 8, "failed": 16, "unclear": 32}


@dataclass(slots=True)
class Model:
    """The ledger as it should be.

    asked: what the newest rows ask for, where that is not what the change does.
    named: refs that this run's collection met. events: in order.
    """

    changes: dict[str, StoredChange] = field(default_factory=dict)
    asked: dict[str, Change] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    figures: dict[str, int] | None = None
    events: list[tuple[str, str]] = field(default_factory=list)

    def collect(self, rows: list[Change]) -> int:
        doubles = 0
        for row in rows:
            doubles += row.ref in self.named
            self.named.add(row.ref)
            old = self.changes.get(row.ref)
            self.asked.pop(row.ref, None)
            if old is None or old.state is C.PENDING:
                self.changes[row.ref] = StoredChange(row, C.PENDING)
                continue
            self.changes[row.ref] = old._replace(change=replace(old.change, line=row.line))
            if old.change.arguments != row.arguments:
                self.asked[row.ref] = row
        return doubles

    def end_collection(self, read: int) -> int:
        self.figures = {"read": read}
        for ref, row in list(self.asked.items()):
            if self.changes[ref].state not in {C.SENDING, C.UNCLEAR, C.PENDING}:
                self.changes[ref] = StoredChange(row, C.PENDING)
                del self.asked[ref]
        return len(self.asked)

    def clear(self) -> None:
        self.changes = {ref: one for ref, one in self.changes.items() if one.state is not C.PENDING}
        self.figures = None
        self.asked.clear()
        self.named.clear()

    def record(self, end: ChangeOutcome) -> None:
        old = self.changes.get(end.ref)
        if old is None or old.state not in {C.PENDING, C.SENDING}:
            return
        self.changes[end.ref] = StoredChange(old.change, end.state, old.attempts + end.attempts, end.status, end.reason)
        if end.event is not None:
            self.events.append((end.ref, end.event))


ROWS = st.lists(st.tuples(st.sampled_from(REFS), st.sampled_from([ONE, TWO])), max_size=4)
END = st.builds(
    ChangeOutcome,
    st.sampled_from(REFS),
    st.sampled_from(C),
    status=st.sampled_from([None, 400]),
    reason=st.sampled_from([None, "no"]),
    attempts=st.integers(0, 2),
    event=st.sampled_from([None, "refused"]),
)


class Lives(RuleBasedStateMachine):
    """One job, run after run, over one file. Runs that lost their lease go on trying."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._folder = TemporaryDirectory()
        self._path = Path(self._folder.name) / "l.db"
        self._ledgers: list[SqliteLedger] = []
        self._lost: list[ChangeStore] = []
        self._model = Model()
        self._line = 0
        self._begin()

    def _begin(self) -> None:
        self._ledgers.append(SqliteLedger.open(self._path, note=lambda text: None))
        self._job = self._do(self._ledgers[-1].open_changes(SPEC))
        self._model.named.clear()

    def _do(self, call):
        return self._loop.run_until_complete(call)

    @rule(rows=ROWS)
    def collect(self, rows):
        made = []
        for ref, arguments in rows:
            self._line += 1
            made.append(Change(ref, None, arguments, 0, self._line))
        assert self._do(self._job.collect(made)) == self._model.collect(made)

    @rule(read=st.integers(0, 9))
    def end_of_the_collection(self, read):
        assert self._do(self._job.collected({"read": read})) == self._model.end_collection(read)

    @rule()
    def begin_the_collection_again(self):
        self._do(self._job.clear())
        self._model.clear()

    @rule(refs=st.sets(st.sampled_from(REFS)))
    def intend(self, refs):
        self._do(self._job.intend(sorted(refs)))
        for ref in refs & set(self._model.changes):
            if self._model.changes[ref].state is C.PENDING:
                self._model.changes[ref] = self._model.changes[ref]._replace(state=C.SENDING)

    @rule(ends=st.lists(END, max_size=3, unique_by=lambda end: end.ref))
    def record(self, ends):
        self._do(self._job.record(ends))
        for end in sorted(ends, key=lambda end: end.event is not None):
            self._model.record(end)

    @rule(status=st.sampled_from([None, 400]))
    def reopen(self, status):
        failed = [ref for ref, one in self._model.changes.items() if one.state is C.FAILED and one.status == status]
        assert self._do(self._job.reopen(lambda ref, had, reason: had == status)) == len(failed)
        for ref in failed:
            self._model.changes[ref] = self._model.changes[ref]._replace(state=C.PENDING)

    @rule()
    def the_run_ends_and_another_begins(self):
        self._do(self._job.finish(complete=False, exit_code=3, figures={}))
        self._ledgers.pop().close()
        self._begin()

    @rule()
    def the_run_is_killed_and_another_begins(self):
        """Its owner is gone with its ledger, which gave nothing back."""
        self._ledgers.pop().close()
        self._begin()

    @rule()
    def the_run_is_frozen_and_another_begins(self):
        with closing(sqlite3.connect(self._path, isolation_level=None)) as db:
            db.execute("UPDATE jobs SET lease_until_ms=1")
        self._lost.append(self._job)
        self._begin()

    @rule(end=END)
    def a_run_that_lost_its_lease_wakes(self, end):
        for job in self._lost:
            for write in (
                job.record([end]),
                job.intend(REFS),
                job.clear(),
                job.collect([Change("z", None, ONE, 0, 1)]),
            ):
                with pytest.raises(LeaseLost):
                    self._do(write)

    @invariant()
    def the_ledger_holds_what_the_model_holds(self):
        changes = self._model.changes
        assert {one.change.ref: one for one in self._do(self._job.pages(list(C), "", 9))} == changes
        waiting = [one for _, one in sorted(changes.items()) if one.state in OPEN]
        assert list(self._do(self._job.waiting("", 9))) == waiting
        counts = dict.fromkeys([*(state.value for state in C), "invalid"], 0)
        for one in changes.values():
            counts[one.state.value] += 1
        assert self._do(self._job.counts()) == counts
        assert self._do(self._job.collection()) == self._model.figures

    def teardown(self) -> None:
        for ledger in self._ledgers:
            ledger.close()
        with closing(sqlite3.connect(self._path)) as db:
            events = db.execute("SELECT detail, event FROM events ORDER BY id").fetchall()
        self._loop.close()
        self._folder.cleanup()
        assert [(json.loads(detail)["ref"], event) for detail, event in events] == self._model.events


TestLives = Lives.TestCase
# Each step commits to a file: the thousand runs that a soak draws without a number take longer than its round.
TestLives.settings = settings(max_examples=draws(160), deadline=None)
