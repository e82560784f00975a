"""Exports of lists that are not like Scale's: ids that grow instead of times, and no totals to count against."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scalesync.ports.platform import Axis, Changes
from tests.conftest import Notebook
from tests.flows.fates import Fate
from tests.flows.other_service import Export, Service, exported, exporting, ids_of, newest

ITEMS = 230


@pytest.fixture
def export(tmp_path: Path, notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> Export:
    return exporting(tmp_path, notebook, monkeypatch)


def assert_whole(folder: Path, service: Service, *, held: dict[int, set[bytes]] | None = None) -> None:
    """Each item is one line, as the store held it. held: what it held at any time, where it moved on meanwhile."""
    lines = exported(folder)
    assert sorted(ids_of(lines)) == sorted(service.store)
    if held is None:
        assert set(lines) == set(service.store.values())
    else:
        assert all(line in held[number] for number, line in zip(ids_of(lines), lines, strict=True))


SHAPES: dict[str, dict[str, Any]] = {
    "ids": {},
    "ids, the last one unknown": {"tells_last": False},
    "no order": {"axis": Axis.NONE},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, ITEMS])
async def test_lists_without_totals_are_whole_and_leave_nothing_unclear(shape, count, export, notebook, tmp_path):
    rng = random.Random(count)
    service = Service(**SHAPES[shape]).fill(count, step=lambda: rng.choice([1, 1, 2, 50]))
    summary = await export(service)
    assert (summary.exit_code, summary.unsettled, summary.tasks) == (0, 0, count)
    assert_whole(tmp_path / "out", service)
    assert not [note for note in notebook.notes if "unsettled" in note or "total" in note]
    assert all(snapshot.share is None and snapshot.total is None for snapshot in notebook.snapshots)


@pytest.mark.timeout(240)
async def test_many_readers_divide_a_range_of_ids_by_what_the_last_one_promises(export, tmp_path):
    service = Service().fill(3_000)
    summary = await export(service, concurrency=8, page_size=50)
    assert summary.tasks == 3_000
    assert_whole(tmp_path / "out", service)
    with closing(sqlite3.connect(tmp_path / "out.db")) as ledger:
        ((partitions,),) = ledger.execute("SELECT count(*) FROM splits WHERE kind='slice'")
    assert partitions >= 8
    # what dividing costs: pages that reach over a cut, and looks behind an end
    assert service.pages <= 60 + 3 * partitions


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("back", [1, 9, 25])
async def test_a_list_that_repeats_gives_each_task_once(shape, back, export, tmp_path):
    service = Service(**SHAPES[shape], repeats=lambda page: back if page % 3 == 1 else 0).fill(ITEMS)
    summary = await export(service)
    assert (summary.exit_code, summary.tasks) == (0, ITEMS)
    assert_whole(tmp_path / "out", service)


@pytest.mark.parametrize("tells_last", [True, False])
@pytest.mark.parametrize("cap", [7, 10, 25, 59])
async def test_a_list_that_ends_early_is_taken_up_behind_its_end(tells_last, cap, export, tmp_path):
    service = Service(tells_last=tells_last, cap=cap).fill(60)
    summary = await export(service, page_size=5)
    assert (summary.exit_code, summary.tasks) == (0, 60)
    assert_whole(tmp_path / "out", service)


async def test_a_list_that_ends_early_now_and_then_is_whole(export, tmp_path):
    rng = random.Random("ends")
    service = Service(ends=lambda page: rng.random() < 0.4).fill(ITEMS)
    summary = await export(service)
    assert (summary.exit_code, summary.tasks) == (0, ITEMS)
    assert_whole(tmp_path / "out", service)


@pytest.mark.parametrize("shape", SHAPES)
async def test_what_was_there_from_first_to_last_is_whole_while_the_store_moves_on(shape, export, tmp_path):
    service = Service(**SHAPES[shape]).fill(ITEMS)
    held: dict[int, set[bytes]] = {number: {raw} for number, raw in service.store.items()}
    rng = random.Random("moves")

    def move(page: int) -> None:
        for number in (rng.randint(1, ITEMS), ITEMS + 1 + page):
            service.put(number, page=page)
            held.setdefault(number, set()).add(service.store[number])

    service.before_page = move
    summary = await export(service)
    assert summary.exit_code == 0
    lines = exported(tmp_path / "out")
    counted = Counter(ids_of(lines))
    assert max(counted.values()) == 1
    assert set(range(1, ITEMS + 1)) <= set(counted)
    assert all(line in held[number] for number, line in zip(ids_of(lines), lines, strict=True))


async def test_a_circle_and_empty_pages_without_end_stop_the_run(export):
    circle = Service(cursor_of=lambda page, cursor: cursor or "10").fill(60)
    summary = await export(circle, concurrency=1)
    assert (summary.exit_code, "circle" in summary.message) == (3, True)
    endless = Service(cursor_of=lambda page, cursor: str(-page - 1))
    summary = await export(endless, out="other")
    assert (summary.exit_code, "leads nowhere" in summary.message) == (3, True)


@pytest.mark.timeout(240)
@pytest.mark.part(2)
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_run_that_is_killed_at_any_step_continues_without_a_line_lost_or_doubled(shape, export, tmp_path):
    whole = Fate()
    await export(Service(**SHAPES[shape]).fill(25), whole, "steps", concurrency=1)
    assert whole.steps > 10
    for strike in range(1, whole.steps + 1):
        service = Service(**SHAPES[shape], repeats=lambda page: 3 if page % 2 else 0).fill(25)
        out = f"out{strike}"
        fate = Fate(strike)
        assert (await export(service, fate, out, concurrency=1) is None) or fate.nearly(whole)
        summary = await export(service, None, out, concurrency=2)
        assert (summary.exit_code, summary.unsettled) == (0, 0), strike
        assert_whole(tmp_path / out, service)


@pytest.mark.timeout(240)
async def test_a_run_that_is_killed_again_and_again_while_the_store_moves_on_is_whole(export, tmp_path):
    rng = random.Random("killed")
    service = Service(ends=lambda page: rng.random() < 0.2).fill(120)
    held: dict[int, set[bytes]] = {number: {raw} for number, raw in service.store.items()}

    def move(page: int) -> None:
        number = rng.randint(1, 120)
        service.put(number, page=page)
        held[number].add(service.store[number])

    service.before_page = move
    for _ in range(60):
        summary = await export(service, Fate(rng.randint(3, 12)), concurrency=rng.choice([1, 3]))
        if summary is not None:
            break
    else:
        summary = await export(service)
    assert (summary.exit_code, summary.unsettled) == (0, 0)
    assert_whole(tmp_path / "out", service, held=held)


async def test_filters_that_the_lists_do_not_carry_are_judged_here(export, tmp_path):
    service = Service().fill(40)
    for number in (3, 14, 15):
        service.put(number, state="completed")
    summary = await export(service, status=("completed",))
    assert (summary.exit_code, sorted(ids_of(exported(tmp_path / "out")))) == (0, [3, 14, 15])


@pytest.mark.parametrize("axis", [Axis.NUMBER, Axis.NONE])
@pytest.mark.parametrize("changes", Changes)
async def test_increments_add_up_however_the_platform_tells_of_changes(changes, axis, export, notebook, tmp_path):
    service = Service(axis=axis, changes=changes).fill(50)
    whole = await export(service, incremental=True, overlap="2s")
    assert (whole.exit_code, whole.tasks) == (0, 50)
    unchanged = await export(service, incremental=True, overlap="2s")
    assert (unchanged.exit_code, unchanged.tasks) == (0, 0)
    for number in (7, 8, 50, 51):
        service.put(number, text="other")
    before = service.pages
    changed = await export(service, incremental=True, overlap="2s")
    assert (changed.exit_code, changed.tasks) == (0, 4)
    assert newest(tmp_path / "out") == service.store
    read_all = changes is Changes.NONE
    assert (service.pages - before >= 6) is read_all
    assert any("reads every task" in note for note in notebook.notes) is read_all
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest.get("cursor") == ({"version": 54} if changes is Changes.VERSION else None)


@pytest.mark.parametrize("changes", Changes)
async def test_what_came_to_light_late_is_found_by_a_check_of_everything(changes, export, tmp_path):
    service = Service(changes=changes, hidden={5}).fill(30)
    assert (await export(service, incremental=True, overlap="2s")).tasks == 29
    service.hidden.clear()
    service.put(31)
    seen = await export(service, incremental=True, overlap="2s")
    assert seen.tasks == (2 if changes is Changes.NONE else 1)  # one that reads everything misses nothing
    service.put(32)
    checked = await export(service, incremental=True, overlap="2s", full_every="1s")
    assert (checked.exit_code, newest(tmp_path / "out")) == (0, service.store)
    assert len(exported(tmp_path / "out")) == 32


@pytest.mark.parametrize("changes", [Changes.VERSION, Changes.NONE])
async def test_an_increment_without_the_ledger_reads_the_versions_back(changes, export, tmp_path):
    service = Service(changes=changes).fill(30)
    await export(service, incremental=True)
    for path in tmp_path.glob("out.db*"):
        path.unlink()
    service.put(3, text="other")
    summary = await export(service, incremental=True)
    assert (summary.exit_code, summary.tasks) == (0, 1)
    assert newest(tmp_path / "out") == service.store


@pytest.mark.timeout(240)
@pytest.mark.parametrize("changes", [Changes.VERSION, Changes.NONE])
async def test_an_increment_that_is_killed_at_any_step_adds_up(changes, export, tmp_path):
    async def grown(out: str) -> Service:
        service = Service(changes=changes).fill(12)
        assert (await export(service, None, out, incremental=True)).tasks == 12
        for number in (3, 4, 12, 13):
            service.put(number, text="other")
        return service

    whole = Fate()
    await export(await grown("steps"), whole, "steps", incremental=True, concurrency=1)
    for strike in range(1, whole.steps + 1):
        out = f"out{strike}"
        service = await grown(out)
        fate = Fate(strike)
        assert (await export(service, fate, out, incremental=True, concurrency=1) is None) or fate.nearly(whole)
        service.put(5, text="behind the kill")
        for _ in range(2):
            assert (await export(service, None, out, incremental=True)).exit_code == 0
        assert newest(tmp_path / out) == service.store
        assert len(exported(tmp_path / out)) == 12 + 5
