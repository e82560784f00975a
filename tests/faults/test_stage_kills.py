"""A project with two blueprints is exported, killed in between, while its tasks go through their stages.

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
from tests.flows.street import START_MS, Delivery, Street, delivered, entries, stage_lines

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL"),
]
ROWS = 15  # lines in a file
FIRST, PAGE = 90, 25  # tasks
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


def run(street: Street, folder: Path, *arguments: str, strike: int = 0) -> tuple[int, dict[str, Any], int]:
    """The program in a process of its own: exit code, summary, steps."""
    typed = ["export", "--out", "out", "--ledger", "ledger.db", "--json", "--quiet", *arguments]
    code, out, err = forked.run(
        "tests.faults.dying",
        [str(strike), str(ROWS), *typed],
        folder=folder,
        environment=environment(folder, SCALE_API_KEY="live_k", SCALE_API_URL=street.sandbox.base_url),
    )
    assert code in {0, -signal.SIGKILL}, err
    steps = re.search(rf"{MARK}(\d+)", err)
    return code, json.loads(out) if out.strip() else {}, int(steps[1]) if steps else 0


def task_versions(out: Path) -> Counter[bytes]:
    return Counter(line for entry in entries(out, None) for line in (out / entry["path"]).read_bytes().splitlines())


@pytest.mark.parametrize("seed", seeds(4, 1))
async def test_each_delivery_and_each_finished_task_is_there_once_through_kills(
    seed: int, make_sandbox, tmp_path: Path
) -> None:
    now = [START_MS]
    street = Street(await make_sandbox(clock=lambda: now[0], page_most=PAGE), now)
    rng = random.Random(seed)
    watched = Watched(street, rng)
    out = tmp_path / "out"
    ended: list[tuple[int, dict[str, Any], int]] = []

    async def go(*arguments: str, strike: int = 0) -> int:
        ended.append(await anyio.to_thread.run_sync(lambda: run(street, tmp_path, *arguments, strike=strike)))
        return ended[-1][0]

    kills = 0
    steps = 30
    watched.ids += street.create(FIRST)
    for _ in range(ROUNDS):
        watched.change(40)
        for _ in range(KILLS):
            kills += await go("--incremental", strike=rng.randint(1, steps)) != 0
            watched.change(5)
        for _ in range(2):  # the first one ends what was killed, the second one reads what changed meanwhile
            assert await go("--incremental") == 0
            assert ended[-1][1]["unsettled"] == 0
        steps = ended[-1][2]
        found = delivered(out)
        assert found.keys() <= watched.seen.keys()
        assert not {key: number for key, number in found.items() if number != 1}
        assert street.deliveries().keys() <= found.keys()
        assert not problems_of(out) + left_over(out)
    assert kills >= ROUNDS
    written = task_versions(out)
    assert set(written.values()) == {1}
    documents = street.documents()
    finished = {key: text for key, text in documents.items() if json.loads(text)["status"] == "completed"}
    assert finished
    assert all(written[text] == 1 for text in documents.values())
    times = Counter(task["task_id"] for task in map(json.loads, written) if task["status"] == "completed")
    assert finished.keys() == times.keys()
    for line in map(json.loads, stage_lines(out)):
        assert line["delivery"] == watched.seen[line["task_id"], line["stage"], line["delivered_at"]]
    kept = delivered(out)
    assert await go("--again") == 0
    assert (ended[-1][1]["stages"], delivered(out)) == (0, kept)
    assert task_versions(out) == Counter(documents.values())
