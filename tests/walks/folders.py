"""The commands of a walk that fill folders, and what must stand in these."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scalesync.times import milliseconds
from tests.faults.kill_increments import held_in
from tests.faults.kills import KILLED, MOST_RUNS, Ended, listed_lines
from tests.walks.steps import Step

if TYPE_CHECKING:
    from tests.walks.walk import Walk

SINCE, UNTIL = "2025-06-01", "2025-07-01"


class Folders:
    """Exports, increments, backfills and what compact makes of them, in the folder of a walk."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk

    def _path(self, name: str) -> Path:
        return self._walk.here.folder / name

    def _there(self, name: str) -> bool:
        return (self._path(name) / "manifest.json").exists()

    def _whole(self, what: str, *command: str, step: Step, again: Sequence[str] = ()) -> Ended | None:
        """A command under the step's kill, faults and lies, then until it is done.

        A run that lists lied to may end unsettled; the one behind it, with `again` as well, must be done.
        """
        walk = self._walk
        asked = [*command, *(walk.within if command[0] != "compact" else ())]
        ended = walk.run(*asked, step=step)
        for _ in range(MOST_RUNS):
            self._sound(what, command[command.index("--out") + 1] if "--out" in command else None)
            lied = walk.lied
            if lied and ended.code == 1:
                if not ended.summary.get("unsettled"):
                    walk.blame(f"{what} ended with 1 and nothing unsettled: {ended.summary}")
                asked += [option for option in again if option not in asked]
            elif ended.code not in (KILLED, 3):
                break
            ended = walk.run(*asked)
        if ended.code != 0:
            walk.blame(f"{what} ended with {ended.code}: {ended.summary or ended.err[-500:]}")
            return None
        return ended

    def _sound(self, what: str, out: str | None) -> None:
        """What a folder holds at any time: versions that the server has shown, none twice."""
        if out is None or not self._there(out):
            return
        lines = [line.decode() for line in listed_lines(self._path(out))]
        versions = Counter((task["task_id"], task.get("updated_at")) for task in map(json.loads, lines))
        if twice := [version for version, number in versions.items() if number > 1]:
            self._walk.blame(f"{what} holds {len(twice)} versions twice: {twice[:3]}")
        ids = {json.loads(line)["task_id"] for line in self._walk.documents()}
        if others := [task_id for task_id, _ in versions if task_id is not None and task_id not in ids]:
            self._walk.blame(f"{what} holds {len(others)} tasks that it was not asked for: {others[:3]}")

    # --- commands ----------------------------------------------------------------------------------

    def increment(self, rng: random.Random, step: Step) -> None:
        """The folder of increments gets what is new."""
        if self._whole("an increment", "export", "--incremental", "--out", "inc", "--job", "inc", step=step):
            held = held_in(self._path("inc"))
            self._compare("the folder of increments", list(held.newest.values()))
            if held.stale or max(held.lines.values(), default=0) > 1:
                self._walk.blame(f"{held.stale} versions stand twice in the folder of increments")

    def again(self, rng: random.Random, step: Step) -> None:
        """The folder of increments is made again, as a full export."""
        command = ("export", "--again", "--out", "inc", "--job", "inc")
        if self._there("inc") and self._whole("export --again", *command, step=step):
            self._compare("export --again", self._lines("inc"))

    def full(self, rng: random.Random, step: Step) -> None:
        """A full export, which takes the place of the one before."""
        again = ["--again"] if self._there("full") else []
        command = ("export", *again, "--out", "full", "--job", "full")
        if self._whole("a full export", *command, step=step, again=["--again"]):
            self._compare("a full export", self._lines("full"))

    def compact(self, rng: random.Random, step: Step) -> None:
        """The newest versions of the folder of increments."""
        if not self._there("inc"):
            return
        newest = sorted(held_in(self._path("inc")).newest.values())
        done = self._whole("compact", "compact", "--from", "inc", "--to", "cmp", step=step)
        if done and sorted(self._lines("cmp")) != newest:
            self._walk.blame("compact gives something else than the newest versions of its folder")

    def backfill(self, rng: random.Random, step: Step) -> None:
        """The windows of a month: what was created in those that are done, each task once, as it was then."""
        command = ("backfill", "export", "--out", "past", "--from", SINCE, "--to", UNTIL, "--window", "7d")
        if not self._whole("a backfill", *command, "--job", "past", step=step):
            return
        windows = json.loads((self._path("past") / "manifest.json").read_bytes())["windows"]
        end = max(milliseconds(window["end"]) for window in windows)
        found = Counter(json.loads(line)["task_id"] for line in self._lines("past"))
        tasks = [json.loads(line) for line in self._walk.documents()]
        wanted = {task["task_id"] for task in tasks if milliseconds(task["created_at"]) < end}
        if found.keys() != wanted or max(found.values(), default=1) > 1:
            told = f"{found.total()} lines of {len(found)} tasks, the server made {len(wanted)} before its end"
            self._walk.blame(f"a backfill holds {told}")

    def _lines(self, name: str) -> list[str]:
        return [line.decode() for line in listed_lines(self._path(name))]

    def _compare(self, what: str, lines: Sequence[str]) -> None:
        if (found := sorted(lines)) != (wanted := sorted(self._walk.documents())):
            more, less = set(found) - set(wanted), set(wanted) - set(found)
            told = f"{len(found)} lines, the server {len(wanted)} tasks: {len(more)} wrong, {len(less)} missing"
            self._walk.blame(f"{what} holds {told}")
