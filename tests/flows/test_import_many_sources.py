"""Many small sources: they are read and written down together, and nothing but the time tells the difference."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scalesync.flows.imports import plan as planning
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.jobs.status import list_failures
from scalesync.flows.runtime.options import RetryOptions
from scalesync.ledger.sqlite.imports.import_store import ImportStore
from scalesync.ledger.sqlite.writer import Writer
from scalesync.sandbox import FaultRule
from scalesync.sources.source_file import SourceFile
from tests.conftest import FAST, letter
from tests.draws import seeds
from tests.flows.conftest import COUNTED, creates

JOB = "j"


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "in"
    path.mkdir()
    return path


def fill(folder: Path, *numbers: int) -> str:
    """One file for each letter; the pattern that matches them."""
    for number in numbers:
        (folder / f"{number:04d}.json").write_text(json.dumps(letter(number)))
    return str(folder / "*.json")


def states(ask_ledger: Any) -> dict[str, int]:
    """How many sources are in which state."""
    return dict(ask_ledger("SELECT state, count(*) FROM splits GROUP BY 1"))


def counted(**numbers: int) -> dict[str, int]:
    return {name: number for name, number in numbers.items() if number}


def numbers_on(sandbox: Any) -> list[int]:
    return sorted(task["metadata"]["number"] for task in sandbox.store.world("live").documents())


@pytest.mark.part(3)
@pytest.mark.parametrize("typed", ["pattern", "list", "lines"])
async def test_a_thousand_files_take_few_commits(typed, make_sandbox, bring, folder, ask_ledger, monkeypatch):
    sandbox = await make_sandbox()
    pattern: str | list[str] = fill(folder, *range(1000))
    if typed == "list":
        pattern = [str(path) for path in sorted(folder.iterdir())]
    if typed == "lines":
        for path in folder.iterdir():
            path.write_text(path.read_text() + "\n")
            path.rename(path.with_suffix(".jsonl"))
        pattern = str(folder / "*.jsonl")
    calls: Counter[bool] = Counter()
    submit = Writer._submit

    async def counted(self, work, *, write):
        calls[write] += 1
        return await submit(self, work, write=write)

    monkeypatch.setattr(Writer, "_submit", counted)
    assert (await bring(sandbox, pattern, job=JOB, yes=True)).created == 1000
    assert calls.total() < 100, calls  # most of them outcomes, a few requests each
    assert states(ask_ledger) == {"read": 1000}
    (folder / "0500.json").unlink(missing_ok=True)
    (folder / "0500.jsonl").unlink(missing_ok=True)
    calls.clear()
    (folder / ("x.jsonl" if typed == "lines" else "x.json")).write_text(json.dumps(letter(2000)) + "\n")
    if typed == "list":
        pattern = [str(path) for path in sorted(folder.iterdir())]
    again = await bring(sandbox, pattern, job=JOB, yes=True)
    assert (again.created, again.gone, again.exit_code) == (1001, 0 if typed == "list" else 1, 0)
    assert calls.total() < 50, calls


async def test_a_source_is_reported_as_read_once_its_records_are_in_the_ledger(
    make_sandbox, bring, folder, ask_ledger, monkeypatch
):
    sandbox = await make_sandbox()
    pattern = fill(folder, *range(600))
    close, told = ImportStore.close_sources, []

    async def closing(self, read):
        there = {source for (source,) in ask_ledger("SELECT source FROM rows")}
        told.extend(number in there for number, *_ in read)
        await close(self, read)

    monkeypatch.setattr(ImportStore, "close_sources", closing)
    assert (await bring(sandbox, pattern, job=JOB)).created == 600
    assert told == [True] * 600


@pytest.mark.part(2)
@pytest.mark.parametrize("limit", [1, 7, 512, 600])
async def test_a_limit_takes_the_first_records_and_leaves_the_rest_unread(
    limit, make_sandbox, bring, folder, ask_ledger
):
    sandbox = await make_sandbox()
    pattern = fill(folder, *range(600))
    summary = await bring(sandbox, pattern, job=JOB, limit=limit)
    assert (summary.exit_code, summary.read) == (0, limit)
    assert numbers_on(sandbox) == list(range(limit))
    # Whether the last one holds more was not looked at.
    assert states(ask_ledger) == counted(read=limit - 1, open=600 - limit + 1)
    rest = await bring(sandbox, pattern, job=JOB, yes=True)
    assert (rest.exit_code, rest.created, creates(sandbox)) == (0, 600, 600)


async def test_bounds_and_canary_cut_where_the_records_stand(make_sandbox, bring, folder, notebook):
    sandbox = await make_sandbox()
    pattern = fill(folder, *range(40))
    first = await bring(sandbox, pattern, job=JOB, max_new=13)
    assert (first.exit_code, first.created, numbers_on(sandbox)) == (3, 13, list(range(13)))
    second = await bring(sandbox, pattern, job=JOB, canary=3, canary_wait=0.0, max_new=5)
    assert (second.exit_code, second.created, numbers_on(sandbox)) == (3, 18, list(range(18)))
    third = await bring(sandbox, pattern, job=JOB)
    assert (third.exit_code, third.created, creates(sandbox)) == (0, 40, 40)


async def test_complaints_name_the_file_of_each_record(make_sandbox, bring, folder, settings_for, notebook):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", status=422, at=(30,))])
    pattern = fill(folder, *range(60))
    (folder / "0010.json").write_text('{"attachment": ')
    (folder / "0020.json").write_text(json.dumps([letter(900), 7, letter(20)]))
    (folder / "0040.json").write_text(json.dumps(letter(5)))
    (folder / "0050.json").write_text(json.dumps(letter(5, attachment="other")))
    summary = await bring(sandbox, pattern, job=JOB)
    found = (summary.created, summary.failed, summary.invalid, summary.conflicts, summary.duplicates)
    assert found == (57, 1, 2, 1, 1)
    listed = [
        (Path(example["file"]).name, example["line"], str(group.state))
        for group in await list_failures(settings_for(sandbox).ledger, JOB, None)
        for example in group.examples
    ]
    assert {("0010.json", 1, "invalid"), ("0020.json", 2, "invalid"), ("0050.json", 1, "conflict")} < set(listed)
    assert len(listed) == 4
    mended = await run_retry(RetryOptions(job=JOB), settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert (mended.created, mended.failed) == (58, 0)


@pytest.mark.part(2)
@pytest.mark.parametrize("place", [0, 1, 299, 599])
async def test_a_source_that_fails_stops_the_run_behind_the_records_of_those_before_it(
    place, make_sandbox, bring, folder, ask_ledger, monkeypatch
):
    sandbox = await make_sandbox()
    pattern = fill(folder, *range(600))
    keys = [letter(number)["unique_id"] for number in range(600)]
    honest = SourceFile.opened

    def failing(self, *args, **more):
        given = honest(self, *args, **more)
        return given._replace(items=broken()) if self.name.endswith(f"{place:04d}.json") else given

    def broken():
        raise OSError(5, "Input/output error")
        yield

    monkeypatch.setattr("scalesync.flows.imports.run.first_look", nothing)
    monkeypatch.setattr(SourceFile, "opened", failing)
    summary = await bring(sandbox, pattern, job=JOB, yes=True)
    assert summary.exit_code == (3 if creates(sandbox) else 2)
    assert f"{place:04d}.json: cannot be read further: Input/output error" in summary.message
    assert [key for (key,) in ask_ledger("SELECT unique_id FROM rows ORDER BY 1")] == keys[:place]
    assert states(ask_ledger) == counted(read=place, open=600 - place)
    monkeypatch.undo()
    assert (await bring(sandbox, pattern, job=JOB, yes=True)).created == 600
    assert numbers_on(sandbox) == list(range(600))


async def nothing(*args: Any, **more: Any) -> None:
    return None


def kept(ledger: Path) -> tuple[object, ...]:
    """All that the ledger holds of records, by the names of their sources."""
    with closing(sqlite3.connect(ledger)) as db:
        name = "(SELECT name FROM splits s WHERE s.job=t.job AND s.number=t.source)"
        rows = db.execute(f"SELECT unique_id, state, {name}, line, content, gone FROM rows t ORDER BY 1").fetchall()
        others = db.execute(f"SELECT {name}, line, state, unique_id FROM other_records t ORDER BY 1, 2").fetchall()
        return rows, others, db.execute("SELECT name, number, spec FROM splits ORDER BY 1").fetchall()


def edit(rng: random.Random, folder: Path) -> None:
    """A file comes, goes, changes, moves, is doubled, broken, emptied, grows long or holds several records."""
    files = sorted(folder.iterdir())
    one = rng.choice(files) if files else folder / "0.json"
    fresh = folder / f"{rng.randrange(10_000)}.{rng.choice(('json', 'jsonl'))}"
    record = json.dumps(letter(rng.randrange(10_000)))
    match rng.randrange(9):
        case 0 | 1:
            fresh.write_text(record)
        case 2:
            one.unlink(missing_ok=True)
        case 3:
            one.write_text(record + "\n")
        case 4:
            if one.exists():
                one.rename(fresh)
        case 5:
            fresh.write_bytes(one.read_bytes() if one.exists() else b"")
        case 6:
            one.write_text('{"broken": ')
        case 7:
            rows = [json.dumps(letter(rng.randrange(10_000))) + "\n" for _ in range(rng.choice((0, 3, 200)))]
            fresh.with_suffix(".jsonl").write_text("".join(rows))
        case _:
            one.write_text(f"[{record}, {record}, 5]")


@pytest.mark.parametrize("seed", seeds(8, here=3))
async def test_whatever_the_files_and_the_stops_the_ledger_is_that_of_a_run_that_reads_record_by_record(
    seed, make_sandbox, bring, folder, tmp_path, monkeypatch
):
    rng = random.Random(seed)
    fill(folder, *(rng.randrange(10_000) for _ in range(20)))
    sandboxes = [await make_sandbox(), await make_sandbox()]
    ledgers = [tmp_path / "together.db", tmp_path / "alone.db"]
    for turn in range(6):
        for _ in range(rng.randrange(1, 5)):
            edit(rng, folder)
        if not any(folder.iterdir()):
            fill(folder, turn)
        bounds: dict[str, int] = rng.choice([{}, {}, {"max_new": rng.randrange(15)}, {"limit": rng.randrange(1, 30)}])
        told = []
        for sandbox, ledger, size in zip(sandboxes, ledgers, (512, 1), strict=True):
            monkeypatch.setattr(planning, "LOAD_RECORDS", size)
            patterns = [str(folder / "*.json"), str(folder / "*.jsonl")]
            named = [one for one in patterns if any(folder.glob(Path(one).name))]
            summary = await bring(sandbox, named, job=JOB, settings={"ledger": ledger}, **bounds)
            told.append([summary.exit_code, *(getattr(summary, name) for name in COUNTED), summary.gone])
        if told[0][0] == 3:  # what is no task is counted to the end of a load, whatever stops the records
            told = [one[:2] for one in told]
        assert told[0] == told[1]
        rows, *rest = zip(*(kept(ledger) for ledger in ledgers), strict=True)
        assert rows[0] == rows[1]
        assert told[0][0] == 3 or all(one == other for one, other in rest)
    assert creates(sandboxes[0]) == creates(sandboxes[1])
