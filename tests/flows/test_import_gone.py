"""Records that went from their sources: shown as gone, and never a reason to run the same command for ever."""

from __future__ import annotations

from typing import Any

import pytest

from scalesync.flows.jobs.failures import write_failures
from scalesync.flows.jobs.refresh import refreshed_status
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.jobs.status import job_status, list_failures
from scalesync.flows.runtime.options import RetryOptions
from scalesync.model.summaries import ImportSummary
from scalesync.sandbox import FaultRule
from tests.conftest import FAST, letter
from tests.flows.conftest import HASTY, creates

JOB = "j"
BAD = {"attachment_type": "nonsense"}


def nameless(number: int, **more: Any) -> dict[str, Any]:
    record = letter(number, **more)
    del record["unique_id"]
    return record


def told(summary: ImportSummary) -> tuple[int, ...]:
    """read, created, conflicts, failed, pending, gone, exit code"""
    return (
        *(summary.read, summary.created, summary.conflicts, summary.failed, summary.pending),
        *(summary.gone, summary.exit_code),
    )


async def test_a_refused_record_without_unique_id_that_was_corrected_is_superseded(
    make_sandbox, bring, write_records, settings_for, notebook, tmp_path
):
    """The corrected line has another hash, so it is another record: the old one is nobody's any more."""
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([nameless(0), nameless(1, **BAD), nameless(2)]), job=JOB)
    source = write_records([nameless(0), nameless(1), nameless(2)])
    assert told(await bring(sandbox, source, job=JOB)) == (3, 3, 0, 0, 0, 1, 0)
    assert told(await bring(sandbox, source, job=JOB)) == (3, 3, 0, 0, 0, 1, 0)
    settings = settings_for(sandbox)
    assert await list_failures(settings.ledger, JOB, None) == []
    (status,) = await job_status(settings.ledger, JOB)
    assert (status.state, status.last) == ("finished", "done")
    assert (status.counts["failed"], status.counts["gone"]) == (0, 1)
    written = await write_failures(settings, JOB, None, tmp_path / "failed.jsonl")
    assert (written.written, written.exit_code) == (0, 0)
    seen = creates(sandbox)
    retried = await run_retry(RetryOptions(job=JOB), settings, notebook, limits=FAST, signals=False)
    assert told(retried) == (3, 3, 0, 0, 0, 1, 0)
    assert creates(sandbox) == seen


async def test_a_source_that_is_replaced_each_day_keeps_no_failures_of_earlier_days(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    for day in range(3):
        rows = [letter(10 * day), letter(10 * day + 1, **BAD)]
        summary = await bring(sandbox, write_records(rows, "today.jsonl"))
        assert told(summary) == (day + 2, day + 1, 0, 1, 0, 2 * day, 1)
    summary = await bring(sandbox, write_records([letter(30)], "today.jsonl"))
    assert told(summary) == (4, 4, 0, 0, 0, 6, 0)


async def test_a_batch_waits_for_no_record_that_is_gone(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    world = sandbox.store.world("live")
    world.add_project("studio", "categorization", rapid=True)
    more = {"job": JOB, "project": "studio", "batch": "b", "finalize": True}
    first = await bring(sandbox, write_records([nameless(0), nameless(1, **BAD)]), **more)
    assert (first.exit_code, first.failed) == (1, 1)
    assert told(await bring(sandbox, write_records([nameless(0), nameless(1)]), **more)) == (2, 2, 0, 0, 0, 1, 0)
    assert [(batch.name, batch.status) for batch in world.batches] == [("b", "in_progress")]


async def test_a_record_that_comes_back_is_what_it_was(make_sandbox, bring, write_records, settings_for):
    sandbox = await make_sandbox()
    both, one = [letter(0), letter(1, **BAD)], [letter(0)]
    await bring(sandbox, write_records(both), job=JOB)
    assert told(await bring(sandbox, write_records(one), job=JOB)) == (1, 1, 0, 0, 0, 1, 0)
    assert told(await bring(sandbox, write_records(both), job=JOB)) == (2, 1, 0, 1, 0, 0, 1)
    (group,) = await list_failures(settings_for(sandbox).ledger, JOB, None)
    assert (group.state, group.count) == ("failed", 1)
    await bring(sandbox, write_records(one), job=JOB)
    assert told(await bring(sandbox, write_records([letter(0), letter(1)]), job=JOB)) == (2, 2, 0, 0, 0, 0, 0)


async def test_a_conflict_with_a_foreign_task_goes_with_its_record(make_sandbox, bring, write_records, tmp_path):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([letter(1)]), settings={"ledger": tmp_path / "other.db"})
    rows = [letter(0), letter(1, categories=["x"])]
    assert told(await bring(sandbox, write_records(rows), job=JOB)) == (2, 1, 1, 0, 0, 0, 1)
    assert told(await bring(sandbox, write_records(rows[:1]), job=JOB)) == (1, 1, 0, 0, 0, 1, 0)


async def test_a_record_that_changed_after_creation_and_went_leaves_its_task(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(2), job=JOB)
    changed = [letter(0), letter(1, categories=["x"])]
    assert told(await bring(sandbox, write_records(changed), job=JOB)) == (2, 1, 1, 0, 0, 0, 1)
    assert told(await bring(sandbox, write_records(1), job=JOB)) == (2, 2, 0, 0, 0, 1, 0)
    assert told(await bring(sandbox, write_records(changed), job=JOB)) == (2, 1, 1, 0, 0, 0, 1)


async def test_a_task_that_died_after_its_record_went_is_no_conflict(
    make_sandbox, bring, write_records, settings_for, notebook
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(2), job=JOB)
    world = sandbox.store.world("live")
    world.find(world.by_unique_id("letter-00001")["task_id"]).status = "canceled"
    await refreshed_status(settings_for(sandbox), JOB, notebook, limits=FAST)
    assert told(await bring(sandbox, write_records(2), job=JOB, rescan=True)) == (2, 1, 1, 0, 0, 0, 1)
    assert told(await bring(sandbox, write_records(1), job=JOB)) == (1, 1, 0, 0, 0, 1, 0)


# --- what may have been sent -----------------------------------------------------------------------


async def in_doubt(make_sandbox, bring, write_records, **fault: Any) -> Any:
    """A job whose records 1, 2 and 3 are `sending`; record 2 has a task."""
    rule = FaultRule(kind="error", on="create", status=500, **fault)
    sandbox = await make_sandbox([rule, FaultRule(kind="error", on="list", status=503)])
    first = await bring(sandbox, write_records(4), job=JOB, limits=HASTY)
    assert (first.exit_code, first.pending > 0) == (3, True)
    sandbox.faults.replace([])
    return sandbox


@pytest.mark.parametrize("after_write", [True, False], ids=["made", "not made"])
async def test_what_may_have_been_sent_is_looked_up_before_it_is_reported_as_superseded(
    after_write, make_sandbox, bring, write_records, ask_ledger
):
    sandbox = await in_doubt(make_sandbox, bring, write_records, after_write=after_write)
    assert ask_ledger("SELECT DISTINCT state FROM rows") == [("sending",)]
    world = sandbox.store.world("live")
    held = world.count()
    assert (held > 0) == after_write
    seen = creates(sandbox)
    summary = await bring(sandbox, write_records([letter(9)]), job=JOB)
    assert told(summary) == (held + 1, held + 1, 0, 0, 0, 4, 0)
    assert creates(sandbox) == seen + 1
    for key, state, ref in ask_ledger("SELECT unique_id, state, task_id FROM job_records WHERE gone"):
        task = world.by_unique_id(key)
        assert (state, ref) == (("gone", None) if task is None else ("created", task["task_id"]))
    back = await bring(sandbox, write_records([letter(9), *(letter(n, categories=["x"]) for n in range(4))]), job=JOB)
    assert told(back) == (5, 5 - held, held, 0, 0, 0, int(held > 0))


async def test_what_was_looked_up_is_not_looked_up_in_each_run(make_sandbox, bring, write_records):
    sandbox = await in_doubt(make_sandbox, bring, write_records, after_write=False)
    source = write_records([letter(9)])
    await bring(sandbox, source, job=JOB)
    lists = sandbox.journal.count("list")
    again = await bring(sandbox, source, job=JOB, rescan=True)
    assert told(again) == (1, 1, 0, 0, 0, 4, 0)
    assert sandbox.journal.count("list") == lists


async def test_a_record_that_was_looked_up_and_comes_back_is_looked_up_again_and_sent(
    make_sandbox, bring, write_records
):
    sandbox = await in_doubt(make_sandbox, bring, write_records, after_write=False)
    await bring(sandbox, write_records([letter(9)]), job=JOB)
    back = await bring(sandbox, write_records([letter(9), letter(2)]), job=JOB)
    assert told(back) == (2, 2, 0, 0, 0, 3, 0)


async def test_a_task_that_is_dead_is_found_and_reported_as_nobodys(make_sandbox, bring, write_records, ask_ledger):
    sandbox = await in_doubt(make_sandbox, bring, write_records, after_write=True)
    world = sandbox.store.world("live")
    for document in list(world.documents()):
        world.find(document["task_id"]).status = "canceled"
    summary = await bring(sandbox, write_records([letter(9)]), job=JOB)
    assert told(summary) == (1, 1, 0, 0, 0, 4, 0)
    assert ask_ledger("SELECT DISTINCT state, task_id FROM rows WHERE gone IS NOT NULL") == [("sending", None)]


async def test_without_an_answer_the_run_says_so_and_the_next_one_asks_again(
    make_sandbox, bring, write_records, settings_for, notebook
):
    sandbox = await in_doubt(make_sandbox, bring, write_records, after_write=True)
    held = sandbox.store.world("live").count()
    source = write_records([letter(9)])
    sandbox.faults.replace([FaultRule(kind="error", on="list", status=400)])
    summary = await bring(sandbox, source, job=JOB)
    assert summary.exit_code == 3
    assert "no longer in any source" in summary.message
    assert summary.pending == 4
    sandbox.faults.replace([])
    assert told(await bring(sandbox, source, job=JOB)) == (held + 1, held + 1, 0, 0, 0, 4, 0)


@pytest.mark.parametrize("refused", [False, True], ids=["alone", "beside a refused one"])
@pytest.mark.parametrize("after_write", [True, False], ids=["made", "not made"])
async def test_a_retry_looks_up_what_is_gone_and_in_doubt(
    after_write, refused, make_sandbox, bring, write_records, settings_for, notebook, ask_ledger
):
    sandbox = await in_doubt(make_sandbox, bring, write_records, after_write=after_write)
    held = sandbox.store.world("live").count()
    sandbox.faults.replace([FaultRule(kind="error", on="list", status=400)])
    rows = [letter(9), *([letter(10, **BAD)] if refused else [])]
    await bring(sandbox, write_records(rows), job=JOB)
    settings = settings_for(sandbox)
    still = await run_retry(RetryOptions(job=JOB), settings, notebook, limits=FAST, signals=False)
    assert (still.exit_code, still.pending) == (3, 4)
    assert "no longer in any source" in still.message
    sandbox.faults.replace([])
    seen, calls = creates(sandbox), int(refused)
    retried = await run_retry(RetryOptions(job=JOB), settings, notebook, limits=FAST, signals=False)
    assert told(retried) == (held + 1 + calls, held + 1, 0, calls, 0, 4, calls)
    assert creates(sandbox) == seen + calls
    assert ask_ledger("SELECT count(*) FROM rows WHERE gone=1") == [(0,)]


async def test_a_retry_leaves_to_the_engine_what_is_gone_and_came_back(
    make_sandbox, bring, write_records, settings_for, notebook
):
    sandbox = await in_doubt(make_sandbox, bring, write_records, after_write=False)
    sandbox.faults.replace([FaultRule(kind="error", on="list", status=400)])
    await bring(sandbox, write_records([letter(9)]), job=JOB)
    sandbox.faults.replace([])
    write_records([letter(9), letter(2)])
    retried = await run_retry(RetryOptions(job=JOB), settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert (retried.created, retried.pending) == (2, 0)
    assert sandbox.store.world("live").by_unique_id("letter-00002") is not None


@pytest.mark.parametrize("corrected", [False, True], ids=["removed", "corrected"])
async def test_a_retry_does_not_wait_for_a_record_that_left_its_source(
    corrected, make_sandbox, bring, write_records, settings_for, notebook
):
    sandbox = await make_sandbox()
    rows = [nameless(0), nameless(1, **BAD), nameless(2)]
    rows.append(rows[2])
    await bring(sandbox, write_records(rows), job=JOB)
    rows[1:2] = [nameless(1)] if corrected else []
    source = write_records(rows)
    settings = settings_for(sandbox)
    retried = await run_retry(RetryOptions(job=JOB), settings, notebook, limits=FAST, signals=False)
    assert told(retried) == (3, 2, 0, 0, 0, 1, 0)
    assert retried.duplicates == 1
    assert notebook.notes[-1] == "1 record is no longer in any source and counts as gone"
    assert ("the rest of the input is still to come" in retried.message) == corrected
    again = await run_retry(RetryOptions(job=JOB), settings, notebook, limits=FAST, signals=False)
    assert (told(again), again.requests) == (told(retried), 0)
    done = await bring(sandbox, source, job=JOB)
    assert told(done) == (len(rows), len(rows) - 1, 0, 0, 0, 1, 0)


async def test_a_retry_keeps_what_stands_in_a_source_that_is_missing_today(
    make_sandbox, bring, write_records, settings_for, notebook
):
    """Only what was read whole shows that a record left."""
    sandbox = await make_sandbox()
    here = write_records([letter(0, **BAD), letter(1)], "here.jsonl")
    away = write_records([letter(2, **BAD), letter(3)], "away.jsonl")
    await bring(sandbox, here, job=JOB)
    await bring(sandbox, away, job=JOB)
    write_records([letter(1)], "here.jsonl")
    hidden = away.rename(away.with_suffix(".hidden"))
    settings = settings_for(sandbox)
    retried = await run_retry(RetryOptions(job=JOB), settings, notebook, limits=FAST, signals=False)
    assert told(retried) == (3, 2, 0, 0, 1, 1, 1)
    hidden.rename(away)
    write_records([letter(2), letter(3)], "away.jsonl")
    retried = await run_retry(RetryOptions(job=JOB), settings, notebook, limits=FAST, signals=False)
    assert told(retried) == (3, 3, 0, 0, 0, 1, 0)


@pytest.mark.parametrize("after_write", [True, False], ids=["made", "not made"])
async def test_a_retry_looks_up_what_was_in_doubt_when_it_left(
    after_write, make_sandbox, bring, write_records, settings_for, notebook
):
    sandbox = await in_doubt(make_sandbox, bring, write_records, after_write=after_write)
    held, seen = sandbox.store.world("live").count(), creates(sandbox)
    write_records([letter(9)])
    retried = await run_retry(RetryOptions(job=JOB), settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert (retried.created, retried.pending, retried.gone, retried.exit_code) == (held, 0, 4, 0)
    assert "the rest of the input is still to come" in retried.message
    assert creates(sandbox) == seen


async def test_a_dry_run_predicts_what_is_gone(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([letter(0), letter(1, **BAD), letter(2)]), job=JOB)
    await bring(sandbox, write_records([letter(0), letter(1, **BAD), letter(2, categories=["x"])]), job=JOB)
    for rows in ([letter(0)], [letter(0), letter(1, **BAD)], [letter(2)]):
        source = write_records(rows)
        dry = told(await bring(sandbox, source, job=JOB, dry_run=True))
        assert told(await bring(sandbox, source, job=JOB)) == dry


async def test_the_views_tell_what_is_superseded_as_gone(make_sandbox, bring, write_records, ask_ledger):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([letter(0), letter(1, **BAD), letter(2)]), job=JOB)
    await bring(sandbox, write_records([letter(0)]), job=JOB)
    assert ask_ledger("SELECT state, records FROM job_summary ORDER BY state") == [("created", 2), ("gone", 1)]
    assert ask_ledger("SELECT unique_id, gone FROM job_records WHERE state='gone'") == [("letter-00001", 1)]


async def test_a_failed_record_that_another_job_shares_is_still_that_jobs(make_sandbox, bring, write_records, tmp_path):
    sandbox = await make_sandbox()
    rows = [letter(0), letter(1, **BAD)]
    await bring(sandbox, write_records(rows, "one.jsonl"), job="one")
    await bring(sandbox, write_records(rows, "two.jsonl"), job="two")
    assert told(await bring(sandbox, write_records(rows[:1], "one.jsonl"), job="one")) == (1, 1, 0, 0, 0, 1, 0)
    two = await bring(sandbox, tmp_path / "two.jsonl", job="two")
    assert told(two) == (2, 1, 0, 1, 0, 0, 1)
