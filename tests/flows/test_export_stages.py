"""Stages that are delivered apart: each delivery in one line, as it came, and the tasks as ever."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scalesync.flows.exports.backfill.plan import BackfillOptions
from scalesync.flows.exports.backfill.run import run_backfill
from scalesync.flows.exports.compact.run import CompactOptions, run_compact
from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from scalesync.outputs.reader import lines_of
from scalesync.times import iso
from tests.flows.street import MINUTE, START_MS, Delivery, Street, delivered, entries, stage_lines


@pytest.fixture
async def street(make_sandbox) -> Street:
    now = [START_MS]
    return Street(await make_sandbox(clock=lambda: now[0]), now)


@pytest.fixture
def export(settings_for, notebook, tmp_path):
    async def run(street: Street, **options: Any):
        street.later()
        out = tmp_path / options.pop("name", "out")
        asked = ExportOptions(out=out, **{"incremental": True, **options})
        settings = settings_for(street.sandbox, ledger=tmp_path / options.pop("ledger", "ledger.db"))
        return await run_export(asked, settings, notebook, signals=False)

    return run


def listed(folder: Path) -> tuple[int, int]:
    """The files of the manifest, and their bytes."""
    files = json.loads((folder / "manifest.json").read_bytes())["files"]
    return len(files), sum(entry["bytes"] for entry in files)


async def test_a_delivery_is_written_once_when_it_comes_and_the_task_when_it_changes(street, export, tmp_path):
    one, two = street.create(2)
    (whole,) = street.create(blueprint="whole")
    first = await export(street)
    assert (first.tasks, first.stages, entries(tmp_path / "out", "stages")) == (3, 0, [])
    ever: dict[Delivery, Any] = {}
    for changes in (
        [(one, "complete", "boxes"), (whole, "complete", "boxes")],
        [],
        [(one, "complete", "lanes"), (two, "complete", "boxes"), (two, "complete", "lanes")],
        [(one, "correct", "boxes")],
        [(one, "touch", None), (two, "touch", None)],
        [(task_id, "complete", None) for task_id in (one, two, whole)],
        [(two, "recall", None)],
        [(two, "complete", None)],
    ):
        before = street.documents()
        for change in changes:
            street.act(*change)
        news = {key: stage for key, stage in street.deliveries().items() if key not in ever}
        ever |= news
        changed = sum(before[task_id] != document for task_id, document in street.documents().items())
        summary = await export(street)
        assert (summary.tasks, summary.stages) == (changed, len(news))
        assert delivered(tmp_path / "out") == Counter(dict.fromkeys(ever, 1))
    for line in map(json.loads, stage_lines(tmp_path / "out")):
        assert line["delivery"] == ever[line["task_id"], line["stage"], line["delivered_at"]]
        assert (line["blueprint"], line["project"]) == ("drive", "street")
        assert list(line) == ["task_id", "stage", "delivered_at", "blueprint", "project", "delivery"]
    assert all(b'"stage":' not in line for entry in entries(tmp_path / "out", None)
               for line in lines_of(tmp_path / "out" / entry["path"]))  # fmt: skip


async def test_the_delivery_is_the_servers_bytes_and_so_is_the_task(street, export, tmp_path):
    (one,) = street.create()
    street.act(one, "complete", "boxes", annotations=[{"note": "grün \ud83d\ude97", "n": 18446744073709551617}])
    await export(street)
    (line,) = stage_lines(tmp_path / "out")
    document = street.documents()[one]
    (task_file,) = entries(tmp_path / "out", None)
    assert list(lines_of(tmp_path / "out" / task_file["path"])) == [document]
    raw = line.partition(b',"delivery":')[2][:-1]
    assert raw.startswith(b'{"name":"boxes"')
    assert raw in document


async def test_a_full_export_writes_what_is_delivered_and_the_increments_continue(street, export, tmp_path):
    ids = street.create(5)
    for task_id in ids[:3]:
        street.act(task_id, "complete", "boxes")
    full = await export(street, incremental=False)
    assert (full.tasks, full.stages) == (5, 3)
    assert (full.files, full.bytes) == listed(tmp_path / "out") == (2, full.bytes)
    again = await export(street, incremental=False)
    assert (again.requests, again.stages) == (0, 3)
    assert (again.files, again.bytes) == listed(tmp_path / "out")
    street.act(ids[0], "complete", "lanes")
    assert (await export(street)).stages == 1
    (tmp_path / "ledger.db").unlink()  # the folder knows it all
    street.act(ids[0], "touch")
    street.act(ids[4], "complete", "boxes")
    assert (await export(street)).stages == 1
    assert delivered(tmp_path / "out") == Counter(dict.fromkeys(street.deliveries(), 1))


async def test_again_replaces_the_tasks_and_keeps_each_delivery_that_was_ever_written(
    street, export, tmp_path, notebook
):
    one, two = street.create(2)
    street.act(one, "complete", "boxes")
    await export(street, incremental=False)
    kept = entries(tmp_path / "out", "stages")
    ever = street.deliveries()
    street.act(one, "correct", "boxes")
    street.act(two, "complete", "boxes")
    ever |= street.deliveries()
    again = await export(street, incremental=False, again=True)
    assert (again.tasks, again.stages) == (2, 2)
    assert "this folder keeps 1 delivery of stages; new ones are added" in notebook.notes
    assert entries(tmp_path / "out", "stages")[:1] == kept
    assert delivered(tmp_path / "out") == Counter(dict.fromkeys(ever, 1))
    (tmp_path / "out" / kept[0]["path"]).unlink()
    lost = await export(street, incremental=False, again=True)
    assert lost.stages == 0
    assert any("is missing" in note and "corrected since" in note for note in notebook.notes)
    assert delivered(tmp_path / "out") == Counter(dict.fromkeys(street.deliveries(), 1))
    other = await export(street, incremental=False, again=True, status=("completed",))
    assert (other.tasks, delivered(tmp_path / "out")) == (0, Counter())
    words = "the filters are others, so this folder loses 2 deliveries of stages, corrected ones for good"
    assert words in notebook.notes


@pytest.mark.parametrize(("format", "name"), [("jsonl.gz", "stages-00001.jsonl.gz"), ("parquet", "stages-00001.jsonl")])
async def test_stages_stay_lines_of_json(street, export, tmp_path, format, name):
    (one,) = street.create()
    street.act(one, "complete", "boxes")
    await export(street, format=format)
    assert [entry["path"] for entry in entries(tmp_path / "out", "stages")] == [name]
    data = (tmp_path / "out" / name).read_bytes()
    (line,) = (gzip.decompress(data) if name.endswith(".gz") else data).splitlines()
    assert json.loads(line)["stage"] == "boxes"


async def test_only_tasks_that_match_bring_their_stages(street, export, tmp_path):
    one, two = street.create(2)
    street.act(one, "complete", "boxes")
    street.act(two, "complete")
    await export(street, status=("completed",))
    assert {key[0] for key in delivered(tmp_path / "out")} == {two}
    street.act(one, "complete")
    await export(street, status=("completed",))
    assert delivered(tmp_path / "out") == Counter(dict.fromkeys(street.deliveries(), 1))


async def test_compact_keeps_the_newest_delivery_of_each_stage(street, export, tmp_path, notebook):
    one, two = street.create(2)
    for task_id in (one, two):
        street.act(task_id, "complete", "boxes")
    await export(street)
    as_of = iso(street.now[0])
    before = street.deliveries()
    street.act(one, "correct", "boxes")
    street.act(two, "complete")
    await export(street)
    done = await run_compact(CompactOptions(tmp_path / "out", tmp_path / "now", format="jsonl.gz"), notebook)
    assert (done.tasks, done.stages) == (2, len(street.deliveries()))
    assert delivered(tmp_path / "now") == Counter(dict.fromkeys(street.deliveries(), 1))
    assert set(stage_lines(tmp_path / "now")) < set(stage_lines(tmp_path / "out"))
    same = await run_compact(CompactOptions(tmp_path / "out", tmp_path / "now", format="jsonl.gz"), notebook)
    assert ("nothing to do" in same.message, same.tasks, same.stages) == (True, done.tasks, done.stages)
    await run_compact(CompactOptions(tmp_path / "out", tmp_path / "then", as_of=as_of), notebook)
    assert delivered(tmp_path / "then") == Counter(dict.fromkeys(before, 1))


async def test_compact_keeps_no_delivery_of_a_task_that_left(street, export, tmp_path, notebook):
    one, two = street.create(2)
    for task_id in (one, two):
        street.act(task_id, "complete", "boxes")
    await export(street, status=("pending",))
    as_of = iso(street.now[0])
    street.later()
    street.act(one, "complete")
    await export(street, status=("pending",))
    assert {key[0] for key in delivered(tmp_path / "out")} == {one, two}
    for name, moment, there in (("now", None, {two}), ("then", as_of, {one, two})):
        done = await run_compact(CompactOptions(tmp_path / "out", tmp_path / name, as_of=moment), notebook)
        assert (done.tasks, done.stages) == (len(there), len(there))
        assert {key[0] for key in delivered(tmp_path / name)} == there
    street.act(one, "recall")
    await export(street, status=("pending",))
    back = await run_compact(CompactOptions(tmp_path / "out", tmp_path / "back"), notebook)
    assert (back.tasks, {key[0] for key in delivered(tmp_path / "back")}) == (2, {one, two})


async def test_a_backfill_writes_the_stages_of_each_window_beside_its_tasks(street, settings_for, notebook, tmp_path):
    for _ in range(3):
        (task_id,) = street.create()
        street.act(task_id, "complete", "boxes")
        street.now[0] += 24 * 60 * MINUTE
    options = BackfillOptions(
        ExportOptions(out=tmp_path / "out"), first=iso(START_MS), last=iso(street.now[0]), window="1d", by="created"
    )
    summary = await run_backfill(options, settings_for(street.sandbox), notebook, signals=False)
    assert (summary.tasks, summary.stages, summary.exit_code) == (3, 3, 0)
    assert (summary.files, summary.bytes) == listed(tmp_path / "out")
    windows = json.loads((tmp_path / "out" / "manifest.json").read_bytes())["windows"]
    assert sum(window["files"] for window in windows) == summary.files == 6
    assert len({entry["route"] for entry in entries(tmp_path / "out", "stages")}) == 3
    ever = street.deliveries()
    assert delivered(tmp_path / "out") == Counter(dict.fromkeys(ever, 1))
    lost = entries(tmp_path / "out", None)[1]
    (tmp_path / "out" / lost["path"]).unlink()
    for task_id in street.documents():
        street.act(task_id, "correct", "boxes")
    second = list(street.documents())[1]
    again = await run_backfill(options, settings_for(street.sandbox), notebook, signals=False)
    assert (again.windows_read, again.tasks, again.stages) == (1, 3, 4)
    assert (again.files, again.bytes) == listed(tmp_path / "out")
    ever |= {key: stage for key, stage in street.deliveries().items() if key[0] == second}
    assert delivered(tmp_path / "out") == Counter(dict.fromkeys(ever, 1))


async def test_result_files_of_stages_are_fetched(street, export, tmp_path):
    (one,) = street.create()
    url = f"{street.sandbox.origin}/results/none"
    street.act(one, "complete", "boxes", annotations={"url": url})
    await export(street, download_responses=True)
    (entry,) = json.loads((tmp_path / "out" / "manifest.json").read_bytes())["responses"]["files"]
    (line,) = map(json.loads, lines_of(tmp_path / "out" / entry["path"]))
    assert line["field"] == "stages.boxes.annotations.url"


async def test_a_folder_that_an_earlier_version_began_gets_the_stages_of_a_task_with_its_next_change(
    street, export, tmp_path
):
    one, two = street.create(2)
    for task_id in (one, two):
        street.act(task_id, "complete", "boxes")
    await export(street)
    out, ledger = tmp_path / "out", tmp_path / "ledger.db"
    manifest = json.loads((out / "manifest.json").read_bytes())
    for entry in entries(out, "stages"):
        (out / entry["path"]).unlink()
    manifest["files"] = [entry for entry in manifest["files"] if entry.get("kind") != "stages"]
    del manifest["numbers"]["stages"]
    (out / "manifest.json").write_text(json.dumps(manifest))
    with closing(sqlite3.connect(ledger)) as db:
        db.execute("DROP TABLE parts")
        db.execute("DELETE FROM _sqlite_migrations WHERE name='m011_parts'")
        db.commit()
    assert (await export(street)).stages == 0
    street.act(one, "complete", "lanes")
    assert (await export(street)).stages == 2
    assert delivered(out) == Counter(dict.fromkeys((key for key in street.deliveries() if key[0] == one), 1))
    await export(street, again=True, incremental=False)
    assert delivered(out) == Counter(dict.fromkeys(street.deliveries(), 1))
