"""A batch that several jobs fill is finalized when the records of all of them are in, and not before."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.sandbox import FaultRule
from tests.conftest import letter
from tests.flows.conftest import creates
from tests.flows.test_import_batches import BAD, batch_states, rapid

ASKED: dict[str, Any] = {"project": "quick", "batch": "x"}


def letters(first: int, last: int, **more: Any) -> list[dict[str, Any]]:
    return [letter(number, **more) for number in range(first, last)]


async def test_records_of_another_job_hold_a_batch_open_until_that_job_is_done(
    make_sandbox, bring, write_records, tmp_path
):
    sandbox = await rapid(make_sandbox)
    theirs, ours = write_records(letters(0, 30), "b.jsonl"), write_records(letters(30, 60), "a.jsonl")
    await bring(sandbox, theirs, **ASKED, job="jb", max_new=8)
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("UPDATE rows SET state='sending', task_id=NULL WHERE unique_id < 'letter-00003'")
    db.close()
    held = await bring(sandbox, ours, **ASKED, job="ja", finalize=True)
    assert (held.created, held.exit_code, batch_states(sandbox)) == (30, 1, {"x": "staging"})
    assert held.message == "batch x stays open: job jb has 3 records for it that are not in; let it finish first"
    done = await bring(sandbox, theirs, **ASKED, job="jb", finalize=True)
    assert (done.created, done.failed, done.exit_code) == (30, 0, 0)
    assert batch_states(sandbox) == {"x": "in_progress"}
    assert (await bring(sandbox, ours, **ASKED, job="ja", finalize=True)).exit_code == 0
    assert creates(sandbox) == 60


@pytest.mark.parametrize("stop", [{"limit": 8}, {"max_new": 8}])
async def test_input_of_another_job_that_was_not_read_holds_a_batch_open(stop, make_sandbox, bring, write_records):
    sandbox = await rapid(make_sandbox)
    theirs, ours = write_records(letters(0, 30), "b.jsonl"), write_records(letters(30, 60), "a.jsonl")
    await bring(sandbox, theirs, **ASKED, job="jb", **stop)
    held = await bring(sandbox, ours, **ASKED, job="ja", finalize=True)
    assert (held.exit_code, batch_states(sandbox)) == (1, {"x": "staging"})
    assert "job jb fills it too and may have input that was not read yet" in held.message
    passed = await bring(sandbox, ours, **ASKED, job="ja", finalize=True, finalize_anyway=True)
    assert (passed.exit_code, batch_states(sandbox)) == (0, {"x": "in_progress"})


async def test_a_failed_record_of_another_job_holds_a_batch_open(make_sandbox, bring, write_records):
    sandbox = await rapid(make_sandbox)
    rows = letters(0, 10)
    rows[4] |= BAD
    await bring(sandbox, write_records(rows, "b.jsonl"), **ASKED, job="jb")
    ours = write_records(letters(30, 40), "a.jsonl")
    held = await bring(sandbox, ours, **ASKED, job="ja", finalize=True, finalize_anyway=True)
    assert held.message == "batch x stays open: job jb has 1 record for it that is not in; let it finish first"
    assert batch_states(sandbox) == {"x": "staging"}
    await bring(sandbox, write_records(letters(0, 10), "b.jsonl"), **ASKED, job="jb")
    assert (await bring(sandbox, ours, **ASKED, job="ja", finalize=True)).exit_code == 0


@pytest.mark.parametrize("line", ["no JSON\n", letter(0, categories=["z"])])
async def test_a_place_of_another_job_that_cannot_be_used_holds_its_batch_open(
    line, make_sandbox, bring, write_records
):
    sandbox = await rapid(make_sandbox)
    await bring(sandbox, write_records([*letters(0, 10), line], "b.jsonl"), **ASKED, job="jb")
    ours = write_records(letters(30, 40), "a.jsonl")
    held = await bring(sandbox, ours, **ASKED, job="ja", finalize=True)
    assert "job jb fills it too and has 1 record that cannot be used" in held.message
    assert (await bring(sandbox, ours, **ASKED, job="ja", finalize=True, finalize_anyway=True)).exit_code == 0


async def test_a_record_that_names_the_batch_itself_counts_whatever_its_job_was_asked(
    make_sandbox, bring, write_records
):
    sandbox = await rapid(make_sandbox)
    rows = [*letters(0, 5, batch="x"), *letters(5, 10, batch="y"), letter(10, batch="x", **BAD)]
    await bring(sandbox, write_records(rows, "b.jsonl"), project="quick", job="jb")
    ours = write_records([*letters(30, 35, batch="x"), *letters(35, 40, batch="y")], "a.jsonl")
    held = await bring(sandbox, ours, project="quick", job="ja", finalize=True)
    assert held.message == "batch x stays open: job jb has 1 record for it that is not in; let it finish first"
    assert batch_states(sandbox) == {"x": "staging", "y": "in_progress"}


async def test_a_shared_record_that_asks_for_another_batch_than_its_task_holds_that_batch_open(
    make_sandbox, bring, write_records
):
    sandbox = await rapid(make_sandbox)
    await bring(sandbox, write_records(letters(0, 3), "c.jsonl"), project="quick", batch="elsewhere", job="jc")
    await bring(sandbox, write_records(letters(0, 6), "b.jsonl"), **ASKED, job="jb")
    ours = write_records(letters(30, 40), "a.jsonl")
    held = await bring(sandbox, ours, **ASKED, job="ja", finalize=True)
    assert "job jb has 3 records for it that are not in" in held.message


async def test_a_job_that_is_running_holds_its_batch_open(make_sandbox, bring, write_records, settings_for):
    sandbox = await rapid(make_sandbox)
    await bring(sandbox, write_records(letters(0, 5), "b.jsonl"), **ASKED, job="jb")
    ours = write_records(letters(30, 40), "a.jsonl")
    settings = settings_for(sandbox)
    ledger = SqliteLedger.open(settings.ledger, note=lambda text: None)
    try:
        found = await ledger.find_job(settings.target, "jb")
        assert found is not None
        running = await ledger.open_import(found, beside=True)  # type: ignore[arg-type]
        held = await bring(sandbox, ours, **ASKED, job="ja", finalize=True)
        await running.finish(complete=True, exit_code=0, figures={})
    finally:
        ledger.close()
    assert "job jb, which is running now, fills it too" in held.message
    assert (await bring(sandbox, ours, **ASKED, job="ja", finalize=True)).exit_code == 0


async def test_jobs_of_other_batches_and_targets_hold_nothing_open(make_sandbox, bring, write_records, tmp_path):
    sandbox = await rapid(make_sandbox)
    sandbox.store.world("test").add_project("quick", "categorization", rapid=True)
    await bring(sandbox, write_records(letters(0, 5), "b.jsonl"), project="quick", batch="other", job="jb", max_new=2)
    await bring(sandbox, write_records(letters(5, 9), "t.jsonl"), **ASKED, job="jt", max_new=2, key="test_k")
    done = await bring(sandbox, write_records(letters(30, 40), "a.jsonl"), **ASKED, job="ja", finalize=True)
    assert (done.exit_code, done.message) == (0, "")
    assert batch_states(sandbox) == {"other": "staging", "x": "in_progress"}


async def test_a_vanished_record_of_another_job_that_never_became_a_task_holds_nothing_open(
    make_sandbox, bring, write_records
):
    sandbox = await rapid(make_sandbox)
    await bring(sandbox, write_records([letter(0, **BAD), *letters(1, 5)], "b.jsonl"), **ASKED, job="jb")
    await bring(sandbox, write_records(letters(1, 5), "b.jsonl"), **ASKED, job="jb")
    done = await bring(sandbox, write_records(letters(30, 40), "a.jsonl"), **ASKED, job="ja", finalize=True)
    assert (done.exit_code, done.message) == (0, "")


async def test_a_fault_on_the_way_changes_nothing_about_whose_records_count(make_sandbox, bring, write_records):
    sandbox = await rapid(make_sandbox, [FaultRule(kind="error", on="batch", share=0.3, status=500, after_write=True)])
    theirs, ours = write_records(letters(0, 12), "b.jsonl"), write_records(letters(30, 42), "a.jsonl")
    await bring(sandbox, theirs, **ASKED, job="jb", max_new=5)
    assert (await bring(sandbox, ours, **ASKED, job="ja", finalize=True)).exit_code == 1
    assert (await bring(sandbox, theirs, **ASKED, job="jb", finalize=True)).exit_code == 0
    assert batch_states(sandbox) == {"x": "in_progress"}
