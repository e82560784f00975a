"""Commands in any order, with edits of the source, changes on the server, faults and kills between and in them.

A walk is a list of steps; each has a seed of its own, so that a step can be left out without changing the others. What
must be true afterwards is told by `oracle`, which knows source and server alone.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.kill_increments import START_MS
from tests.faults.killer import LETTERS
from tests.faults.kills import KILLED, MOST_RUNS, Ended, Site, Verdict, check_integrity, site
from tests.walks.folders import Folders
from tests.walks.lies import ELSEWHERE, SHORTEST, STRANGERS
from tests.walks.oracle import Expected, Row, Task, expected, forgotten, repeated, tasks_of
from tests.walks.sources import Files, Letter
from tests.walks.steps import READING, Step

JOBS = {"walk": "", "part": "a"}  # the second one reads the files whose names begin so, which the first reads too
IMPORT = ("--type", "categorization", "--project", LETTERS)
LEDGER = "ledger.db"
ACTIONS = ("complete", "complete", "complete", "cancel", "error", "recall", "correct")


class Endless(Exception):
    """A run that does not end."""


@dataclass(slots=True)
class Walk:
    """A walk at work. log: what was done; wrong: sentences, empty while every promise held.

    within: what exports are asked for, so that a list can show tasks of another question. lying: for how many more
    runs the lists lie; lied: they did in the last one.
    """

    here: Site
    files: Files
    log: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    kills: int = 0
    commands: int = 0
    lied_to: int = 0
    lost_ledger: bool = False
    job: str = "walk"
    within: tuple[str, ...] = ()
    lying: int = 0
    lied: bool = False

    # --- what can be asked -------------------------------------------------------------------------

    @property
    def ledger(self) -> Path:
        return self.here.folder / LEDGER

    def documents(self) -> list[str]:
        """The tasks of the project as they stand on the server, byte for byte."""
        return [line for line in self.here.ask("documents") if json.loads(line)["project"] == LETTERS]

    def tasks(self) -> list[Task]:
        """Those that were made of records."""
        return tasks_of([json.loads(line) for line in self.documents()])

    @property
    def begun(self) -> set[str]:
        """The imports that the ledger knows: one that was killed at once may have left nothing."""
        return {name for (name,) in self._rows("SELECT name FROM jobs WHERE command='import'")}

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        if not self.ledger.exists():
            return []
        with (
            closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as db,
            suppress(sqlite3.OperationalError),  # killed before it had tables
        ):
            return db.execute(sql).fetchall()
        return []

    def known(self) -> set[str]:
        """The unique_ids that the ledger holds."""
        return {key for (key,) in self._rows("SELECT unique_id FROM rows")}

    def rows(self) -> list[Row]:
        """What the ledger says of each unique_id."""
        return [Row(*row) for row in self._rows("SELECT unique_id, state, task_id FROM rows")]

    def blame(self, sentence: str) -> None:
        self.wrong.append(f"after step {len(self.log)} ({self.log[-1] if self.log else 'none'}): {sentence}")

    @contextmanager
    def ending(self) -> Iterator[None]:
        """A run without an end is a broken promise."""
        try:
            yield
        except Endless as endless:
            self.blame(str(endless))

    # --- steps -------------------------------------------------------------------------------------

    def take(self, step: Step) -> None:
        """Do one step and look at what must hold after each."""
        rng = random.Random(step.seed)
        if step.kind == "edit":
            self.log.append(self.files.edit(step.what, rng))
            return
        if step.kind == "server":
            actions = [rng.choice(ACTIONS) for _ in range(rng.randint(1, 4))]
            self.log.append(f"server: {', '.join(self.here.ask('touch', draw=str(step.seed), actions=actions))}")
            return
        self.job = step.job
        if not self.files.named(JOBS[self.job]):
            return
        what = step.what if step.job in self.begun or step.what == "rebuild" else "import"
        place = Folders(self) if hasattr(Folders, what) else self
        command: Callable[[random.Random, Step], None] = getattr(place, what if place is not self else f"_{what}")
        before, known, rows = self.tasks(), self.known(), self.rows()
        self.here.ask("faults", rules=step.rules)
        self.lying = 0 if step.lies is None else step.lies.runs
        command(rng, step)
        self._stop_lying()
        # An increment ends before the second in which it begins: what was made in that second comes with the next one.
        self.here.ask("touch", draw="", actions=[])
        self._look(what, before, known)
        if what != "rebuild" and (lost := forgotten(rows, self.rows(), self.tasks())):
            self.blame(f"{what} forgot {len(lost)} tasks: {lost[:3]}")

    def _stop_lying(self) -> None:
        self.lying = 0
        self.here.ask("faults", rules=[])

    def run(self, *arguments: str, step: Step | None = None, wanted: Sequence[int] = (0, 1, 3)) -> Ended:
        """One command. A kill comes at the step's request, and not at all when there are fewer."""
        kill = 0 if step is None else step.kill
        phase = "enter" if step is None else step.phase
        ledger = None if arguments[0] == "compact" else LEDGER
        if not (lied := self.lying > 0) and self.lied:
            self._stop_lying()
        self.lied, self.lying = lied, self.lying - lied
        try:
            ended = self.here.run(*arguments, after=kill, phase=phase, ledger=ledger)
        except subprocess.TimeoutExpired as error:
            raise Endless(f"{' '.join(arguments)} has no end") from error
        self.here.ask("report")  # disarms a kill that came too late
        self.commands += 1
        self.lied_to += lied
        self.kills += ended.code == KILLED
        with_lies = f", with {step.lies}" if lied and step is not None else ", with the same lies" if lied else ""
        self.log.append(f"{' '.join(arguments)} -> {ended.code}{with_lies}")
        if ended.code != KILLED and ended.code not in wanted:
            self.blame(f"exit code {ended.code}: {ended.summary or ended.err[-500:]}")
        if "Traceback" in ended.err:
            self.blame(ended.err[-1500:])
        summary = ended.summary
        if "created" in summary:
            parts = ("created", "adopted", "conflicts", "failed", "invalid", "pending", "duplicates")
            if summary["read"] != sum(summary[name] for name in parts):
                self.blame(f"the counts do not add up: {summary}")
        return ended

    def _look(self, what: str, before: Sequence[Task], known: set[str]) -> None:
        verdict = Verdict("walk")
        check_integrity(verdict, self.ledger)
        after = self.tasks()
        for sentence in [*verdict.wrong, *repeated(after, self.files)]:
            self.blame(sentence)
        ids = {task.task_id for task in before}
        news = [task for task in after if task.task_id not in ids]
        if what in READING and news:
            self.blame(f"{what} made {len(news)} tasks")
        present = {letter.identity for letter in self.files if not letter.bad}
        if unasked := [task for task in news if task.identity not in present]:
            self.blame(f"tasks were made of records that are in no source: {unasked[:3]}")
        if what == "retry" and (more := [task for task in news if task.key not in known]):
            self.blame(f"retry sent {len(more)} records that the ledger did not know: {more[:3]}")

    # --- commands ----------------------------------------------------------------------------------

    def source(self) -> str:
        return f"src/{JOBS[self.job]}*.jsonl"

    def letters(self) -> list[Letter]:
        """The lines that the present job reads."""
        return list(self.files.of(JOBS[self.job]))

    def told(self) -> Expected:
        """What the present job must count once it is done."""
        return expected(self.files, self.tasks(), JOBS[self.job])

    def import_(self, *more: str, step: Step | None = None) -> Ended:
        return self.run("import", self.source(), *IMPORT, "--job", self.job, "--yes", *more, step=step)

    def _import(self, rng: random.Random, step: Step) -> None:
        self._done(self.import_(step=step))

    def _rescan(self, rng: random.Random, step: Step) -> None:
        self._done(self.import_("--rescan", step=step))

    def _done(self, ended: Ended) -> None:
        """An import that says that everything is done left no record without a task."""
        if ended.code == 0 and ((told := self.told()).failed or told.invalid):
            self.blame(f"an import ended with 0 where source and server say {told}")

    def _limit(self, rng: random.Random, step: Step) -> None:
        limit = rng.choice((1, 3, 10))
        known, before = self.known(), {task.task_id for task in self.tasks()}
        ended = self.import_("--limit", str(limit), step=step)
        letters = self.letters()
        allowed = {letter.identity for letter in letters[: limit + sum(one.bad for one in letters)]}
        for task in self.tasks():
            if task.task_id not in before and task.key not in known and task.identity not in allowed:
                self.blame(f"--limit {limit} sent {task} ({ended.code})")

    def _max_new(self, rng: random.Random, step: Step) -> None:
        most = rng.choice((1, 3, 10))
        known, before = self.known(), {task.task_id for task in self.tasks()}
        self.import_("--max-new", str(most), step=step)
        news = [task for task in self.tasks() if task.task_id not in before and task.key not in known]
        if len(news) > most:
            self.blame(f"--max-new {most} sent {len(news)} new records")

    def _canary(self, rng: random.Random, step: Step) -> None:
        self._done(self.import_("--canary", str(rng.choice((1, 3))), "--canary-wait", "0", step=step))

    def _reclaim(self, rng: random.Random, step: Step) -> None:
        self._done(self.import_("--reclaim", rng.choice(("canceled", "error", "canceled,error")), step=step))

    def _retry(self, rng: random.Random, step: Step) -> None:
        self.run("retry", "--job", self.job, "--yes", *rng.choice(((), (), ("--errored",))), step=step)

    def _verify(self, rng: random.Random, step: Step) -> None:
        """Under lies, what is found is what the same command finds when they are over, or it is told as unclear."""
        more = ("--unexpected",) if step.lies is not None and rng.random() < 0.5 else ()
        ended, found = self._findings(*more, step=step)
        if step.lies is None or ended.code not in (0, 1):
            return
        self._stop_lying()
        last, honest = self._findings(*more)
        if last.code not in (0, 1):
            self.blame(f"verify ended with {last.code} when the lists lied no more")
        if untrue := [told for told in found - honest if told[0] != "unclear"]:
            self.blame(f"verify found what is not so: {untrue[:3]}")
        if (unseen := honest - found) and not any(kind == "unclear" for kind, *_ in found):
            self.blame(f"verify passed over what a list left out: {sorted(unseen, key=str)[:3]}")

    def _findings(self, *more: str, step: Step | None = None) -> tuple[Ended, set[tuple[str, str, str]]]:
        path = self.here.folder / "findings.jsonl"
        ended = self.run("verify", "--job", self.job, "--out", path.name, *more, step=step)
        if ended.code == 0 and not (told := self.told()).done:
            self.blame(f"verify ended with 0 where the source and the server say {told}")
        lines = path.read_text("utf-8").splitlines() if ended.code in (0, 1) and path.exists() else []
        told_of = [(one["kind"], one["unique_id"] or "", one["task_id"] or "") for one in map(json.loads, lines)]
        if len(named := [one for one in told_of if one[0] == "unexpected"]) > len(set(named)):
            self.blame("verify tells of a task twice")
        return ended, set(told_of)

    def _fix(self, rng: random.Random, step: Step) -> None:
        self.run("verify", "--job", self.job, "--fix", "--yes", "--out", "findings.jsonl", step=step)

    def _refresh(self, rng: random.Random, step: Step) -> None:
        """Under lies, a task is only told as missing where it is missing when they are over."""
        ended = self.run("status", "--job", self.job, "--refresh", step=step)
        if step.lies is None or ended.code:
            return
        self._stop_lying()
        honest = self._missing(self.run("status", "--job", self.job, "--refresh"))
        if (missing := self._missing(ended)) > honest:
            self.blame(f"status --refresh misses {missing} tasks, and {honest} when the lists lie no more")

    @staticmethod
    def _missing(ended: Ended) -> int:
        return sum((job["tasks"] or {}).get("missing", 0) for job in ended.summary.get("jobs", ()))

    def _rebuild(self, rng: random.Random, step: Step) -> None:
        """The ledger is lost; it is rebuilt from source and server."""
        for path in self.here.folder.glob(f"{LEDGER}*"):
            path.unlink()
        self.lost_ledger = True
        command = ("ledger", "rebuild", self.source(), *IMPORT, "--job", self.job)
        ended = self.run(*command, step=step)
        for _ in range(MOST_RUNS):
            if ended.code not in (KILLED, 3):
                keys = {task.key for task in self.tasks()}
                if lost := [row for row in self.rows() if row.state in {"pending", "failed"} and row.key in keys]:
                    self.blame(f"ledger rebuild says that records without a doubt have no task: {lost[:3]}")
                return
            ended = self.run(*command)
        self.blame(f"ledger rebuild does not come to an end: {ended.summary or ended.err[-500:]}")

    # --- the end -----------------------------------------------------------------------------------

    def settle(self) -> None:
        """Run the imports until they are done: what they count is what source and server say."""
        for job in self._readable():
            self.job = job
            self._until_done()
            self.run("status", "--job", self.job, "--refresh")
        for job in self._readable():
            self.job = job
            ended = self._until_done("--rescan")
            self._judge("the import", ended, self.told())
            seen = self.here.ask("report")["creates"]
            again = self.import_()
            if self.here.ask("report")["creates"] != seen:
                self.blame("the import of a finished job sent something")
            if again.code != ended.code:
                self.blame(f"the import of a finished job ended with {again.code}, before with {ended.code}")

    def heal(self) -> None:
        """Correct everything that a person can correct: then the jobs end with 0, and verify agrees."""
        self.log.append("everything is put right")
        living = {task.identity[0]: task.identity for task in self.tasks() if not task.dead and task.key is not None}
        self.files.put_right(living)
        for job in self._readable():
            self.job = job
            self._healed()

    def _readable(self) -> list[str]:
        """The jobs whose source matches a file."""
        return [job for job in sorted(self.begun) if self.files.named(JOBS[job])]

    def _healed(self) -> None:
        ended = self._until_done("--reclaim", "canceled,error", "--rescan")
        told = self.told()
        self._judge("the import of a corrected source", ended, told)
        checked = self.run("verify", "--job", self.job, "--out", "findings.jsonl")
        if checked.code != 0 and told.done and not told.gone and not self.lost_ledger:
            self.blame(f"verify found {checked.summary}")

    def _until_done(self, *more: str) -> Ended:
        for _ in range(MOST_RUNS):
            ended = self.import_(*more)
            if ended.code in (0, 1):
                return ended
        self.blame(f"the import does not come to an end: {ended.summary or ended.err[-500:]}")
        return ended

    def _judge(self, what: str, ended: Ended, told: Expected) -> None:
        found = ended.summary
        if "read" not in found:
            self.blame(f"{what} ended with {ended.code} and no counts: {found or ended.err[-500:]}")
            return
        wanted = {"failed": told.failed, "invalid": told.invalid, "duplicates": told.duplicates, "pending": 0}
        counted = {name: found[name] for name in wanted}
        tasks, read = found["created"] + found["adopted"], found["read"]
        if counted != wanted:
            self.blame(f"{what} counts {counted}, source and server say {wanted}")
        # A ledger that was lost knows nothing of records that left the source before, and of two jobs the one that
        # brought a record keeps it.
        least = told.gone if self.lost_ledger or len(self.begun) > 1 else 0
        if not told.conflicts - least <= found["conflicts"] <= told.conflicts:
            self.blame(f"{what} counts {found['conflicts']} conflicts, source and server say {told}")
        if not (told.tasks - least <= tasks <= told.tasks and told.read - least <= read <= told.read):
            self.blame(f"{what} counts {tasks} tasks of {read} read, source and server say {told}")
        if told.done and ended.code != 0:
            self.blame(f"{what} ended with {ended.code}: {found}")
        findings = told.failed + told.invalid + told.conflicts - least
        if findings > 0 and ended.code != 1:
            self.blame(f"{what} ended with {ended.code} where source and server say {told}")


@dataclass(slots=True)
class Outcome:
    """What a walk came to. lied_to: commands whose lists lied."""

    seed: int
    steps: int
    commands: int
    kills: int
    lied_to: int
    wrong: list[str]
    log: list[str]


def walk(folder: Path, seed: int, steps: Sequence[Step]) -> Outcome:
    """Go the steps, then settle and put everything right; ends at the first broken promise."""
    rng = random.Random(f"files {seed}")
    lying = any(step.lies is not None for step in steps)
    most = random.Random(f"pages {seed}").choice(SHORTEST) if lying else None
    with site(folder, seed, clock_ms=START_MS, page_most=most) as here:
        files = Files(folder / "src", own_ids=rng.random() < 0.6)
        for _ in range(rng.randint(1, 3)):
            files.edit("add_file", rng)
        files.edit("append", rng)
        walked = Walk(here, files)
        if lying:
            walked.within = ("--project", LETTERS)
            walked.log.append(f"{most or 'as many tasks as asked for'} on a page")
            here.ask("fill", count=ELSEWHERE, kind="videoannotation", world="live")
            here.ask("fill", count=STRANGERS, kind="categorization", world="live")
            here.ask("touch", draw="", actions=[])
        with walked.ending():
            for step in steps:
                walked.take(step)
                if walked.wrong:
                    break
        for last in (walked.settle, walked.heal):
            if not walked.wrong:
                with walked.ending():
                    last()
        figures = (walked.commands, walked.kills, walked.lied_to)
        return Outcome(seed, len(steps), *figures, walked.wrong, walked.log)
