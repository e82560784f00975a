"""The part of a source up to a checkpoint stays unread, and only the time shows the difference."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scalesync.flows.imports.reading import checkpoints
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.runtime.options import RetryOptions
from scalesync.sandbox import FaultRule
from scalesync.sources import bytestream
from scalesync.sources.formats import jsonlines
from tests.conftest import FAST, KIND, letter
from tests.draws import seeds
from tests.flows.conftest import COUNTED, creates

JOB = "j"


@pytest.fixture(autouse=True)
def _near_marks(monkeypatch):
    """A mark after every few lines."""
    monkeypatch.setattr(bytestream, "CHUNK", 300)
    monkeypatch.setattr(checkpoints, "NEAREST_BYTES", 1)
    monkeypatch.setattr(checkpoints, "LEAST_BYTES", 0)
    monkeypatch.setattr(checkpoints, "SHARE", 10_000)


@pytest.fixture
def parsed(monkeypatch) -> list[int]:
    """How many lines were parsed, since the test last cleared it."""
    lines: list[int] = []
    loads = jsonlines.orjson.loads

    class Counting:
        def loads(self, line: bytes) -> object:
            lines.append(len(line))
            return loads(line)

    monkeypatch.setattr(jsonlines, "orjson", Counting())
    return lines


async def test_a_half_finished_import_begins_where_it_was(make_sandbox, bring, write_records, parsed):
    sandbox = await make_sandbox()
    source = write_records(1500)
    first = await bring(sandbox, source, max_new=1200, yes=True)
    assert (first.exit_code, first.created) == (3, 1200)
    parsed.clear()
    second = await bring(sandbox, source, yes=True)
    assert (second.exit_code, second.created, second.read) == (0, 1500, 1500)
    assert len(parsed) < 700
    assert creates(sandbox) == 1500


async def test_only_what_was_appended_is_read(make_sandbox, bring, write_records, parsed):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(400), job=JOB)
    parsed.clear()
    again = await bring(sandbox, write_records(420), job=JOB, yes=True)
    assert (again.created, again.gone, again.exit_code) == (420, 0, 0)
    assert len(parsed) < 40
    assert creates(sandbox) == 420


async def test_a_line_that_changed_in_place_is_noticed(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    rows = [letter(number) for number in range(300)]
    await bring(sandbox, write_records(rows), job=JOB)
    rows[17] = letter(17, attachment=rows[17]["attachment"].replace("Dear", "Deer"))
    again = await bring(sandbox, write_records(rows), job=JOB)
    assert (again.conflicts, again.created) == (1, 299)


async def test_other_settings_read_all(make_sandbox, bring, write_records, parsed):
    sandbox = await make_sandbox()
    source = write_records(300)
    await bring(sandbox, source, job=JOB)
    parsed.clear()
    again = await bring(sandbox, source, job=JOB, sets=("priority=10",))
    assert again.created == 300
    assert len(parsed) >= 300


async def test_rescan_reads_all(make_sandbox, bring, write_records, parsed):
    sandbox = await make_sandbox()
    source = write_records(300)
    await bring(sandbox, source, job=JOB)
    parsed.clear()
    await bring(sandbox, source, job=JOB, rescan=True)
    assert len(parsed) >= 300


async def test_a_repeat_of_an_unread_line_is_a_duplicate_all_the_same(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    rows = [letter(number) for number in range(200)]
    await bring(sandbox, write_records(rows), job=JOB)
    rows += [letter(3), letter(150, attachment="something else"), letter(200)]
    again = await bring(sandbox, write_records(rows), job=JOB)
    assert (again.created, again.duplicates, again.conflicts, again.read) == (201, 1, 1, 203)


async def test_lines_of_an_older_file_do_not_pass_for_lines_of_this_one(make_sandbox, bring, write_records):
    """A reading of a changed file that was cut off leaves rows with places of the older one."""
    sandbox = await make_sandbox()
    rows = [letter(number) for number in range(300)]
    await bring(sandbox, write_records(rows), job=JOB)
    moved = [*rows[:50], *(letter(number) for number in range(1000, 1100)), *rows[60:]]
    cut = await bring(sandbox, write_records(moved), job=JOB, max_new=60)
    assert cut.exit_code == 3
    moved.append(rows[55])
    again = await bring(sandbox, write_records(moved), job=JOB)
    assert (again.created, again.duplicates, again.gone) == (400, 0, 9)


async def test_a_line_whose_record_waits_again_is_read(make_sandbox, bring, write_records, settings_for, notebook):
    """A retry that was stopped leaves a record pending before the last mark of its source."""
    sandbox = await make_sandbox()
    rows = [letter(number) for number in range(300)]
    rows[17] = letter(17, project="later")
    source = write_records(rows)
    first = await bring(sandbox, source, job=JOB)
    assert (first.created, first.failed) == (299, 1)
    sandbox.faults.replace([FaultRule(kind="error", on="create", status=401)])
    stopped = await run_retry(RetryOptions(job=JOB), settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert (stopped.exit_code, stopped.pending) == (3, 1)
    sandbox.faults.replace([])
    sandbox.store.world("live").add_project("later", KIND)
    again = await bring(sandbox, source, job=JOB)
    assert (again.exit_code, again.created) == (0, 300)


def kept(ledger: Path) -> tuple[object, ...]:
    with closing(sqlite3.connect(ledger)) as db:
        rows = db.execute("SELECT unique_id, state, source, line, content, gone FROM rows ORDER BY 1").fetchall()
        others = db.execute("SELECT source, line, state, unique_id FROM other_records ORDER BY 1, 2").fetchall()
        return rows, others


def edited(rng: random.Random, rows: list[str]) -> list[str]:
    """Another version of the file: grown, cut, changed in one place, a line moved, doubled or broken."""
    rows = list(rows)
    place = rng.randrange(len(rows))
    fresh = json.dumps(letter(rng.randrange(10_000))) + "\n"
    match rng.randrange(7):
        case 0:
            rows += [json.dumps(letter(rng.randrange(10_000))) + "\n" for _ in range(rng.randrange(1, 20))]
        case 1:
            del rows[place]
        case 2:
            rows[place] = fresh
        case 3:
            rows.insert(place, rows.pop(rng.randrange(len(rows))))
        case 4:
            rows.insert(place, rng.choice(rows))
        case 5:
            rows.insert(place, "{broken\n")
        case _:
            rows[place] = rows[place].replace("Dear", "Deer")
    return rows or [fresh]


@pytest.mark.parametrize("seed", seeds(12, here=4))
async def test_whatever_the_file_and_the_stops_the_ledger_is_that_of_a_run_that_reads_all(
    seed, make_sandbox, bring, write_records, tmp_path
):
    rng = random.Random(seed)
    rows = [json.dumps(letter(rng.randrange(10_000))) + "\n" for _ in range(60)]
    sandboxes = [await make_sandbox(), await make_sandbox()]
    ledgers = [tmp_path / "marks.db", tmp_path / "all.db"]
    for _ in range(6):
        rows = edited(rng, rows) if rng.random() < 0.8 else rows
        source = write_records(rows)
        bounds = {"max_new": rng.randrange(30)} if rng.random() < 0.5 else {}
        told = []
        for sandbox, ledger, rescan in zip(sandboxes, ledgers, (False, True), strict=True):
            summary = await bring(sandbox, source, job=JOB, rescan=rescan, settings={"ledger": ledger}, **bounds)
            told.append([summary.exit_code, *(getattr(summary, name) for name in COUNTED), summary.gone])
        assert told[0] == told[1]
        assert kept(ledgers[0]) == kept(ledgers[1])
    assert creates(sandboxes[0]) == creates(sandboxes[1])
