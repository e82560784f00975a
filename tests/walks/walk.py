"""Commands in any order, with edits of the source, changes on the server, faults and kills between and in them.

A walk is a list of steps; each has a seed of its own, so that a step can be left out without changing the others. What
must be true afterwards is told by `oracle`, which knows source and server alone.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.kill_increments import START_MS, held_in
from tests.faults.kills import KILLED, Ended, Site, Verdict, check_integrity, listed_lines, site
from tests.walks.oracle import Expected, Task, expected, repeated, tasks_of
from tests.walks.sources import EDITS, Files, Letter

JOBS = {"walk": "", "part": "a"}  # the second one reads the files whose names begin so, which the first reads too
IMPORT = ("--type", "categorization", "--project", "letters")
MOST_RUNS = 8
LEDGER = "ledger.db"
COMMANDS = (
    *("import",) * 5,
    *("limit", "max_new", "canary", "retry", "verify", "fix", "refresh", "reclaim", "rescan") * 2,
    *("increment",) * 3,
    *("again", "full", "compact", "backfill", "rebuild"),
)
READING = frozenset({"verify", "refresh", "increment", "again", "full", "compact", "backfill", "rebuild"})
ACTIONS = ("complete", "complete", "complete", "cancel", "error", "recall", "correct")
FAULTS: tuple[Mapping[str, Any], ...] = (
    {"kind": "error", "on": "create", "status": 500, "after_write": True},
    {"kind": "error", "on": "create", "status": 503},
    {"kind": "reset", "on": "create|list", "after_write": True},
    {"kind": "html502", "on": "any"},
    {"kind": "cut", "on": "list|get"},
    {"kind": "error", "on": "any", "status": 429},
)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens. kind: edit, server or command; what: which; seed: of all that is drawn in it."""

    kind: str
    what: str
    seed: int
    job: str = "walk"
    kill: int = 0
    phase: str = "enter"
    faults: tuple[Mapping[str, Any], ...] = ()

    def __str__(self) -> str:
        more = f", killed at request {self.kill} ({self.phase})" if self.kill else ""
        more += f", with {', '.join(str(rule['kind']) for rule in self.faults)}" if self.faults else ""
        return f"{self.kind} {self.what} [{self.seed}] of {self.job}{more}"


def draw_steps(seed: int, count: int) -> list[Step]:
    """The steps of a walk."""
    rng = random.Random(f"walk {seed}")
    steps = [Step("command", "import", rng.randrange(10**6))]
    while len(steps) < count:
        own = rng.randrange(10**6)
        kind = rng.choice(("edit", "edit", "server", "command", "command", "command"))
        if kind == "edit":
            steps.append(Step(kind, rng.choice(EDITS), own))
        elif kind == "server":
            steps.append(Step(kind, "touch", own))
        else:
            kill = rng.choice((1, 2, 3, 5, 9, 17)) if rng.random() < 0.35 else 0
            faults = ()
            if rng.random() < 0.3:
                faults = tuple({**rule, "at": (rng.randrange(4),)} for rule in rng.sample(FAULTS, rng.randint(1, 2)))
            job = "part" if rng.random() < 0.25 else "walk"
            steps.append(Step(kind, rng.choice(COMMANDS), own, job, kill, rng.choice(("enter", "leave")), faults))
    return steps


@dataclass(slots=True)
class Walk:
    """A walk at work. log: what was done; wrong: sentences, empty while every promise held."""

    here: Site
    files: Files
    log: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    kills: int = 0
    commands: int = 0
    lost_ledger: bool = False
    job: str = "walk"

    # --- what can be asked -------------------------------------------------------------------------

    @property
    def ledger(self) -> Path:
        return self.here.folder / LEDGER

    def documents(self) -> list[str]:
        """The server's tasks as they stand there, byte for byte."""
        return list(self.here.ask("documents"))

    def tasks(self) -> list[Task]:
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

    def blame(self, sentence: str) -> None:
        self.wrong.append(f"after step {len(self.log)} ({self.log[-1] if self.log else 'none'}): {sentence}")

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
        self.here.ask("faults", rules=[dict(rule) for rule in step.faults])
        what = step.what if step.job in self.begun or step.what == "rebuild" else "import"
        command: Callable[[random.Random, Step], None] = getattr(self, f"_{what}")
        before, known = self.tasks(), self.known()
        command(rng, step)
        self.here.ask("faults", rules=[])
        # An increment ends before the second in which it begins: what was made in that second comes with the next one.
        self.here.ask("touch", draw="", actions=[])
        self._look(what, before, known)

    def run(self, *arguments: str, step: Step | None = None, wanted: Sequence[int] = (0, 1, 3)) -> Ended:
        """One command. A kill comes at the step's request, and not at all when there are fewer."""
        kill = 0 if step is None else step.kill
        phase = "enter" if step is None else step.phase
        ledger = None if arguments[0] == "compact" else LEDGER
        ended = self.here.run(*arguments, after=kill, phase=phase, ledger=ledger)
        self.here.ask("report")  # disarms a kill that came too late
        self.commands += 1
        self.kills += ended.code == KILLED
        self.log.append(f"{' '.join(arguments)} -> {ended.code}")
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
        self.import_(step=step)

    def _rescan(self, rng: random.Random, step: Step) -> None:
        self.import_("--rescan", step=step)

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
        self.import_("--canary", str(rng.choice((1, 3))), "--canary-wait", "0", step=step)

    def _reclaim(self, rng: random.Random, step: Step) -> None:
        self.import_("--reclaim", rng.choice(("canceled", "error", "canceled,error")), step=step)

    def _retry(self, rng: random.Random, step: Step) -> None:
        self.run("retry", "--job", self.job, "--yes", *rng.choice(((), (), ("--errored",))), step=step)

    def _verify(self, rng: random.Random, step: Step) -> None:
        ended = self.run("verify", "--job", self.job, "--out", "findings.jsonl", step=step)
        if ended.code == 0 and not (told := self.told()).done:
            self.blame(f"verify ended with 0 where the source and the server say {told}")

    def _fix(self, rng: random.Random, step: Step) -> None:
        self.run("verify", "--job", self.job, "--fix", "--yes", "--out", "findings.jsonl", step=step)

    def _refresh(self, rng: random.Random, step: Step) -> None:
        self.run("status", "--job", self.job, "--refresh", step=step)

    def _rebuild(self, rng: random.Random, step: Step) -> None:
        """The ledger is lost; it is rebuilt from source and server."""
        for path in self.here.folder.glob(f"{LEDGER}*"):
            path.unlink()
        self.lost_ledger = True
        command = ("ledger", "rebuild", self.source(), *IMPORT, "--job", self.job)
        ended = self.run(*command, step=step)
        for _ in range(MOST_RUNS):
            if ended.code not in (KILLED, 3):
                return
            ended = self.run(*command)
        self.blame(f"ledger rebuild does not come to an end: {ended.summary or ended.err[-500:]}")

    # --- exports -----------------------------------------------------------------------------------

    def _whole(self, name: str, *command: str, step: Step) -> Ended | None:
        """An export under the step's kill and faults, then the same command until it is done."""
        ended = self.run(*command, step=step)
        for _ in range(MOST_RUNS):
            if ended.code not in (KILLED, 3):
                break
            ended = self.run(*command)
        if ended.code != 0:
            self.blame(f"{name} ended with {ended.code}: {ended.summary or ended.err[-500:]}")
            return None
        return ended

    def _increment(self, rng: random.Random, step: Step) -> None:
        out = self.here.folder / "inc"
        if self._whole("an increment", "export", "--incremental", "--out", "inc", "--job", "inc", step=step):
            self._compare("the folder of increments", list(held_in(out).newest.values()))
            if (stale := held_in(out).stale) or max(held_in(out).lines.values(), default=0) > 1:
                self.blame(f"{stale} versions stand twice in the folder of increments")

    def _again(self, rng: random.Random, step: Step) -> None:
        if not (self.here.folder / "inc" / "manifest.json").exists():
            return
        if self._whole("export --again", "export", "--again", "--out", "inc", "--job", "inc", step=step):
            self._compare("export --again", [line.decode() for line in listed_lines(self.here.folder / "inc")])

    def _full(self, rng: random.Random, step: Step) -> None:
        again = ["--again"] if (self.here.folder / "full" / "manifest.json").exists() else []
        if self._whole("a full export", "export", *again, "--out", "full", "--job", "full", step=step):
            self._compare("a full export", [line.decode() for line in listed_lines(self.here.folder / "full")])

    def _compact(self, rng: random.Random, step: Step) -> None:
        if not (self.here.folder / "inc" / "manifest.json").exists():
            return
        newest = sorted(held_in(self.here.folder / "inc").newest.values())
        done = self._whole("compact", "compact", "--from", "inc", "--to", "cmp", step=step)
        if done and sorted(line.decode() for line in listed_lines(self.here.folder / "cmp")) != newest:
            self.blame("compact gives something else than the newest versions of its folder")

    def _backfill(self, rng: random.Random, step: Step) -> None:
        since, until = "2025-06-01", "2025-07-01"
        command = ("backfill", "export", "--out", "past", "--from", since, "--to", until, "--window", "7d")
        self._whole("a backfill", *command, "--job", "past", step=step)

    def _compare(self, what: str, lines: Sequence[str]) -> None:
        if (found := sorted(lines)) != (wanted := sorted(self.documents())):
            more, less = set(found) - set(wanted), set(wanted) - set(found)
            told = f"{len(found)} lines, the server {len(wanted)} tasks: {len(more)} wrong, {len(less)} missing"
            self.blame(f"{what} holds {told}")

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
    """What a walk came to."""

    seed: int
    steps: int
    commands: int
    kills: int
    wrong: list[str]
    log: list[str]


def walk(folder: Path, seed: int, steps: Sequence[Step]) -> Outcome:
    """Go the steps, then settle and put everything right; ends at the first broken promise."""
    rng = random.Random(f"files {seed}")
    with site(folder, seed, clock_ms=START_MS) as here:
        files = Files(folder / "src", own_ids=rng.random() < 0.6)
        for _ in range(rng.randint(1, 3)):
            files.edit("add_file", rng)
        files.edit("append", rng)
        walked = Walk(here, files)
        for step in steps:
            walked.take(step)
            if walked.wrong:
                break
        for last in (walked.settle, walked.heal):
            if not walked.wrong:
                last()
        return Outcome(seed, len(steps), walked.commands, walked.kills, walked.wrong, walked.log)
