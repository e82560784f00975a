"""Incremental exports that are killed and run again, beside the same increments left alone and a model of both."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from scalesync.events import Silent
from scalesync.flows.exports.compact.run import CompactOptions, run_compact
from tests.faults.kills import (
    KILLED,
    LIES,
    MOST_RUNS,
    Ended,
    Site,
    Verdict,
    Way,
    check_integrity,
    drawn_moment,
    left_over,
    listed_lines,
    problems_of,
    response_set,
    site,
)

ROUNDS = 3  # the export in full and two increments; a last one is killed while the server moves on
START_MS = 1_750_000_000_000
STATUSES = (None, "completed", "pending")
SWITCHES = ((), ("--full-every", "1s"), ("--download-responses",))
WIDTHS = ((), ("--concurrency", "1"))  # one chain alone is durable page by page
LAST_STEPS = 8  # file operations of a run that are about its manifest
RESULT = re.compile(r"responses/\w\w/\w{64}(\.json)? ")

Left = tuple[str, str, str]  # task_id, updated_at, reason


@dataclass(slots=True)
class Held:
    """What a folder of increments holds. newest: the line of each task that has not left. stale: versions met late."""

    lines: Counter[str] = field(default_factory=Counter)
    left: Counter[Left] = field(default_factory=Counter)
    newest: dict[str, str] = field(default_factory=dict)
    stale: int = 0
    _times: dict[str, str] = field(default_factory=dict)

    def add(self, line: str) -> None:
        task = json.loads(line)
        self.lines[line] += 1
        self._meet(task["task_id"], task["updated_at"])
        self.newest[task["task_id"]] = line

    def leave(self, task_id: str, updated_at: str, reason: str) -> None:
        self.left[task_id, updated_at, reason] += 1
        self._meet(task_id, updated_at)
        self.newest.pop(task_id, None)

    def _meet(self, task_id: str, updated_at: str) -> None:
        self.stale += updated_at <= self._times.get(task_id, "")
        self._times[task_id] = updated_at


def held_in(out: Path) -> Held:
    """Read a folder back in the manifest's order, nothing before there is one."""
    held = Held()
    manifest = out / "manifest.json"
    for entry in json.loads(manifest.read_bytes())["files"] if manifest.exists() else ():
        for line in (out / entry["path"]).read_text("utf-8").split("\n")[:-1]:
            if entry.get("kind") == "left":
                held.leave(**json.loads(line))
            else:
                held.add(line)
    return held


class Model:
    """What a folder must hold when an increment ends, told by the server's documents alone.

    A version is a task with its updated_at. Those that match are lines, once; a task that was in the folder and no
    longer matches is told as left, once. ever: every line that the server has shown.
    """

    def __init__(self, status: str | None) -> None:
        self.held = Held()
        self.ever: set[str] = set()
        self._status = status
        self._met: dict[str, str] = {}

    def follow(self, documents: Sequence[str]) -> None:
        """An increment reads the server as it is now."""
        self.ever.update(documents)
        for line in documents:
            task = json.loads(line)
            task_id, updated_at = task["task_id"], task["updated_at"]
            if self._met.get(task_id) == updated_at:
                continue
            self._met[task_id] = updated_at
            if self._status in (None, task["status"]):
                self.held.add(line)
            elif task_id in self.held.newest:
                self.held.leave(task_id, updated_at, f"status is {task['status']}")

    def matching(self, documents: Sequence[str]) -> list[str]:
        """What a full export would hold now, sorted."""
        return sorted(line for line in documents if self._status in (None, json.loads(line)["status"]))


class Rounds:
    """The folder `killed` with a ledger of its own, the folder `plain` with another, and what both must hold."""

    def __init__(self, here: Site, verdict: Verdict, rng: random.Random, way: Way) -> None:
        self._here, self._verdict, self._rng, self._way = here, verdict, rng, way
        status = rng.choice(STATUSES)
        self._options = [*rng.choice(SWITCHES), *rng.choice(WIDTHS), *([] if status is None else ["--status", status])]
        self._model = Model(status)
        self._killed, self._plain = here.folder / "killed", here.folder / "plain"
        self._rows = max(10, verdict.records // 12)
        self._tasks = verdict.records
        self._changes = 0

    def go(self, kills: int) -> None:
        """The server changes, then both folders are exported, one of them killed at most `kills` times."""
        before = held_in(self._killed)
        documents = self._change(self._tasks // 2)
        requests = self._requests()
        ended = [self._run(self._plain)]
        requests = self._requests() - requests
        ended.append(self._until_done(kills, requests, ended[0].steps, (before, self._model.held)))
        self._judge(ended, documents, left_over(self._killed))
        found, wanted = held_in(self._killed), self._model.held
        self._count(wanted.lines - found.lines, found.lines - wanted.lines, "lines")
        self._count(wanted.left - found.left, found.left - wanted.left, "lines of what left")
        if found != held_in(self._plain):
            self._verdict.wrong.append("the folder that was not killed holds something else")
        if response_set(self._killed) != response_set(self._plain):
            self._verdict.wrong.append("other result files are listed than without kills")

    def go_moving(self, kills: int) -> None:
        """The server also changes while a killed increment lies there; the increment behind that has it all."""
        self._change(self._tasks)
        requests = self._requests()
        steps = self._run(self._plain).steps
        ended = [self._until_done(kills, self._requests() - requests, steps, None)]
        documents = self._change(self._tasks // 20)
        ended += [self._run(self._plain), self._run(self._killed)]
        # Whole result files stay, so one of a version that the killed run alone has met is no fault.
        others = [told for told in left_over(self._killed) if not RESULT.match(told)]
        self._judge(ended, documents, others)
        found = held_in(self._killed)
        if found.newest != held_in(self._plain).newest:
            self._verdict.wrong.append("the folder that was not killed has other newest versions")
        made_up = [line for line in found.lines if line not in self._model.ever]
        now = self._model.matching(documents)
        self._count(Counter(now) - Counter(found.newest.values()), Counter(made_up), "newest lines")

    def _change(self, count: int) -> list[str]:
        """A drawn round of changes; the first one makes the tasks. Returns the server's documents."""
        new = self._tasks // 10 if self._changes else self._tasks
        draw = f"{self._verdict.kind} {self._rng.random()}"
        self._changes += 1
        self._here.ask("change", draw=draw, new=new, count=count)
        documents: list[str] = self._here.ask("documents")
        self._model.follow(documents)
        return documents

    def _requests(self) -> int:
        """How many the server has seen. Asking also disarms a kill that came too late."""
        return int(self._here.ask("report")["requests"])

    def _until_done(self, kills: int, requests: int, steps: int, allowed: tuple[Held, Held] | None) -> Ended:
        """Run the same command until it ends. A run that goes on is shorter, so its moments are drawn earlier.

        allowed: what the folder may hold meanwhile; None where the server moves on after each kill.
        """
        most = self._verdict.kills + kills
        for turn in range(kills + MOST_RUNS):
            kill = self._verdict.kills < most
            ended = self._run(self._killed, **self._moment(turn, requests, steps) if kill else {})
            self._requests()
            self._verdict.runs += 1
            self._look(allowed)
            if ended.code == KILLED:
                self._verdict.kills += 1
                if allowed is None:
                    self._change(self._tasks // 4)
            elif ended.code != 3:
                break
        return ended

    def _moment(self, turn: int, requests: int, steps: int) -> dict[str, Any]:
        if turn == 0 and self._way == "files" and self._rng.random() < 0.3:
            return {"strike": max(1, steps - self._rng.randrange(LAST_STEPS))}
        return drawn_moment(self._rng, self._way, max(1, requests >> turn), max(1, steps >> turn))

    def _run(self, out: Path, **moment: Any) -> Ended:
        command = ["export", "--incremental", *self._options, "--job", out.name, "--out", out.name]
        given = {"strike": 0, "rows": self._rows, "ledger": f"{out.name}.db", **moment}
        return self._here.run(*command, **given)

    def _look(self, allowed: tuple[Held, Held] | None) -> None:
        """Whenever a run is over, the folder holds this increment whole, or nothing of it."""
        check_integrity(self._verdict, self._here.folder / f"{self._killed.name}.db")
        if (self._killed / "manifest.json").exists():
            self._verdict.wrong += problems_of(self._killed)
        if allowed is not None and held_in(self._killed) not in allowed:
            self._verdict.wrong.append("the manifest names a part of an increment")

    def _judge(self, ended: Sequence[Ended], documents: Sequence[str], others: Sequence[str]) -> None:
        """What holds for the killed folder at the end of every round."""
        wrong = [f"ended as {run}" for run in ended if run.code != 0] + list(others)
        found, now = held_in(self._killed), self._model.matching(documents)
        if found.stale:
            self._verdict.duplicates += found.stale
            wrong.append(f"{found.stale} versions are written twice or behind a newer one")
        if sorted(found.newest.values()) != now:
            wrong.append("the newest versions are not the server's tasks")
        if not wrong and sorted(compacted(self._killed)) != now:
            wrong.append("compact gives something else than the server's tasks")
        self._verdict.wrong += wrong

    def _count(self, lost: Counter[Any], more: Counter[Any], what: str) -> None:
        if lost or more:
            self._verdict.losses += lost.total()
            self._verdict.duplicates += more.total()
            self._verdict.wrong.append(f"{lost.total()} {what} are lost, {more.total()} are too many")


def compacted(out: Path) -> list[str]:
    """The lines that `scalesync compact` makes of a folder."""
    to = out.with_name(f"{out.name}-compacted")
    anyio.run(run_compact, CompactOptions(out, to), Silent())
    lines = [line.decode() for line in listed_lines(to)]
    shutil.rmtree(to)
    return lines


def killed_increments(folder: Path, seed: int, *, kills: int, tasks: int, way: Way) -> Verdict:
    """A full export and increments of a server that changes between them, killed `kills` times in all.

    way: kills come at drawn requests, or at drawn file operations. Filter and switches are drawn as well.
    """
    rng = random.Random(f"increment {way} {seed}")
    verdict = Verdict("increment", records=tasks)
    lies = random.Random(f"lies of increment {way} {seed}").choice(LIES)
    with site(folder, seed, result_bytes=2000, clock_ms=START_MS) as here:
        here.ask("faults", rules=lies)
        rounds = Rounds(here, verdict, rng, way)
        drawn = Counter(rng.randrange(ROUNDS) for _ in range(kills - kills // 2))
        for number in range(ROUNDS):
            rounds.go(drawn[number])
        for _ in range(kills):  # moments that came too late are made up for in further rounds
            if verdict.kills < kills and not verdict.wrong:
                rounds.go_moving(kills - verdict.kills)
    return verdict
