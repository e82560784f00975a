"""End to end: two blueprints are pushed, scenes imported, and exported while their tasks go through their stages.

All of it is the program in processes of their own. Imports and exports are killed in between and run again.
What must be in the folder is told by the documents of the sandbox's own store: each delivery of a stage once, each
version of a task at most once, and the finished task once.
"""

from __future__ import annotations

import json
import random
import re
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests import forked
from tests.draws import seeds
from tests.faults.dying import MARK
from tests.faults.kills import environment, left_over, problems_of
from tests.flows.street import DRIVE, START_MS, WHOLE, Delivery, Street, delivered, entries, stage_lines

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL"),
]
ROWS = 15  # lines in a file
PAGE = 25  # tasks
ROUNDS = 3
KILLS = 3  # in each round, before the run that ends


class Watched:
    """Changes the tasks of a street, and keeps every delivery that was ever there to be seen."""

    def __init__(self, street: Street, rng: random.Random) -> None:
        self.street, self.rng = street, rng
        self.ids: list[str] = []
        self.seen: dict[Delivery, Any] = {}

    def change(self, times: int) -> None:
        for _ in range(times):
            act = self.rng.choice((self._create, self._stage, self._stage, self._stage, self._correct, self._end))
            act()
        self.seen |= self.street.deliveries()
        self.street.later()

    def _create(self) -> None:
        self.ids += self.street.create(blueprint=self.rng.choice(("drive", "drive", "whole")))

    def _stages(self, status: str) -> list[tuple[str, str]]:
        some = self.rng.sample(self.ids, 10)
        stages = [(task_id, stage) for task_id in some for stage in self.street.world.get(task_id)["stages"]]
        return [(task_id, stage["name"]) for task_id, stage in stages if stage["status"] == status]

    def _stage(self) -> None:
        if open_stages := self._stages("pending"):
            self.street.act(*self._with("complete", self.rng.choice(open_stages)))

    def _correct(self) -> None:
        if done := self._stages("completed"):
            self.street.act(*self._with("correct", self.rng.choice(done)))

    def _end(self) -> None:
        if open_stages := self._stages("pending"):
            self.street.act(self.rng.choice(open_stages)[0], "complete")

    @staticmethod
    def _with(action: str, stage: tuple[str, str]) -> tuple[str, str, str]:
        return stage[0], action, stage[1]


class Program:
    """scalesync in processes of their own, in one folder."""

    def __init__(self, street: Street, folder: Path) -> None:
        self.street, self.folder = street, folder
        self.summary: dict[str, Any] = {}
        self.steps = 30  # of the last run that ended
        self.kills = 0

    async def __call__(self, *arguments: str, strike: int = 0) -> bool:
        """Run it; False if it killed itself at that step."""
        typed = [str(strike), str(ROWS), *arguments, "--ledger", "ledger.db", "--json", "--quiet"]
        surroundings = environment(self.folder, SCALE_API_KEY="live_k", SCALE_API_URL=self.street.sandbox.base_url)

        def run() -> tuple[int, str, str]:
            return forked.run("tests.faults.dying", typed, folder=self.folder, environment=surroundings)

        code, out, err = await anyio.to_thread.run_sync(run)
        assert code in {0, -signal.SIGKILL}, err
        self.kills += code != 0
        if code == 0:
            self.summary = json.loads(out)
            self.steps = int(re.findall(rf"{MARK}(\d+)", err)[-1])
        return code == 0


def task_versions(out: Path) -> Counter[bytes]:
    return Counter(line for entry in entries(out, None) for line in (out / entry["path"]).read_bytes().splitlines())


async def bring(go: Program, watched: Watched, name: str, blueprint: dict[str, Any], *, count: int) -> None:
    """Push a blueprint and import scenes that follow it, with a kill on the way."""
    (go.folder / f"{name}.json").write_text(json.dumps(blueprint))
    assert await go("scale", "blueprints", "push", "street", f"{name}.json")
    scenes = [{"unique_id": f"{name}-{n}", "attachments": ["https://x.test/1.sfs"], "scene_format": "sfs"}
              for n in range(count)]  # fmt: skip
    (go.folder / f"{name}.jsonl").write_text("".join(json.dumps(scene) + "\n" for scene in scenes))
    typed = ("import", f"{name}.jsonl", "--type", "multistage", "--project", "street", "--blueprint", name)
    await go(*typed, strike=watched.rng.randint(1, 8))
    assert await go(*typed)
    assert (go.summary["created"], go.summary["read"]) == (count, count)
    tasks = [task for task in watched.street.world.documents() if task["blueprint"] == name]
    assert len(tasks) == len({task["unique_id"] for task in tasks}) == count
    watched.ids += [task["task_id"] for task in tasks]


@pytest.mark.parametrize("each_transport", ["lean"], indirect=True)  # lists go the same way on both
@pytest.mark.parametrize("seed", seeds(4, 1))
async def test_each_delivery_and_each_finished_task_is_there_once_through_kills(
    seed: int, make_sandbox, tmp_path: Path
) -> None:
    now = [START_MS]
    street = Street(await make_sandbox(clock=lambda: now[0], page_most=PAGE), now, ())
    watched, go = Watched(street, random.Random(seed)), Program(street, tmp_path)
    await bring(go, watched, "drive", DRIVE, count=60)
    await bring(go, watched, "whole", WHOLE, count=30)
    go.steps, go.kills = 30, 0
    export, out = ("export", "--out", "out"), tmp_path / "out"
    for _ in range(ROUNDS):
        watched.change(40)
        for _ in range(KILLS):
            await go(*export, "--incremental", strike=watched.rng.randint(1, go.steps))
            watched.change(5)
        for _ in range(2):  # the first one ends what was killed, the second one reads what changed meanwhile
            assert await go(*export, "--incremental")
            assert go.summary["unsettled"] == 0
        found = delivered(out)
        assert found.keys() <= watched.seen.keys()
        assert not {key: number for key, number in found.items() if number != 1}
        assert street.deliveries().keys() <= found.keys()
        assert not problems_of(out) + left_over(out)
    assert go.kills >= ROUNDS
    written = task_versions(out)
    assert set(written.values()) == {1}
    documents = street.documents()
    assert all(written[text] == 1 for text in documents.values())
    finished = {task_id for task_id, text in documents.items() if json.loads(text)["status"] == "completed"}
    ended = {task["task_id"] for task in map(json.loads, written) if task["status"] == "completed"}
    assert finished == ended != set()
    lines = [json.loads(line) for line in stage_lines(out)]
    assert all(line["delivery"] == watched.seen[line["task_id"], line["stage"], line["delivered_at"]] for line in lines)
    kept = delivered(out)
    assert await go(*export, "--again")
    assert (go.summary["stages"], delivered(out)) == (0, kept)
    assert task_versions(out) == Counter(documents.values())
