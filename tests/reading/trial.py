"""One point of the matrix: lay out its files, run it through its mode, say what differs from what must be."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalesync.model.summaries import ImportSummary
from scalesync.sandbox import Sandbox, SandboxConfig
from tests.conftest import KIND, PROJECT
from tests.reading.bench import Bench, Complaint
from tests.reading.layout import Found, Layout, serving
from tests.reading.ledgerless import COUNTS, Told, World
from tests.reading.points import ONCE, Point
from tests.reading.values import Record

SHOWN = 3  # differences of a kind
STATES = {"conflict": "conflicts"}
MORE: Record = {"allow_multiple": False}  # what the sandbox puts into a categorization


@dataclass(slots=True)
class Trial:
    """A point that was run. wrong: what differs, a sentence each."""

    point: Point
    records: int = 0
    runs: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list)


async def run_point(point: Point, folder: Path) -> Trial:
    """Run one point in an empty folder."""
    rng = random.Random(f"layout {point.seed}")
    layout = Layout(point, folder, rng)
    layout.root.mkdir()
    layout.fill()
    layout.write()
    trial = Trial(point)
    async with Sandbox(SandboxConfig(journal_size=100_000, seed=7)) as sandbox:
        sandbox.store.world("live").add_project(PROJECT, KIND)
        with serving(layout):
            await _Passage(layout, Bench(layout, sandbox, _job(point)), trial, rng).go()
    trial.wrong = [f"{sentence}\n    {point}" for sentence in trial.wrong]
    return trial


def _job(point: Point) -> str | None:
    """Pipes need a name; elsewhere every other job goes by its derived one."""
    return "j" if point.container in ONCE or point.seed % 2 else None


class _Passage:
    """What a mode does, with the comparison after each run."""

    def __init__(self, layout: Layout, bench: Bench, trial: Trial, rng: random.Random) -> None:
        self._layout = layout
        self._bench = bench
        self._trial = trial
        self._rng = rng
        self._world = World(layout.point.ids)
        self._places: Sequence[Found] = ()

    async def go(self) -> None:
        """From the first run to the one that must send nothing."""
        self._places = self._layout.found()
        self._trial.records = len(self._places)
        mode = self._layout.point.mode
        await getattr(self, f"_{mode}", self._changing)()
        if self._trial.wrong:
            return  # what follows would only repeat it
        sent = self._bench.creates
        last: dict[str, Any] = {"job": "two"} if mode == "jobs" else {}
        if self._layout.point.after == "rescan":
            last["rescan"] = True
        await self._run("run again", **last)
        if self._bench.creates != sent:
            self._say("run again", f"{self._bench.creates - sent} creates were sent, none was to be")

    async def _fresh(self) -> None:
        await self._run("fresh")

    async def _changing(self) -> None:
        await self._run("before")
        if self._trial.wrong:
            return
        self._layout.happen(self._layout.point.mode)
        self._layout.write()
        self._places = self._layout.found()
        await self._run(self._layout.point.mode)

    async def _limit(self) -> None:
        limit = self._rng.randrange(1, len(self._places) + 2)
        told = self._world.run(self._places, limit)
        summary = await self._bench.go(limit=limit)
        await self._compare(f"--limit {limit}", summary, told, None)
        await self._run("then on")

    async def _pieces(self) -> None:
        told = self._world.run(self._places)
        most = max(1, self._rng.randrange(1, len(self._places) + 2) // 2)
        for _ in range(len(self._places) + 2):
            before = self._bench.creates
            summary = await self._bench.go(max_new=most)
            if self._bench.creates - before > most:
                self._say(f"--max-new {most}", f"{self._bench.creates - before} creates were sent")
            if summary.exit_code != 3:
                break
        await self._compare(f"--max-new {most}", summary, told, None)

    async def _canary(self) -> None:
        await self._run("--canary", canary=self._rng.randrange(1, 4), canary_wait=0.0)

    async def _jobs(self) -> None:
        await self._run("first job", job="one")
        await self._run("second job", job="two")

    async def _killed(self) -> None:
        told = self._world.run(self._places)
        at = self._rng.randrange(1, told.counts["created"] + 2)
        self._trial.kills += await self._bench.kill_at(at)
        summary = await self._bench.go()
        await self._compare(f"killed at {at} tasks, then resumed", summary, told, None)

    async def _run(self, when: str, **more: Any) -> None:
        told = self._world.run(self._places)
        summary = await self._bench.go(**more)
        await self._compare(when, summary, told, more.get("job"))

    # --- comparing --------------------------------------------------------------------------------

    def _say(self, when: str, sentence: str) -> None:
        self._trial.wrong.append(f"{when}: {sentence}")

    async def _compare(self, when: str, summary: ImportSummary, told: Told, job: str | None) -> None:
        self._trial.runs += 1
        for name in COUNTS:
            if (count := getattr(summary, name)) != told.counts[name]:
                self._say(when, f"{name} is {count}, not {told.counts[name]}")
        read = sum(told.counts[name] for name in COUNTS if name != "gone")
        if summary.read != read:
            self._say(when, f"read is {summary.read}, not {read}")
        if summary.exit_code != told.exit_code:
            self._say(when, f"exit code {summary.exit_code}, not {told.exit_code} ({summary.message})")
        self._compare_tasks(when)
        self._compare_places(when, await self._bench.complaints(job), told)

    def _compare_tasks(self, when: str) -> None:
        world = self._bench.sandbox.store.world("live")
        named: dict[str, Record] = {}
        nameless: Counter[str] = Counter()
        for task in world.tasks:
            body = json.loads(b"{" + task.body + b"}")["params"]
            if task.unique_id in self._world.tasks:
                named[str(task.unique_id)] = body
            else:
                nameless[_text(body)] += 1
        missing = [key for key in self._world.tasks if key not in named]
        for key in missing[:SHOWN]:
            self._say(when, f"no task for {key!r}, {len(missing)} are missing")
        bodies = [(key, named[key], wanted) for key, wanted in self._world.tasks.items() if key in named]
        wrong = [f"body of {key!r}: {_difference(body, MORE | wanted)}" for key, body, wanted in bodies
                 if _text(body) != _text(MORE | wanted)]  # fmt: skip
        for sentence in wrong[:SHOWN]:
            self._say(when, f"{sentence} ({len(wrong)} bodies differ)")
        wanted = Counter(_text(MORE | body) for body in self._world.nameless)
        for text in list(wanted - nameless)[:SHOWN]:
            self._say(when, f"no task {text[:300]}, {(wanted - nameless).total()} are missing")
        for text in list(nameless - wanted)[:SHOWN]:
            self._say(when, f"a task too many: {text[:300]}, {(nameless - wanted).total()} in all")

    def _compare_places(self, when: str, complaints: Sequence[Complaint], told: Told) -> None:
        at = {spot: number for number, place in enumerate(self._places) for spot in place.spots}
        found: Counter[tuple[str, int]] = Counter()
        reasons: dict[int, str] = {}
        nowhere = []
        for complaint in complaints:
            number = at.get((_real(complaint.file), complaint.line))
            if number is None:
                nowhere.append(f"{complaint.state} at {complaint.file}:{complaint.line} ({complaint.reason[:200]})")
            else:
                found[STATES.get(complaint.state, complaint.state), number] += 1
                reasons[number] = f" ({complaint.reason[:200]})"
        for sentence in nowhere[:SHOWN]:
            self._say(when, f"{sentence}, where no record is; {len(nowhere)} of these")
        wanted = Counter(told.places)
        for words, pairs in (("is not listed as", wanted - found), ("is listed as", found - wanted)):
            for state, number in sorted(pairs)[:SHOWN]:
                file, line = self._places[number].spots[-1]
                many = f"{pairs.total()} such places"
                self._say(when, f"{file}:{line} {words} {state}, {many}{reasons.get(number, '')}")


def _real(file: str) -> str:
    return file if file == "-" or "://" in file else os.path.realpath(file)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _difference(found: Any, wanted: Any, at: str = "") -> str:
    """The first place where two values differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted({*found, *wanted}):
            if key not in found or key not in wanted:
                return f"{at}[{key!r}] is {'missing' if key not in found else 'too much'}"
            if _text(found[key]) != _text(wanted[key]):
                return _difference(found[key], wanted[key], f"{at}[{key!r}]")
    return f"{at} is {_text(found)[:100]}, not {_text(wanted)[:100]}"
