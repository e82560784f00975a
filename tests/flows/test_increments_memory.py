"""What an increment remembers of versions holds for one state of its folder: whatever else wrote there, it adds up."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scalesync.flows.exports.compact.run import CompactOptions, run_compact
from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from scalesync.sandbox import FaultRule
from tests.flows.test_increments import MINUTE, START_MS, World, matching, newest

Ways = tuple[str, ...]


@pytest.fixture
async def there(make_sandbox) -> World:
    now = [START_MS]
    return World(await make_sandbox(clock=lambda: now[0]), now)


@pytest.fixture
def export(settings_for, notebook, tmp_path):
    async def run(here: World, ledger: str = "ledger.db", **options: Any):
        here.now[0] += 60 * MINUTE
        typed = {"out": tmp_path / "inc", "status": ("completed",), **options}
        settings = settings_for(here.sandbox, ledger=tmp_path / ledger)
        return await run_export(ExportOptions(**typed), settings, notebook, signals=False)

    return run


def versions_in(out: Path) -> Counter[tuple[str, str]]:
    """How often each version of a task is a line."""
    found: Counter[tuple[str, str]] = Counter()
    for entry in json.loads((out / "manifest.json").read_bytes())["files"]:
        for line in (out / entry["path"]).read_bytes().splitlines():
            task = json.loads(line)
            found[task["task_id"], task["updated_at"]] += entry.get("kind") is None
    return found


async def adds_up(here: World, out: Path, notebook: Any) -> None:
    """The newest versions less what left are the server's tasks, no version stands there twice, and compact agrees."""
    wanted = matching(here, "completed")
    assert newest(out) == wanted
    assert max(versions_in(out).values()) == 1
    compacted = out.with_name("compacted")
    shutil.rmtree(compacted, ignore_errors=True)
    summary = await run_compact(CompactOptions(out, compacted), notebook)
    assert summary.tasks == len(wanted)


async def stir(here: World, rng: random.Random, count: int = 40) -> None:
    """Complete, recall, correct and touch drawn tasks."""
    for _ in range(count):
        here.now[0] += rng.randrange(2_000)
        await here.act(rng.randrange(here.made), rng.choice(("complete", "complete", "recall", "correct", "touch")))


STEPS: dict[str, dict[str, Any]] = {
    "increment": {"incremental": True},
    "again": {"again": True},
    "full check": {"incremental": True, "full_every": "1m"},
    "other ledger": {"incremental": True, "ledger": "other.db"},
    "third ledger": {"incremental": True, "ledger": "third.db"},
    "other ledger again": {"again": True, "ledger": "other.db"},
}


@pytest.mark.part(2)
@pytest.mark.parametrize(
    "ways",
    [
        ("increment", "again", "increment"),
        ("plain", "increment", "again", "increment"),
        ("increment", "again", "increment", "again", "increment", "increment"),
        ("increment", "other ledger", "increment", "other ledger"),
        ("increment", "other ledger again", "increment"),
        ("plain", "other ledger", "increment", "again", "full check"),
        ("increment", "full check", "again", "full check"),
        ("increment", "again", "other ledger", "increment", "third ledger", "again", "increment"),
    ],
    ids=" > ".join,
)
async def test_whatever_wrote_the_folder_the_next_increment_adds_up(ways: Ways, there, export, notebook, tmp_path):
    rng = random.Random(" ".join(ways))
    there.create(60)
    for way in ways:
        await stir(there, rng)
        summary = await export(there, **STEPS.get(way, {}))
        assert summary.exit_code == 0, summary
        await adds_up(there, tmp_path / "inc", notebook)


@pytest.mark.parametrize("between", ["other ledger", "again", "restored"])
async def test_a_stopped_increment_does_not_continue_behind_another_state_of_the_folder(
    between,
    there,
    export,
    notebook,
    tmp_path,
):
    rng = random.Random(between)
    there.create(60)
    await stir(there, rng)
    await export(there, incremental=True)
    shutil.copytree(tmp_path / "inc", tmp_path / "backup")
    await stir(there, rng)
    await export(there, incremental=True)
    await stir(there, rng)
    there.sandbox.faults.replace([FaultRule(kind="error", on="list", status=401, at=tuple(range(3, 9)))])
    stopped = await export(there, incremental=True, page_size=5)
    assert stopped.exit_code == 3
    there.sandbox.faults.replace([])
    await stir(there, rng)
    if between == "restored":
        shutil.rmtree(tmp_path / "inc")
        (tmp_path / "backup").rename(tmp_path / "inc")
    else:
        await export(there, **STEPS[between])
        await stir(there, rng)
    summary = await export(there, incremental=True, page_size=5)
    assert summary.exit_code == 0
    await adds_up(there, tmp_path / "inc", notebook)


@pytest.mark.parametrize("recalled", [1, 2])
async def test_tasks_that_left_are_reported(recalled, there, export, notebook, tmp_path):
    there.create(4)
    for number in range(3):
        await there.act(number, "complete")
    assert (await export(there, incremental=True)).message == ""
    for number in range(recalled):
        await there.act(number, "recall")
    summary = await export(there, incremental=True)
    assert (summary.tasks, summary.exit_code) == (0, 0)
    one, more = "1 task exported before no longer matches", "2 tasks exported before no longer match"
    assert (one if recalled == 1 else more) in summary.message
    assert "left-*.jsonl" in summary.message
    await adds_up(there, tmp_path / "inc", notebook)
