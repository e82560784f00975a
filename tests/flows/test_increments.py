"""Increments add up: the newest version per task over all increments, less what left, is a full export."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from scalesync.errors import ConfigError
from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from scalesync.sandbox import FaultRule, Sandbox
from scalesync.sandbox.scale.tasks.create import make_task
from scalesync.times import iso, milliseconds
from tests.conftest import KIND, PROJECT, letter
from tests.draws import seeds

START_MS = 1_750_000_000_000
MINUTE = 60_000


class World:
    """A sandbox with a clock of its own, whose tasks are made and changed at chosen moments."""

    def __init__(self, sandbox: Sandbox, now: list[int]) -> None:
        self.sandbox = sandbox
        self.now = now
        self.made = 0
        self.hidden: list[tuple[int, Any]] = []

    @property
    def tasks(self) -> Any:
        return self.sandbox.store.world("live")

    def create(self, count: int = 1, *, hidden_ms: int = 0, **more: Any) -> None:
        """hidden_ms: how long lists do not show the new task, less than the overlap of ten minutes."""
        for _ in range(count):
            body = json.dumps(letter(self.made, project=PROJECT, **more)).encode()
            task = make_task(self.tasks, KIND, body, None)
            self.tasks.insert(task, visible_ms=self.now[0] + hidden_ms if hidden_ms else 0)
            if hidden_ms:
                self.hidden.append((self.now[0] + hidden_ms, task))
            self.made += 1

    def reveal(self) -> None:
        """Let lists show what is due by now."""
        for at, task in [one for one in self.hidden if one[0] <= self.now[0]]:
            self.tasks.show(task)
            self.hidden.remove((at, task))

    async def act(self, number: int, action: str) -> None:
        """complete, recall, correct, touch, cancel, accept, reject, tag, untag: what is done to a task over there."""
        task = self.tasks.by_unique_id(letter(number)["unique_id"])
        headers = {"Authorization": "Bearer live_k"}
        async with aiohttp.ClientSession(headers=headers) as session:
            if action == "cancel":
                await session.post(f"{self.sandbox.base_url}/task/{task['task_id']}/cancel")
            elif action in {"accept", "reject"}:
                audit = {"accepted": action == "accept", "comments": ""}
                await session.post(f"{self.sandbox.base_url}/task/{task['task_id']}/audit", json=audit)
            elif action in {"tag", "untag"}:
                call = session.put if action == "tag" else session.delete
                await call(f"{self.sandbox.base_url}/task/{task['task_id']}/tags", json=["gold"])
            else:
                url = f"{self.sandbox.origin}/_sandbox/tasks/{task['task_id']}"
                async with session.post(url, json={"action": action}) as response:
                    assert response.status in {200, 400}, await response.text()


@pytest.fixture
async def world(make_sandbox) -> World:
    now = [START_MS]
    return World(await make_sandbox(clock=lambda: now[0]), now)


@pytest.fixture
def export(settings_for, notebook, tmp_path):
    async def run(world: World, name: str = "inc", **options: Any):
        options = {"incremental": True, **options}
        world.reveal()
        return await run_export(
            ExportOptions(out=tmp_path / name, **options),
            settings_for(world.sandbox),
            notebook,
            signals=False,
        )

    return run


def newest(out: Path) -> dict[str, dict[str, Any]]:
    """The newest version per task, less what left, from the files in the manifest's order."""
    found: dict[str, dict[str, Any]] = {}
    for entry in json.loads((out / "manifest.json").read_bytes())["files"]:
        for line in (out / entry["path"]).read_bytes().splitlines():
            task = json.loads(line)
            if entry.get("kind") == "left":
                found.pop(task["task_id"], None)
            else:
                found[task["task_id"]] = task
    return found


def lines(out: Path, pattern: str) -> list[bytes]:
    return [line for path in sorted(out.rglob(pattern)) for line in path.read_bytes().splitlines()]


def matching(world: World, status: str | None) -> dict[str, dict[str, Any]]:
    return {t["task_id"]: t for t in world.tasks.documents() if status is None or t["status"] == status}


async def test_an_increment_holds_only_what_is_new(world, export, tmp_path):
    world.create(30)
    world.now[0] += MINUTE
    first = await export(world)
    world.now[0] += 60 * MINUTE
    world.create(2)
    await world.act(3, "complete")
    world.now[0] += MINUTE
    second = await export(world)
    third = await export(world)
    assert (first.tasks, second.tasks, third.tasks) == (30, 3, 0)
    assert newest(tmp_path / "inc") == matching(world, None)


async def test_a_task_that_no_longer_matches_is_reported_as_left_with_its_reason(world, export, tmp_path):
    world.create(5)
    for number in range(3):
        await world.act(number, "complete")
    world.now[0] += MINUTE
    await export(world, status=("completed",))
    world.now[0] += MINUTE
    await world.act(1, "recall")
    world.now[0] += MINUTE
    await export(world, status=("completed",))
    (left,) = [json.loads(line) for line in lines(tmp_path / "inc", "left-*")]
    assert left["reason"] == "status is pending"
    assert left["task_id"] == world.tasks.by_unique_id(letter(1)["unique_id"])["task_id"]
    assert set(left) == {"task_id", "updated_at", "reason"}
    assert newest(tmp_path / "inc") == matching(world, "completed")


ACTIONS = ("complete", "complete", "recall", "correct", "touch", "cancel")


async def keep_changing(world: World, rng: random.Random) -> None:
    while True:
        world.now[0] += rng.choice([0, 1, 40])
        await world.act(rng.randrange(world.made), rng.choice(ACTIONS))


@pytest.mark.parametrize("status", [None, "completed"])
async def test_changes_during_a_run_are_in_it_or_in_the_next(status, world, export, tmp_path):
    rng = random.Random(3)
    options: dict[str, Any] = {"page_size": 5} | ({} if status is None else {"status": (status,)})
    world.create(60)
    world.sandbox.faults.replace([FaultRule(kind="latency", on="list", seconds=0.01)])
    for _ in range(3):
        world.now[0] += MINUTE
        async with anyio.create_task_group() as group:
            group.start_soon(keep_changing, world, rng)
            summary = await export(world, **options)
            group.cancel_scope.cancel()
        assert summary.exit_code in {0, 1}  # counts that move under every reading are told, not hidden
    world.sandbox.faults.replace([])
    world.now[0] += MINUTE
    last = await export(world, **options)
    assert last.exit_code == 0
    assert newest(tmp_path / "inc") == matching(world, status)


@pytest.mark.parametrize("seed", seeds(6, here=2))
@pytest.mark.parametrize("status", [None, "completed"])
async def test_increments_over_a_drawn_history_equal_a_full_export(seed, status, world, export, tmp_path):
    rng = random.Random(seed)
    options = {} if status is None else {"status": (status,)}
    world.create(10)
    for _ in range(6):
        for _ in range(rng.randrange(12)):
            world.now[0] += rng.choice([0, 0, 0, 1, 1, 500, MINUTE, 15 * MINUTE, 365 * 24 * 60 * MINUTE])
            if rng.random() < 0.3:
                world.create(hidden_ms=rng.choice([0, 0, 5_000, 9 * MINUTE]))
            else:
                await world.act(rng.randrange(world.made), rng.choice(ACTIONS))
        world.now[0] += rng.choice([1_000, MINUTE])
        summary = await export(world, **options)
        assert summary.exit_code == 0
    world.now[0] += 10 * MINUTE
    await export(world, **options)
    assert newest(tmp_path / "inc") == matching(world, status)
    versions = [(task["task_id"], task["updated_at"]) for task in map(json.loads, lines(tmp_path / "inc", "tasks-*"))]
    assert len(versions) == len(set(versions))


FILTERS: dict[str, dict[str, Any]] = {
    "status": {"status": ("completed", "canceled")},
    "accepted": {"review_status": ("accepted",)},
    "waiting": {"review_status": ("pending", "rejected")},
    "tag": {"tags": ("gold", "silver")},
    "batch": {"batch": "first"},
    "completed": {"completed_after": "2025-06-15T15:00:00Z", "completed_before": "2025-06-15T18:00:00Z"},
    "all of them": {"status": ("completed",), "review_status": ("accepted",), "tags": ("gold",), "batch": "first"},
}
FILTERED_ACTIONS = (*ACTIONS, "accept", "accept", "reject", "tag", "tag", "untag")


@pytest.mark.part(2)
@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
async def test_increments_with_a_filter_that_is_applied_here_equal_a_full_export(filters, world, export, tmp_path):
    rng = random.Random(11)
    for name in ("first", "second"):
        world.tasks.add_batch(PROJECT, name)
        world.create(12, batch=name)
    gone = 0
    for number in range(5):
        for _ in range(30):
            world.now[0] += rng.choice([1, 500, MINUTE, 5 * MINUTE])
            await world.act(rng.randrange(world.made), rng.choice(FILTERED_ACTIONS))
        world.now[0] += MINUTE
        assert (await export(world, **filters)).exit_code == 0
        await export(world, f"full-{number}", incremental=False, **filters)
        full = newest(tmp_path / f"full-{number}")
        assert newest(tmp_path / "inc") == full
        gone = len(lines(tmp_path / "inc", "left-*"))
    assert full
    assert gone or "batch" in filters  # a task never changes its batch


@pytest.mark.parametrize("bound", ["created_after", "created_before", "completed_after", "completed_before"])
async def test_ages_count_from_the_first_run(bound, world, export, notebook, tmp_path):
    for _ in range(10):
        world.create()
        world.now[0] += 5 * MINUTE
        await world.act(world.made - 1, "complete")
    for number in range(3):
        assert (await export(world, **{bound: "30m"})).exit_code == 0
        world.now[0] += 15 * MINUTE
        world.create()
        await world.act(2 * number, "recall")
        await world.act(9 - number, "touch")
        world.now[0] += MINUTE
    (tmp_path / "ledger.db").unlink()
    await export(world, **{bound: "30m"})
    began = milliseconds(json.loads((tmp_path / "inc" / "manifest.json").read_bytes())["started_at"])
    moment = iso(began - 30 * MINUTE)
    await export(world, "full", incremental=False, **{bound: moment})
    assert newest(tmp_path / "inc") == newest(tmp_path / "full") != {}
    assert any("30m counts from" in note for note in notebook.notes)


async def test_a_review_status_that_is_not_reported_is_a_note_not_a_match(make_sandbox, export, notebook):
    now = [START_MS]
    world = World(await make_sandbox(clock=lambda: now[0], review_field=False), now)
    world.create(2)
    await world.act(0, "complete")
    now[0] += MINUTE
    assert (await export(world, review_status=("accepted",))).tasks == 0
    assert sum("some completed tasks have no review status" in note for note in notebook.notes) == 1


async def test_a_lost_ledger_continues_from_the_folder(world, export, tmp_path, notebook):
    world.create(20)
    world.now[0] += MINUTE
    await export(world)
    (tmp_path / "ledger.db").unlink()
    world.now[0] += MINUTE
    world.create(1)
    world.now[0] += MINUTE
    second = await export(world)
    assert second.tasks == 1
    assert any("reading the versions back" in note for note in notebook.notes)
    assert newest(tmp_path / "inc") == matching(world, None)


async def test_a_plain_export_can_be_gone_on_with_by_increments(world, export, tmp_path):
    world.create(12)
    world.now[0] += MINUTE
    await export(world, incremental=False)
    world.now[0] += MINUTE
    await world.act(5, "complete")
    world.now[0] += MINUTE
    second = await export(world)
    assert second.tasks == 1
    assert newest(tmp_path / "inc") == matching(world, None)


async def test_what_came_to_light_too_late_is_found_by_the_check_of_everything(world, export, tmp_path, notebook):
    world.create(8)
    world.now[0] += 30 * MINUTE
    await export(world)
    seen_at = world.now[0]
    world.now[0] = START_MS + 10_000  # a change whose time lies before the window of the next increment
    world.create(1)
    world.now[0] = seen_at + 3 * 60 * MINUTE
    missed = await export(world)
    found = await export(world, full_every="1m")
    assert (missed.tasks, found.tasks) == (0, 1)
    assert newest(tmp_path / "inc") == matching(world, None)
    assert any("checked everything" in note for note in notebook.notes)


async def test_other_filters_or_an_updated_range_are_refused(world, export):
    world.create(2)
    world.now[0] += MINUTE
    await export(world)
    with pytest.raises(ConfigError, match="other filters"):
        await export(world, status=("completed",))
    with pytest.raises(ConfigError, match="range of updates"):
        await export(world, updated_after="7d")


async def test_versions_of_a_run_that_was_given_up_are_forgotten(world, export, tmp_path, settings_for, notebook):
    world.create(30)
    world.now[0] += MINUTE
    await export(world)
    world.now[0] += MINUTE
    world.create(20)
    world.now[0] += MINUTE
    # Stopped half way: some pages are durable, their file does not count yet, and then it is gone.
    world.sandbox.faults.replace([FaultRule(kind="error", on="list", status=401, at=(3, 4))])
    stopped = await export(world, page_size=5)
    assert stopped.exit_code == 3
    world.sandbox.faults.replace([])
    parts = list((tmp_path / "inc").glob(".part-*"))
    assert parts
    for part in parts:
        part.unlink()
    await export(world, page_size=5)
    assert newest(tmp_path / "inc") == matching(world, None)


async def test_a_watermark_never_goes_back(world, export, tmp_path):
    world.create(3)
    marks = []
    for _ in range(4):
        world.now[0] += 300  # the Date header stays within its second
        await export(world)
        marks.append(json.loads((tmp_path / "inc" / "manifest.json").read_bytes())["watermark"])
    assert marks == sorted(marks)
