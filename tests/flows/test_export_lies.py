"""Exports of lists that lie: no task in two lines, none missing without a word, no run without end."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scalesync.flows.exports.backfill.plan import BackfillOptions
from scalesync.flows.exports.backfill.run import run_backfill
from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from scalesync.outputs.reader import lines_of
from scalesync.sandbox import FaultRule, Sandbox
from scalesync.sandbox.scale.tasks.create import make_task
from tests.conftest import KIND, PROJECT, letter

TASKS = 120
DAY_MS = 86_400_000


@pytest.fixture
async def sandbox(make_sandbox) -> Sandbox:
    """Letters made over two days, some in one millisecond, and some of another project."""
    now = [1_750_000_000_000]
    made: Sandbox = await make_sandbox(clock=lambda: now[0])
    world = made.store.world("live")
    world.add_project("others", KIND)
    rng = random.Random("lies")
    for number in range(TASKS + 20):
        now[0] += rng.choice([0, 0, 1, DAY_MS // 60])
        body = letter(number, project=PROJECT if number < TASKS else "others")
        world.insert(make_task(world, KIND, json.dumps(body).encode(), None))
    now[0] += 60_000
    return made


@pytest.fixture
def export(settings_for, notebook, tmp_path):
    async def run(sandbox: Sandbox, *, concurrency: int = 1, **options: Any):
        typed = ExportOptions(**{"out": tmp_path / "out", "project": PROJECT, "page_size": 10, **options})
        return await run_export(typed, settings_for(sandbox, concurrency=concurrency), notebook, signals=False)

    return run


def exported(out: Path) -> Counter[str]:
    """How often each unique_id stands in the data files of the manifest."""
    files = json.loads((out / "manifest.json").read_bytes())["files"]
    return Counter(json.loads(line)["unique_id"] for entry in files for line in lines_of(out / entry["path"]))


WANTED = Counter(letter(number)["unique_id"] for number in range(TASKS))
REPEATS = [
    [FaultRule(kind="repeat")],
    [FaultRule(kind="repeat", count=9)],
    [FaultRule(kind="repeat", back=0, pages=(1, 3), count=4)],
    [FaultRule(kind="repeat", back=3)],
    [FaultRule(kind="repeat", back=5, count=10), FaultRule(kind="repeat", back=1)],
]
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "wide": {"concurrency": 8},
    "incremental": {"incremental": True},
    "parquet": {"format": "parquet"},
    "cut": {"fields": ("unique_id",)},
}


@pytest.mark.part(3)
@pytest.mark.parametrize("rules", REPEATS, ids=["next", "nine", "within", "later", "both"])
@pytest.mark.parametrize("way", WAYS)
async def test_repeats_where_nothing_is_missing_are_settled(rules, way, sandbox, export, tmp_path):
    sandbox.faults.replace(rules)
    summary = await export(sandbox, **WAYS[way])
    assert (summary.exit_code, summary.unsettled, summary.tasks) == (0, 0, TASKS)
    assert exported(tmp_path / "out") == WANTED


@pytest.mark.part(2)
@pytest.mark.parametrize("repeat", [None, FaultRule(kind="repeat"), FaultRule(kind="repeat", back=2)])
@pytest.mark.parametrize("way", WAYS)
async def test_a_gap_is_unsettled_also_where_a_repeat_makes_up_for_it(repeat, way, sandbox, export, notebook, tmp_path):
    pages = (4,)
    gap = FaultRule(kind="gap", pages=pages)
    sandbox.faults.replace(
        [gap, *([] if repeat is None else [FaultRule(kind="repeat", back=repeat.back, pages=pages)])]
    )
    summary = await export(sandbox, **{**WAYS[way], "concurrency": 1})
    assert (summary.exit_code, summary.unsettled, summary.tasks) == (1, 1, TASKS - 1)
    assert len(WANTED - exported(tmp_path / "out")) == 1
    assert max(exported(tmp_path / "out").values()) == 1
    (told,) = [note for note in notebook.notes if note.startswith("unsettled")]
    assert f"listed {TASKS - 1} different ones" in told
    assert f"counts {TASKS}, even when asked 3 times" in told


async def test_a_gap_that_closes_is_filled_by_another_reading(sandbox, export, tmp_path):
    sandbox.faults.replace([FaultRule(kind="gap", at=(4,), count=3), FaultRule(kind="repeat")])
    summary = await export(sandbox)
    assert (summary.exit_code, summary.tasks) == (0, TASKS)
    assert exported(tmp_path / "out") == WANTED


async def test_what_an_increment_did_not_settle_the_next_one_brings(sandbox, export, tmp_path):
    lies = [FaultRule(kind="gap", pages=(4,)), FaultRule(kind="repeat", pages=(4,))]
    sandbox.faults.replace(lies)
    first = await export(sandbox, incremental=True)
    still = await export(sandbox, incremental=True)
    assert (first.exit_code, still.exit_code, still.tasks) == (1, 1, 0)
    sandbox.faults.replace([])
    assert (await export(sandbox, incremental=True)).exit_code == 0
    assert exported(tmp_path / "out") == WANTED
    sandbox.journal.clear()
    assert (await export(sandbox, incremental=True)).tasks == 0
    assert sandbox.journal.count("list") <= 4  # the window is small again


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (FaultRule(kind="circle", pages=(2,)), "goes in a circle"),
        (FaultRule(kind="circle", pages=(5,)), "goes in a circle"),
        (FaultRule(kind="circle", pages=(2,), fresh=True), "200 pages in a row brought no new task"),
        (FaultRule(kind="empty", pages=(3,), fresh=True), "200 pages in a row brought no new task"),
        (FaultRule(kind="empty", pages=(1,), fresh=True), "200 pages in a row brought no new task"),
        (FaultRule(kind="empty", pages=(3,)), "goes in a circle"),
    ],
)
@pytest.mark.part(3)
@pytest.mark.parametrize("format", ["jsonl", "jsonl.gz", "parquet"])
async def test_a_list_that_leads_nowhere_ends_the_run_and_the_next_run_continues(
    rule, told, format, sandbox, export, tmp_path
):
    for run in range(2):
        sandbox.faults.replace([rule])
        stopped = await export(sandbox, format=format)
        assert stopped.exit_code == 3
        assert told in stopped.message or run  # a schedule that begins again draws the tokens of the run before
        assert stopped.message.endswith("run the same command again to resume")
    sandbox.faults.replace([])
    done = await export(sandbox, format=format)
    assert (done.exit_code, done.tasks) == (0, TASKS)
    assert exported(tmp_path / "out") == WANTED


@pytest.mark.parametrize("times", [1, 150])
async def test_empty_pages_that_end_are_no_reason_to_stop(times, sandbox, export, tmp_path):
    sandbox.faults.replace([FaultRule(kind="empty", pages=(3,), fresh=True, times=times)])
    assert (await export(sandbox)).exit_code == 0
    assert exported(tmp_path / "out") == WANTED


def uncounted(out: Path) -> int:
    return int(json.loads((out / "manifest.json").read_bytes()).get("uncounted", 0))


@pytest.mark.parametrize("by", [-7, -5_000], ids=["low", "none"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_total_that_is_always_too_low_is_reported_once_and_does_not_unsettle(
    by, way, sandbox, export, notebook, tmp_path
):
    sandbox.faults.replace([FaultRule(kind="total", by=by)])
    summary = await export(sandbox, **WAYS[way])
    assert (summary.exit_code, summary.unsettled, summary.tasks) == (0, 0, TASKS)
    assert exported(tmp_path / "out") == WANTED
    (told,) = [note for note in notebook.notes if "totals are too low" in note]
    assert "the list ended normally" in told
    assert uncounted(tmp_path / "out") >= 1


@pytest.mark.parametrize("most", [1, 50, TASKS - 1])
@pytest.mark.parametrize("concurrency", [1, 8])
async def test_a_total_that_stops_at_a_bound_is_no_finding(most, concurrency, make_sandbox, export, notebook, tmp_path):
    capped = await make_sandbox(total_most=most)
    world = capped.store.world("live")
    for number in range(TASKS):
        world.insert(make_task(world, KIND, json.dumps(letter(number, project=PROJECT)).encode(), None))
    summary = await export(capped, concurrency=concurrency)
    assert (summary.exit_code, summary.unsettled) == (0, 0)
    assert exported(tmp_path / "out") == WANTED
    (told,) = [note for note in notebook.notes if "totals are too low" in note]
    assert f"it counts {most:,} and lists {TASKS}, the same ones each time" in told
    assert uncounted(tmp_path / "out") == 1
    seen = capped.journal.count("list")
    assert (await export(capped, concurrency=concurrency)).exit_code == 0  # finished, and known to be
    assert capped.journal.count("list") == seen


async def test_a_total_at_its_bound_that_is_as_large_as_the_list_is_right(make_sandbox, export, notebook, tmp_path):
    capped = await make_sandbox(total_most=TASKS)
    world = capped.store.world("live")
    for number in range(TASKS):
        world.insert(make_task(world, KIND, json.dumps(letter(number, project=PROJECT)).encode(), None))
    assert (await export(capped)).exit_code == 0
    assert uncounted(tmp_path / "out") == 0
    assert not [note for note in notebook.notes if "too low" in note]


async def test_a_list_beyond_its_total_that_is_another_one_each_time_is_unsettled(sandbox, export, notebook, tmp_path):
    """More than the total each time, and each time another task is left out: there may be more that never came."""
    gaps = [FaultRule(kind="gap", pages=(page,), at=(number,)) for page, number in ((3, 3), (4, 16), (5, 29))]
    sandbox.faults.replace([FaultRule(kind="total", by=-20), *gaps])
    summary = await export(sandbox)
    assert (summary.exit_code, summary.unsettled) == (1, 1)
    assert not [note for note in notebook.notes if "too low" in note]
    assert exported(tmp_path / "out") == WANTED


@pytest.mark.parametrize("concurrency", [1, 8])
async def test_a_total_that_is_too_high_leaves_all_tasks_and_is_reported(concurrency, sandbox, export, tmp_path):
    sandbox.faults.replace([FaultRule(kind="total", by=7)])
    summary = await export(sandbox, concurrency=concurrency)
    assert summary.exit_code == 1
    assert summary.unsettled >= 1
    assert exported(tmp_path / "out") == WANTED


@pytest.mark.parametrize("concurrency", [1, 8])
async def test_a_total_that_moves_leaves_all_tasks(concurrency, sandbox, export, tmp_path):
    sandbox.faults.replace([FaultRule(kind="total", by=40, moving=True)])
    assert (await export(sandbox, concurrency=concurrency)).exit_code in {0, 1}
    assert exported(tmp_path / "out") == WANTED


@pytest.mark.parametrize("pages", [(1,), (3,), (12,)])
async def test_a_page_of_another_question_is_asked_for_again(pages, sandbox, export, notebook, tmp_path):
    sandbox.faults.replace([FaultRule(kind="foreign", pages=pages, at=tuple(range(pages[0], pages[0] + 4)))])
    assert (await export(sandbox)).exit_code == 0
    assert exported(tmp_path / "out") == WANTED
    (told,) = [note for note in notebook.notes if "other tasks than requested" in note]
    assert "a task of project 'others', not 'letters'; asking again" in told


async def test_pages_of_another_question_that_keep_coming_end_the_run(sandbox, export, tmp_path):
    sandbox.faults.replace([FaultRule(kind="foreign", pages=(4,))])
    stopped = await export(sandbox)
    assert (stopped.exit_code, stopped.tasks) == (3, 30)
    assert "a page of other tasks than requested: a task of project 'others', not 'letters', 5 times" in stopped.message
    sandbox.faults.replace([])
    assert (await export(sandbox)).exit_code == 0
    assert exported(tmp_path / "out") == WANTED


async def test_a_page_of_another_time_is_asked_for_again(sandbox, export, notebook, tmp_path):
    sandbox.faults.replace([FaultRule(kind="foreign", at=(2,))])
    documents = list(sandbox.store.world("live").documents())
    after = sorted(document["created_at"] for document in documents)[80]
    await export(sandbox, project=None, created_after=after)
    assert any("a task created at" in note for note in notebook.notes)
    assert set(exported(tmp_path / "out")) == {d["unique_id"] for d in documents if d["created_at"] >= after}


def drawn_lies(rng: random.Random) -> list[FaultRule]:
    """Some lies that leave it possible to find every task, in the end."""
    chances: Sequence[FaultRule] = [
        FaultRule(kind="repeat", share=rng.random(), back=rng.randrange(6), count=rng.randint(1, 10)),
        FaultRule(kind="repeat", share=rng.random(), back=1),
        FaultRule(kind="gap", share=rng.random(), count=rng.randint(1, 10)),
        FaultRule(kind="gap", pages=(rng.randint(1, 12),)),
        FaultRule(kind="empty", share=rng.random() / 2, fresh=True),
        FaultRule(kind="total", share=rng.random() / 2, by=rng.randint(-9, 9), moving=rng.random() < 0.5),
        FaultRule(kind="foreign", share=rng.random() / 3),
        FaultRule(kind="circle", share=rng.random() / 8, fresh=rng.random() < 0.5),
        FaultRule(kind="error", on="list", share=0.1),
    ]
    return [rule for rule in chances if rng.random() < 0.4]


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(4, 16))])
async def test_drawn_lies_bring_no_task_twice_and_miss_none_without_a_word(
    seed, sandbox, export, settings_for, notebook, tmp_path
):
    rng = random.Random(f"lies {seed}")
    way = rng.choice([*WAYS, "backfill"])
    concurrency = rng.choice([1, 3, 8])
    rules = drawn_lies(rng)
    sandbox.faults.replace(rules)
    for _ in range(30):
        if way == "backfill":
            inner = ExportOptions(out=tmp_path / "out", project=PROJECT, page_size=10)
            options = BackfillOptions(inner, "2025-06-01", window="1d")
            settings = settings_for(sandbox, concurrency=concurrency)
            summary = await run_backfill(options, settings, notebook, signals=False)
        else:
            summary = await export(sandbox, **{"concurrency": concurrency, **WAYS[way]})
        if summary.exit_code != 3:
            break
        sandbox.faults.replace(rules if rng.random() < 0.5 else drawn_lies(rng))
    if summary.exit_code == 3:  # the lies never let it come to an end
        sandbox.faults.replace([])
        summary = await export(sandbox, **WAYS[way]) if way != "backfill" else summary
    if not (tmp_path / "out" / "manifest.json").exists():
        return
    found = exported(tmp_path / "out")
    assert max(found.values()) == 1, rules
    assert not found - WANTED, rules
    if summary.exit_code == 0:
        assert found == WANTED, rules
