"""Exports while tasks are created, completed, corrected, recalled and canceled, and exports taken up again."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import aiohttp
import anyio
import pytest

from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from scalesync.sandbox import FaultRule, Sandbox
from scalesync.sandbox.scale.tasks.create import make_task
from tests.conftest import KIND, PROJECT, letter

KEY = "live_k"
REPEATS = (FaultRule(kind="repeat", share=0.7, count=2), FaultRule(kind="repeat", back=3, share=0.5))
ACTIONS = ("complete", "recall", "correct", "touch", "cancel")


@pytest.fixture
def export(settings_for, notebook, tmp_path):
    async def run(sandbox: Sandbox, concurrency: int = 6, **options: Any):
        options = {"page_size": 5, "out": tmp_path / "out", **options}
        settings = settings_for(sandbox, concurrency=concurrency)
        return await run_export(ExportOptions(**options), settings, notebook, signals=False)

    return run


def create(sandbox: Sandbox, first: int, count: int) -> None:
    world = sandbox.store.world("live")
    for number in range(first, first + count):
        body = json.dumps(letter(number, project=PROJECT)).encode()
        world.insert(make_task(world, KIND, body, None))


async def change(sandbox: Sandbox, rng: random.Random, still: range, touched: set[str], now: list[int]) -> None:
    """Make and change tasks for ever; those whose numbers are in `still` are left alone."""
    world = sandbox.store.world("live")
    made = 1_000
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        while True:
            now[0] += rng.randrange(3)
            if rng.random() < 0.2:
                create(sandbox, made, 1)
                made += 1
            number = rng.randrange(still.stop, 120)
            task = world.by_unique_id(letter(number)["unique_id"])
            touched.add(task["task_id"])
            url = f"{sandbox.origin}/_sandbox/tasks/{task['task_id']}"
            async with session.post(url, json={"action": rng.choice(ACTIONS)}) as answer:
                await answer.read()


@pytest.mark.part(2)
@pytest.mark.parametrize("seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.soak) for seed in (3, 4))])
@pytest.mark.parametrize("status", [None, "pending"])
async def test_what_matched_all_the_time_is_in_exactly_one_line(seed, status, make_sandbox, export, tmp_path):
    rng = random.Random(seed)
    now = [1_750_000_000_000]
    slow = FaultRule(kind="latency", on="list", seconds=0.005)
    sandbox = await make_sandbox([slow, *REPEATS[: seed % 3]], clock=lambda: now[0])
    for number in range(120):
        now[0] += rng.choice([0, 0, 0, 1, 5_000])
        create(sandbox, number, 1)
    now[0] += 60_000
    still = range(60)
    wanted = {sandbox.store.world("live").by_unique_id(letter(number)["unique_id"])["task_id"] for number in still}
    touched: set[str] = set()
    async with anyio.create_task_group() as group:
        group.start_soon(change, sandbox, rng, still, touched, now)
        summary = await export(sandbox, **({} if status is None else {"status": (status,)}))
        group.cancel_scope.cancel()
    assert touched
    assert summary.exit_code in {0, 1}
    lines = [
        json.loads(line) for path in (tmp_path / "out").rglob("tasks-*") for line in path.read_bytes().splitlines()
    ]
    counts = Counter(task["task_id"] for task in lines)
    assert set(counts.values()) == {1}
    assert wanted <= set(counts)
    assert status is None or all(task["status"] == status for task in lines)


@pytest.mark.part(2)
@pytest.mark.parametrize("at", [3, 17, 40, 90])
async def test_a_stopped_export_reads_at_most_one_page_per_partition_again(at, make_sandbox, export, tmp_path):
    now = [1_750_000_000_000]
    sandbox = await make_sandbox(clock=lambda: now[0])
    for number in range(600):
        now[0] += 1_000
        create(sandbox, number, 1)
    now[0] += 60_000
    await export(sandbox, out=tmp_path / "whole")
    whole = sandbox.journal.count("list")
    sandbox.journal.clear()
    sandbox.faults.replace([FaultRule(kind="error", on="list", status=401, at=tuple(range(at, at + 12)))])
    stopped = await export(sandbox)
    assert stopped.exit_code == 3
    sandbox.faults.replace([])
    done = await export(sandbox)
    assert (done.exit_code, done.tasks) == (0, 600)
    answered = sandbox.journal.count("list", 200)
    # A page per reader, the question for the time of each run, and partitions that were cut at other places.
    assert answered <= whole + 2 * 6 + 1
    lines = [line for path in (tmp_path / "out").rglob("tasks-*") for line in path.read_bytes().splitlines()]
    same = [line for path in (tmp_path / "whole").rglob("tasks-*") for line in path.read_bytes().splitlines()]
    assert sorted(lines) == sorted(same)
