"""Every interleaving of some jobs' runs over one unique_id, with two contents, through the ledger's own SQL.

A run admits its record, looks the key up, sends, looks up again and settles, as its verb has it; between any two steps
the others may take theirs. It may be killed anywhere, stopped before it sent, give up, be refused, and have its record
changed before it begins again. The search goes over all states that can be reached, each one once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Set
from dataclasses import dataclass, field, replace
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.ledger.effects import Rival
from scalesync.ledger.sqlite.imports import outcomes, row_counts, rows
from scalesync.ledger.sqlite.imports.statements import Place
from scalesync.ledger.sqlite.upgrade import migrate
from scalesync.model.records import Outgoing
from scalesync.model.rows import Gone, RowOutcome, RowState, Verb

OLD, NEW = b"old-content-16by", b"new-content-16by"
S = RowState
WAYS = {Verb.SEND: ("send", "look", "settle"), Verb.LOOK_UP: ("look", "send", "look", "settle"), Verb.SKIP: ()}
ROW = "state, task_id, job, content, status, reason, detail, gone"
OTHER = "job, state, reason, detail, content"
Rows = tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Run:
    """A job's newest run. content: of its record; found: by the last look-up; ended: by itself.

    away: the record was in no source any more. adopts: it was asked to accept a task that differs; accepted: the
    contents that did.
    """

    content: bytes = b""
    to_do: tuple[str, ...] = ()
    found: bytes | None = None
    rival: Rival | None = None
    begun: int = 0
    ended: bool = False
    away: bool = False
    adopts: bool = False
    accepted: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class Moment:
    """The ledger, the task on the server, and where each job's run stands."""

    row: Rows
    other_records: Rows
    acceptances: Rows
    task: bytes | None
    runs: tuple[Run, ...]

    def with_run(self, job: int, run: Run, task: bytes | None) -> Moment:
        """After a step of a job's run that left the ledger as it is."""
        return Moment(
            self.row, self.other_records, self.acceptances, task, (*self.runs[: job - 1], run, *self.runs[job:])
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """begins: of one job, at most. refused: a content that the server never takes. moody: it may refuse at any time.

    leaves: a job's record may go from its source, and come back. adopts: a run may accept a task that differs.
    """

    jobs: int
    begins: int
    contents: tuple[bytes, bytes] = (OLD, NEW)
    refused: bytes | None = None
    moody: bool = False
    leaves: bool = False
    adopts: bool = False

    @property
    def rounds(self) -> int:
        """Until all is told: what only the server can say of a record whose row was taken over, the next run asks."""
        one, other = self.contents
        return 2 if self.moody or other.startswith(one) else 1


@dataclass
class Ledger:
    """The real one, set to a moment and read back."""

    rules: Rules
    db: sqlite3.Connection = field(init=False)

    def __post_init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.db)
        self.db.execute("INSERT INTO targets VALUES (1, 'scale', 'u', 'live', 'default', '', '')")
        for job in range(1, self.rules.jobs + 1):
            self.db.execute(
                "INSERT INTO jobs (id, target, name, command, identity, settings, created_at)"
                " VALUES (?, 1, ?, '', '', '', '')",
                (job, f"j{job}"),
            )
            self.db.execute("INSERT INTO runs (id, job, epoch, owner, started_at) VALUES (?, ?, 1, '', '')", (job, job))

    def begin(self) -> Moment:
        return Moment((), (), (), None, (Run(),) * self.rules.jobs)

    def set(self, moment: Moment) -> None:
        self.db.execute("DELETE FROM rows")
        self.db.execute("DELETE FROM other_records")
        self.db.execute("DELETE FROM acceptances")
        self.db.executemany(
            "INSERT INTO acceptances (unique_id, job, content, task_id) VALUES ('k', ?,?,?)", moment.acceptances
        )
        for row in moment.row:
            self.db.execute(
                f"INSERT INTO rows (target, unique_id, source, line, intent_ms, {ROW})"
                " VALUES (1, 'k', 1, 1, 1, ?,?,?,?,?,?,?,?)",
                row,
            )
        for other in moment.other_records:
            self.db.execute(
                f"INSERT INTO other_records (source, line, unique_id, run, {OTHER}) VALUES (1, 1, 'k', 1, ?,?,?,?,?)",
                other,
            )

    def read(self, moment: Moment, job: int, run: Run, task: bytes | None) -> Moment:
        """What `moment` has become when a step of a job's run led to `run` and `task`."""
        row = tuple(self.db.execute(f"SELECT {ROW} FROM rows").fetchall())
        other_records = tuple(self.db.execute(f"SELECT {OTHER} FROM other_records ORDER BY job").fetchall())
        accepted = tuple(self.db.execute("SELECT job, content, task_id FROM acceptances ORDER BY job").fetchall())
        return replace(moment.with_run(job, run, task), row=row, other_records=other_records, acceptances=accepted)

    def admit(self, job: int, run: Run, content: bytes, *, adopt: bool = False) -> Run:
        rivals: dict[str, Rival] = {}
        record = Outgoing("k", content, b"{}", source=1, line=1)
        (admission,) = rows.admit(
            *(self.db, Place(1, job, job), [record]),
            now_ms=1,
            recheck=adopt,
            fresh=False,
            rivals=rivals,
            adopt=adopt,
        )
        self.db.execute("UPDATE rows SET gone=NULL WHERE job=?", (job,))  # as `mark_gone` does at the end of a reading
        way = WAYS[admission.verb]
        accepted = run.accepted | ({content} if adopt and admission.adopts else set())
        return Run(
            *(content, way, None, rivals.get("k"), run.begun + 1),
            ended=not way,
            adopts=adopt,
            accepted=accepted,
        )

    def leave(self, job: int, run: Run) -> Run:
        """A run that reads all and does not meet the record."""
        self.db.execute("DELETE FROM other_records WHERE job=?", (job,))
        row_counts.mark_gone(self.db, job, 0, lambda key: False, None)
        doubtful = self.db.execute("SELECT 1 FROM rows WHERE job=? AND state='sending' AND gone=1", (job,)).fetchall()
        way = ("look", "conclude") if doubtful else ()
        return Run(run.content, way, None, None, run.begun + 1, ended=not way, away=True, accepted=run.accepted)

    def conclude(self, run: Run) -> Run:
        """What `GoneStore.conclude` does of one that was looked up."""
        gone, ref = (Gone.ABSENT, None) if run.found is None else (Gone.CREATED, "task")
        self.db.execute("UPDATE rows SET gone=?, task_id=? WHERE state='sending' AND gone=1", (gone, ref))
        return replace(run, to_do=(), found=None, ended=True)

    def settle(self, job: int, run: Run, state: RowState) -> Run:
        ref = "task" if state in {S.CONFLICT, S.CREATED, S.ADOPTED} else None
        reason = "differs" if state in {S.CONFLICT, S.ADOPTED} else None
        detail = None if reason is None else {"differences": {"instruction": {}}}
        end = RowOutcome("k", state, ref=ref, reason=reason, detail=detail, content=run.content)
        outcomes.record(self.db, Place(1, job, job), [end], {} if run.rival is None else {"k": run.rival})
        accepted = run.accepted | ({run.content} if state is S.ADOPTED else set())
        ended = state in {S.CREATED, S.ADOPTED, S.CONFLICT, S.FAILED}
        return replace(run, to_do=(), found=None, rival=None, ended=ended, accepted=accepted)

    def go_on(self, job: int, run: Run, task: bytes | None) -> tuple[Run, bytes | None]:
        """The next of: a look-up, a create call that the server refuses when the key is in use, the end."""
        done, *rest = run.to_do
        match done:
            case "look":
                return replace(run, to_do=tuple(rest), found=task), task
            case "conclude":
                return self.conclude(run), task
            case "send" if run.content == self.rules.refused:
                return self.settle(job, run, S.FAILED), task
            case "send":
                return replace(run, to_do=tuple(rest)), run.content if task is None else task
            case _:
                differs = S.ADOPTED if run.adopts else S.CONFLICT
                return self.settle(job, run, S.CREATED if fits(run.found, run.content) else differs), task

    def told(self, job: int) -> str:
        counts = row_counts.count(self.db, 1, job)
        names = [name for name, number in counts.items() if number and name != "gone"]
        assert len(names) < 2
        assert names or counts["gone"] or not self.db.execute("SELECT 1 FROM rows WHERE job=?", (job,)).fetchall()
        return names[0] if names else "gone"

    # --- one step further ----------------------------------------------------------------------

    def after(self, moment: Moment) -> Iterator[Moment]:
        for job, run in enumerate(moment.runs, start=1):
            if run.to_do:
                yield from self._after_running(moment, job, run)
            elif run.begun < self.rules.begins:
                ways = (False, True) if self.rules.adopts else (False,)
                for content, adopt in product(self.rules.contents, ways):
                    self.set(moment)
                    yield self.read(moment, job, self.admit(job, run, content, adopt=adopt), moment.task)
                if self.rules.leaves and run.content and not run.away:
                    self.set(moment)
                    yield self.read(moment, job, self.leave(job, run), moment.task)

    def _after_running(self, moment: Moment, job: int, run: Run) -> Iterator[Moment]:
        yield moment.with_run(job, replace(run, to_do=(), found=None, rival=None), moment.task)  # killed
        ends = {"send": [S.PENDING], "settle": [S.SENDING]}.get(run.to_do[0], [])
        if self.rules.moody and run.to_do[0] == "send" and moment.task is None:
            ends = [*ends, S.FAILED]
        for end in ends:  # stopped before it sent, gave up, was refused
            self.set(moment)
            yield self.read(moment, job, self.settle(job, run, end), moment.task)
        if run.to_do[0] == "look" or (run.to_do[0] == "send" and run.content != self.rules.refused):
            yield moment.with_run(job, *self.go_on(job, run, moment.task))  # the ledger has no part in it
            return
        self.set(moment)
        yield self.read(moment, job, *self.go_on(job, run, moment.task))

    # --- what must be true ---------------------------------------------------------------------

    def check(self, moment: Moment) -> None:
        """Of a run that ended by itself nothing false is told, whatever the others do since."""
        self.set(moment)
        accepted = {content for run in moment.runs for content in run.accepted}  # of a shared row, by whichever job
        for job, run in enumerate(moment.runs, start=1):
            if not run.ended:
                continue
            told = self.told(job)
            if run.away:
                assert told == "gone" or moment.task is not None, moment
                continue
            fitting = fits(moment.task, run.content)
            assert told not in {"created", "adopted"} or fitting or run.content in accepted, moment
            if not self.rules.moody:
                assert told != "conflicts" or not (fitting or moment.task is None), moment
                assert told != "conflicts" or run.content not in run.accepted, moment
                assert told != "failed" or run.content == self.rules.refused, moment

    def check_ends(self, moment: Moment) -> None:
        """Where no run goes on: each job run again, in whatever order, ends as its record deserves."""
        begun = [job for job, run in enumerate(moment.runs, start=1) if run.content]
        for order in permutations(begun):
            self.set(moment)
            task = moment.task
            for job in order * self.rules.rounds:
                before = moment.runs[job - 1]
                run = self.leave(job, before) if before.away else self.admit(job, Run(), before.content)
                while run.to_do:
                    run, task = self.go_on(job, run, task)
            for job in begun:
                if moment.runs[job - 1].away:
                    assert self.told(job) in {"gone", "created", "adopted"}, moment
                    continue
                accepted = {content for run in moment.runs for content in run.accepted}
                deserved = self._deserved(moment.runs[job - 1].content, task, accepted)
                assert self.told(job) in deserved, (deserved, moment)

    def _deserved(self, content: bytes, task: bytes | None, accepted: Set[bytes]) -> set[str]:
        """A record that was once refused stays so until it is retried."""
        refused = {"failed"} if self.rules.moody or content == self.rules.refused else set()
        if task is None:
            return {"failed"}
        if self.rules.adopts and fits(task, content):
            return refused | {"created", "adopted"}
        accepting = {"created", "adopted"} if content in accepted else set()
        return refused | accepting | {"created" if fits(task, content) else "conflicts"}


def fits(task: bytes | None, content: bytes) -> bool:
    """Whether a task is what a record asks for. A record without a batch takes it from any."""
    return task is not None and (task == content or (len(content) == len(OLD) and task.startswith(content)))


def search(rules: Rules) -> int:
    """Check every state that can be reached; returns how many there are."""
    ledger = Ledger(rules)
    seen = {ledger.begin()}
    front, ends = [ledger.begin()], set()
    while front:
        news = {after for moment in front for after in ledger.after(moment)} - seen
        for moment in news:
            ledger.check(moment)
            ways = tuple((run.content, run.accepted) for run in moment.runs)
            end = (moment.row, moment.other_records, moment.acceptances, moment.task, ways)
            if end not in ends and not any(run.to_do for run in moment.runs):
                ends.add(end)
                ledger.check_ends(moment)
        seen |= news
        front = list(news)
    ledger.db.close()
    return len(seen)


LONG = (pytest.mark.soak, pytest.mark.timeout(900))


@pytest.mark.parametrize(
    "rules",
    [
        Rules(2, 2),
        Rules(2, 2, refused=OLD),
        Rules(2, 2, moody=True),
        Rules(2, 2, (OLD, OLD + b"batch")),
        pytest.param(Rules(2, 2, (OLD + b"batch", OLD + b"other")), marks=LONG),
        pytest.param(Rules(2, 3), marks=LONG),
        Rules(1, 5, leaves=True),
        pytest.param(Rules(2, 2, leaves=True), marks=LONG),
        Rules(2, 2, refused=OLD, leaves=True),
        pytest.param(Rules(2, 2, (OLD, OLD + b"batch"), leaves=True), marks=LONG),
        pytest.param(Rules(3, 1), marks=LONG),
        pytest.param(Rules(3, 1, (OLD, OLD + b"batch")), marks=LONG),
        pytest.param(Rules(3, 1, refused=OLD), marks=LONG),
        pytest.param(Rules(3, 1, moody=True), marks=LONG),
        Rules(1, 4, adopts=True),
        Rules(2, 1, adopts=True),
        pytest.param(Rules(2, 2, adopts=True), marks=LONG),
        pytest.param(Rules(3, 1, adopts=True), marks=LONG),
        pytest.param(Rules(2, 2, refused=OLD, adopts=True), marks=LONG),
        pytest.param(Rules(2, 2, (OLD, OLD + b"batch"), adopts=True), marks=LONG),
        pytest.param(Rules(2, 2, (OLD + b"batch", OLD + b"other"), adopts=True), marks=LONG),
        pytest.param(Rules(2, 2, adopts=True, leaves=True), marks=LONG),
    ],
    ids=str,
)
def test_whatever_two_or_three_jobs_do_at_once_each_record_ends_as_it_deserves(rules: Rules):
    assert search(rules) > 500


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rules", [Rules(3, 2), Rules(3, 2, refused=OLD), Rules(3, 2, (OLD, OLD + b"batch"))], ids=str)
def test_three_jobs_that_begin_twice(rules: Rules):
    assert search(rules) > 100_000


@given(st.lists(st.integers(0, 1000), max_size=60), st.sampled_from([None, OLD]), *[st.booleans()] * 3)
def test_a_walk_of_three_jobs_that_begin_often(
    choices: list[int], refused: bytes | None, moody: bool, leaves: bool, adopts: bool
):
    ledger = Ledger(Rules(3, 60, refused=refused, moody=moody, leaves=leaves, adopts=adopts))
    moment = ledger.begin()
    for choice in choices:
        following = list(ledger.after(moment))
        moment = following[choice % len(following)]
        ledger.check(moment)
    killed = tuple(replace(run, to_do=(), rival=None, ended=run.ended and not run.to_do) for run in moment.runs)
    ledger.check_ends(replace(moment, runs=killed))
    ledger.db.close()
