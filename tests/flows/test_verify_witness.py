"""verify as a witness: it counts the source for itself, lists each task once, and agrees only when all is there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scalesync.flows.verify.strangers import MAX_IDLE_PAGES
from scalesync.platforms.scale.lists import ScaleLists
from scalesync.ports.platform import ListPage
from scalesync.sources import open as sources
from scalesync.sources.readers import reader_for
from tests.conftest import letter
from tests.flows.test_import_conflicts import make_task
from tests.flows.test_verify import change_ledger, lines
from tests.network.relay import listening


def shared_progress(options: Any, entry: Any, size: int, progress: Any) -> Any:
    """A reader of a folder's JSON files that begins each of them where the one before it ended."""
    yield from reader_for(partial(open, entry.path, "rb"), entry.inside, options, None).read(progress)


@pytest.mark.parametrize("a_file", [1, 2, 7])
async def test_a_reader_that_passes_over_records_does_not_convince_verify(
    a_file, make_sandbox, bring, verify, tmp_path: Path, monkeypatch
):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        rows = [letter(10 * number + n) for n in range(a_file)]
        (folder / f"{number}.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(sources, "_read_json", shared_progress)
    sandbox = await make_sandbox()
    imported = await bring(sandbox, folder)
    assert (imported.created, imported.exit_code) == (a_file, 0)  # of 3 * a_file
    summary = await verify(sandbox)
    assert (summary.findings, summary.exit_code) == ({"miscounted": 1}, 1)
    (finding,) = lines(summary)
    assert finding["file"] == str(folder)
    assert finding["detail"].startswith(
        f"reading gave {a_file} records, counting each of its files for itself gives {3 * a_file}"
    )
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert (await verify(sandbox)).findings == {"not_in_ledger": 2 * a_file}


FILES: dict[str, Callable[[list[dict[str, Any]]], str]] = {
    "a.jsonl": lambda rows: "\n".join(json.dumps(row) for row in rows),
    "a.json": json.dumps,
    "a.csv": lambda rows: (
        "unique_id,attachment\n" + "".join(f"{row['unique_id']},{row['unique_id']}\n" for row in rows)
    ),
}


@pytest.mark.part(2)
@pytest.mark.parametrize("dropped", [0, -1, 511], ids=["first", "last", "at the end of a load"])
@pytest.mark.parametrize("name", FILES)
async def test_one_record_that_is_dropped_from_any_format_is_reported(
    name, dropped, make_sandbox, bring, verify, tmp_path: Path, monkeypatch
):
    rows = [letter(number) for number in range(600)]
    path = tmp_path / name
    path.write_text(FILES[name](rows))
    whole = sources.SourceFile.opened

    def short(self: Any, *args: Any, **more: Any) -> Any:
        given = whole(self, *args, **more)
        return given._replace(items=(item for at, item in enumerate(given.items) if at != dropped % len(rows)))

    monkeypatch.setattr(sources.SourceFile, "opened", short)
    sandbox = await make_sandbox()
    template = {"task": {"attachment_type": "text", "categories": ["kind", "angry"]}}
    assert (await bring(sandbox, path, template=template)).created == 599
    summary = await verify(sandbox)
    assert summary.findings == {"miscounted": 1}
    assert "reading gave 599 records" in lines(summary)[0]["detail"]
    assert "gives 600" in lines(summary)[0]["detail"]


async def test_what_the_import_remembers_of_its_sources_is_not_used(
    make_sandbox, bring, write_records, verify, tmp_path: Path
):
    """Rows and marks that say the file was read are no evidence: a record put in behind them is found."""
    sandbox = await make_sandbox()
    source = write_records(30)
    await bring(sandbox, source)
    facts = source.stat()
    text = source.read_text().splitlines(keepends=True)
    longer = json.loads(text[3])
    longer["unique_id"] = "letter-99999"
    text[3] = json.dumps(longer) + "\n"
    source.write_text("".join(text))

    os.utime(source, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert source.stat().st_size == facts.st_size
    summary = await verify(sandbox)
    assert summary.findings == {"gone": 1, "not_in_ledger": 1}
    assert summary.without == {"not_in_ledger": 1}


async def test_a_source_that_cannot_be_read_twice_is_reported_as_counted_once(make_sandbox, bring, verify, tmp_path):
    sandbox = await make_sandbox()
    (tmp_path / "a.jsonl").write_text(json.dumps(letter(1)) + "\n")

    body = (tmp_path / "a.jsonl").read_bytes()

    async def serve(reader: Any, writer: Any) -> None:
        while (await reader.readline()).strip():
            pass
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with listening(serve) as port:
        url = f"http://127.0.0.1:{port}/a.jsonl"
        await bring(sandbox, url)
        summary = await verify(sandbox)
    assert summary.findings == {}
    assert f"{url} was counted once" in summary.message


# --- lists that lie ------------------------------------------------------------------------------


async def others(sandbox: Any, number: int) -> None:
    """Tasks of somebody else in the project."""
    for n in range(number):
        await make_task(sandbox, letter(n, unique_id=f"other-{n:03d}"))


def repeating(page: Any, pages_later: int) -> Any:
    """A list whose pages begin with the last task of an earlier page."""
    kept: list[list[bytes]] = []

    async def lying(self: ScaleLists, query: Any, cursor: str | None) -> ListPage:
        found = await page(self, query, cursor)
        if "unique_id" in query or query.get("limit") == 1:
            return found
        kept.append(list(found.documents))
        again = kept[-1 - pages_later][-1:] if len(kept) > pages_later else []
        return ListPage([*again, *found.documents, *found.documents[-1:]], found.cursor, found.total)

    return lying


@pytest.mark.parametrize("pages_later", [1, 2])
async def test_a_task_that_is_listed_twice_is_one(pages_later, make_sandbox, bring, write_records, verify, monkeypatch):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(20))
    await others(sandbox, 250)
    monkeypatch.setattr(ScaleLists, "page", repeating(ScaleLists.page, pages_later))
    summary = await verify(sandbox, unexpected=True)
    assert (summary.findings, summary.others, summary.listed) == ({"unexpected": 250}, 250, 270)
    assert len({line["task_id"] for line in lines(summary)}) == 250


@pytest.mark.parametrize("kind", ["circle", "empty"])
async def test_a_list_without_an_end_is_left_and_reported(
    kind, make_sandbox, bring, write_records, verify, monkeypatch
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(20))
    await others(sandbox, 230)
    page = ScaleLists.page
    first: list[str] = []
    asked = 0

    async def lying(self: ScaleLists, query: Any, cursor: str | None) -> ListPage:
        nonlocal asked
        asked += 1
        if kind == "empty" and cursor is not None:
            return ListPage([], f"{cursor}x", 250)
        found = await page(self, query, cursor)
        first.extend([found.cursor] if found.cursor and not first else [])
        return ListPage(found.documents, found.cursor or first[0], found.total)

    monkeypatch.setattr(ScaleLists, "page", lying)
    summary = await verify(sandbox)
    assert (summary.findings, summary.exit_code) == ({"unclear": 1}, 1)
    assert "has no end" in lines(summary)[0]["detail"]
    assert asked <= 3 + MAX_IDLE_PAGES
    assert summary.listed == (250 if kind == "circle" else 100)


async def test_progress_tells_how_much_there_is(make_sandbox, bring, write_records, verify, notebook):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(900))
    await others(sandbox, 150)
    notebook.snapshots.clear()
    await verify(sandbox)
    checked = [shot for shot in notebook.snapshots if shot.phase == "verify"]
    listed = [shot for shot in notebook.snapshots if shot.phase != "verify"]
    assert checked[-1].share == 1.0
    assert all(shot.share is not None for shot in checked)
    assert {shot.total for shot in listed} == {1050}
    assert listed[-1].done == 1050


async def test_fields_that_were_not_compared_are_named(make_sandbox, bring, write_records, verify, tmp_path):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(5))
    change_ledger(tmp_path, "INSERT INTO learned (job, topic, value) SELECT id, 'rewritten', 'instruction' FROM jobs")
    summary = await verify(sandbox)
    assert "not compared, since the server rewrote in its replies to this job: instruction" in summary.message
    assert summary.findings == {}


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="names of files are texts there")
@pytest.mark.parametrize("whole", ["folder", "glob", "file"])
async def test_a_file_name_that_is_not_utf8_is_counted_a_second_time(whole, make_sandbox, bring, verify, tmp_path):
    folder = tmp_path / os.fsdecode(b"in\xfe")
    folder.mkdir()
    odd = folder / os.fsdecode(b"b\xff.jsonl")
    odd.write_text("".join(json.dumps(letter(number)) + "\n" for number in range(3)))
    (folder / "c.json").write_text(json.dumps([letter(number) for number in range(3, 5)]))
    sandbox = await make_sandbox()
    source = {"folder": folder, "glob": folder / "*.json*", "file": odd}[whole]
    imported = await bring(sandbox, source)
    assert (imported.created, imported.exit_code) == (3 if whole == "file" else 5, 0)
    summary = await verify(sandbox)
    assert (summary.findings, summary.exit_code) == ({}, 0), lines(summary)
    assert "counted once" not in summary.message
