"""Folders of JSON files: every record of every file, once, wherever the file stands, moves or is stopped at."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scalesync.flows.jobs.rebuild import run_rebuild
from scalesync.flows.jobs.status import list_failures
from scalesync.flows.runtime.options import ImportOptions
from scalesync.flows.verify.run import run_verify
from scalesync.mapping.body import BodyBuilder
from scalesync.model.records import Outgoing, SourceRecord
from scalesync.sandbox import Sandbox
from tests.conftest import FAST, KIND, PROJECT, letter
from tests.flows.conftest import creates


def own(number: int) -> dict[str, Any]:
    """A record with a unique_id of its own."""
    return letter(number)


def hashed(number: int) -> dict[str, Any]:
    """A record whose unique_id is derived."""
    return {key: value for key, value in letter(number).items() if key != "unique_id"}


def bodies(sandbox: Sandbox) -> list[dict[str, Any]]:
    """What the server holds of the records: their metadata, in the order of their numbers."""
    tasks = sandbox.store.world("live").documents()
    return sorted((task["metadata"] for task in tasks), key=lambda one: one["number"])


def wanted(count: int) -> list[dict[str, Any]]:
    return [{"number": number} for number in range(count)]


def lines_of(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def filled(folder: Path, record: Any, count: int = 12) -> Path:
    """A folder in which files of one line, of many lines, arrays and packed ones hold records 0 to count - 1."""
    (folder / "deep").mkdir(parents=True)
    records = [record(number) for number in range(count)]
    (folder / "a.json").write_text(lines_of(records[:1]))
    (folder / "b.json").write_text(lines_of(records[1:4]))
    (folder / "c.json").write_text(json.dumps(records[4], indent=1))
    (folder / "d.json.gz").write_bytes(gzip.compress(lines_of(records[5:7]).encode()))
    (folder / "deep" / "e.json").write_text(json.dumps(records[7:9]))
    (folder / "deep" / "f.json").write_text(lines_of(records[9:])[:-1])
    return folder


@pytest.mark.parametrize("record", [own, hashed])
async def test_every_record_of_every_file_becomes_a_task_however_often_it_is_stopped(
    record, make_sandbox, bring, tmp_path
):
    sandbox = await make_sandbox()
    folder = filled(tmp_path / "in", record)
    for _ in range(12):
        summary = await bring(sandbox, folder, job="j", max_new=1)
        if summary.exit_code == 0:
            break
    assert (summary.exit_code, summary.read, summary.created) == (0, 12, 12)
    assert bodies(sandbox) == wanted(12)
    assert creates(sandbox) == 12


@pytest.mark.parametrize("record", [own, hashed])
async def test_files_that_move_swap_or_are_copied_make_no_conflict_and_no_task(record, make_sandbox, bring, tmp_path):
    sandbox = await make_sandbox()
    folder = filled(tmp_path / "in", record)
    await bring(sandbox, folder, job="j")
    (folder / "a.json").rename(folder / "deep" / "zz.json")
    (folder / "b.json").rename(folder / "swap")
    (folder / "c.json").rename(folder / "b.json")
    (folder / "swap").rename(folder / "c.json")
    shutil.copy(folder / "deep" / "f.json", folder / "copy.json")
    summary = await bring(sandbox, folder, job="j")
    assert (summary.exit_code, summary.created, summary.duplicates, summary.gone) == (0, 12, 3, 0)
    assert bodies(sandbox) == wanted(12)


@pytest.mark.parametrize("record", [own, hashed])
async def test_files_that_are_packed_parted_joined_or_rewritten_are_the_same_records(
    record, make_sandbox, bring, tmp_path
):
    sandbox = await make_sandbox()
    folder = filled(tmp_path / "in", record)
    await bring(sandbox, folder, job="j")
    (folder / "d.json").write_bytes(gzip.decompress((folder / "d.json.gz").read_bytes()))
    (folder / "d.json.gz").unlink()
    first, *rest = (folder / "b.json").read_text().splitlines()
    (folder / "b.json").write_text(first)
    (folder / "deep" / "b.json").write_text("\n".join(rest))
    (folder / "c.json").write_text(lines_of([record(7), record(4), record(8)]))
    (folder / "deep" / "e.json").unlink()
    (folder / "deep").rename(folder / "below")
    (folder / "below" / "f.json").rename(folder / "below" / "f.jsonl")
    summary = await bring(sandbox, folder, job="j")
    assert (summary.exit_code, summary.read, summary.created, summary.gone) == (0, 12, 12, 0)
    assert bodies(sandbox) == wanted(12)
    assert creates(sandbox) == 12


@pytest.mark.parametrize("record", [own, hashed])
async def test_files_that_come_change_and_go_are_each_seen(record, make_sandbox, bring, tmp_path):
    sandbox = await make_sandbox()
    folder = filled(tmp_path / "in", record)
    await bring(sandbox, folder, job="j")
    (folder / "0.json").write_text(json.dumps(record(12)))
    (folder / "c.json").write_text(json.dumps({**record(4), "priority": 30}))
    (folder / "deep" / "e.json").unlink()
    summary = await bring(sandbox, folder, job="j")
    assert summary.gone == (2 if record is own else 3)
    if record is own:
        assert (summary.exit_code, summary.created, summary.conflicts) == (1, 12, 1)
    else:
        assert (summary.exit_code, summary.created, summary.conflicts) == (0, 14, 0)


WAYS: dict[str, Any] = {
    "folder": lambda folder: folder,
    "glob": lambda folder: f"{folder}/**/*.json*",
    "files": lambda folder: sorted(path for path in folder.rglob("*") if path.is_file()),
    "parts": lambda folder: [folder / "deep", f"{folder}/*.json.gz", f"{folder}/*.json"],
    "roundabout": lambda folder: folder / "deep" / "..",
}


@pytest.mark.parametrize("record", [own, hashed])
@pytest.mark.parametrize(
    ("before", "after"),
    [("folder", "glob"), ("glob", "folder"), ("files", "folder"), ("folder", "parts"), ("roundabout", "files")],
)
async def test_the_same_files_as_a_folder_and_as_a_glob_are_the_same_records(
    before, after, record, make_sandbox, bring, tmp_path
):
    sandbox = await make_sandbox()
    folder = filled(tmp_path / "in", record)
    await bring(sandbox, WAYS[before](folder))
    sent = creates(sandbox)
    summary = await bring(sandbox, WAYS[after](folder))
    assert (summary.exit_code, summary.read, summary.created, summary.conflicts) == (0, 12, 12, 0)
    assert creates(sandbox) == sent


@pytest.fixture
def old_version(monkeypatch) -> Iterator[Any]:
    """Records become what the first version made of them, until `undo` is called."""
    build = BodyBuilder.build

    def as_then(self: BodyBuilder, record: SourceRecord, source: int) -> Outgoing:
        built = build(self, record, source)
        if built.former is not None:
            key = built.former.key or built.key
            built.body = built.body.replace(built.key.encode(), key.encode())
            built.key, built.content, built.former = key, built.former.content, None
        return built

    monkeypatch.setattr(BodyBuilder, "build", as_then)
    return monkeypatch


@pytest.mark.parametrize("record", [own, hashed])
@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_ledger_of_the_first_version_knows_its_records_again(
    record, dry_run, old_version, make_sandbox, bring, tmp_path
):
    sandbox = await make_sandbox()
    folder = filled(tmp_path / "in", record)
    (folder / "twice.json").write_text((folder / "b.json").read_text())
    first = await bring(sandbox, folder, job="j")
    assert (first.created, first.conflicts) == ((12, 3) if record is own else (15, 0))
    old_version.undo()
    again = await bring(sandbox, folder, job="j", rescan=True, dry_run=dry_run)
    assert creates(sandbox) == first.created
    assert (again.created, again.gone, again.pending) == (first.created, 0, 0)
    assert (again.conflicts, again.duplicates) == ((0, 3) if record is own else (0, 0))


async def test_a_run_that_an_older_version_began_is_finished_without_a_second_task(
    old_version, make_sandbox, bring, tmp_path
):
    sandbox = await make_sandbox()
    folder = filled(tmp_path / "in", hashed)
    stopped = await bring(sandbox, folder, job="j", max_new=5)
    assert stopped.created == 5
    old_version.undo()
    summary = await bring(sandbox, folder, job="j")
    assert (summary.exit_code, summary.created, summary.gone) == (0, 12, 0)
    assert creates(sandbox) == 12


async def test_places_name_the_inner_file_and_follow_it(make_sandbox, bring, tmp_path, settings_for, notebook):
    sandbox = await make_sandbox()
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    refused = letter(3, attachment_type="nonsense")
    (folder / "a.json").write_text(lines_of([letter(0), letter(1)]))
    (folder / "deep" / "b.json").write_text(lines_of([letter(2), refused, letter(0, priority=30), {"unique_id": ""}]))
    first = await bring(sandbox, folder, job="j")
    assert (first.created, first.failed, first.conflicts, first.invalid) == (3, 1, 1, 1)

    async def places() -> dict[str, tuple[str, int]]:
        groups = await list_failures(settings_for(sandbox).ledger, "j", None)
        return {group.state: (group.examples[0]["file"], group.examples[0]["line"]) for group in groups}

    inner = f"{folder}/deep/b.json"
    assert await places() == {"failed": (inner, 2), "conflict": (inner, 3), "invalid": (inner, 4)}
    (folder / "0.json").write_text(json.dumps(letter(9)))
    (folder / "deep" / "b.json").rename(folder / "c.json")
    await bring(sandbox, folder, job="j")
    inner = f"{folder}/c.json"
    assert await places() == {"failed": (inner, 2), "conflict": (inner, 3), "invalid": (inner, 4)}
    text = (folder / "c.json").read_text()
    (folder / "c.json").write_text(text.replace("no. 2", "no. 22"))
    summary = await run_verify(settings_for(sandbox), "j", tmp_path / "found.jsonl", notebook, limits=FAST)
    assert summary.file is not None
    found = [json.loads(one) for one in summary.file.read_text().splitlines()]
    assert {(one["file"], one["line"]) for one in found if one["unique_id"] == "letter-00002"} == {(inner, 1)}


async def test_a_rebuilt_ledger_has_the_ids_of_an_older_version(
    old_version, make_sandbox, bring, tmp_path, settings_for, notebook
):
    sandbox = await make_sandbox()
    folder = filled(tmp_path / "in", hashed)
    await bring(sandbox, folder, job="j", max_new=8)
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    old_version.undo()
    asked = ImportOptions(sources=(str(folder),), type=KIND, project=PROJECT, job="j")
    rebuilt = await run_rebuild(asked, settings_for(sandbox), notebook, limits=FAST)
    assert (rebuilt.created + rebuilt.adopted, rebuilt.pending) == (8, 4)
    summary = await bring(sandbox, folder, job="j")
    assert (summary.exit_code, summary.created + summary.adopted, summary.gone) == (0, 12, 0)
    assert bodies(sandbox) == wanted(12)
    assert creates(sandbox) == 12
