"""What bounds a run from within: refusals of one kind, and the limits that were asked for."""

from __future__ import annotations

import anyio
import pytest

from scalesync.errors import ConfigError
from scalesync.sandbox import FaultRule
from tests.conftest import letter
from tests.flows.conftest import creates
from tests.flows.test_import_conflicts import call, make_task

SLOW = FaultRule(kind="latency", on="create", seconds=0.02)
BAD = {"attachment_type": "nonsense"}


# --- refusals --------------------------------------------------------------------------------------


async def test_a_hundred_first_records_refused_with_one_message_stay_pending(
    make_sandbox, bring, write_records, ask_ledger
):
    sandbox = await make_sandbox()
    summary = await bring(sandbox, write_records([letter(n, **BAD) for n in range(300)]))
    assert (summary.exit_code, summary.failed, summary.created) == (3, 0, 0)
    assert "attachment_type" in summary.message
    assert creates(sandbox) < 200
    assert ask_ledger("SELECT DISTINCT state FROM rows") == [("pending",)]
    mended = await bring(sandbox, write_records(300))
    assert (mended.exit_code, mended.created) == (0, 300)


async def test_messages_that_differ_only_by_the_record_are_one_message(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    rows = [letter(n, project=f"gone {n} with the wind") for n in range(150)]
    summary = await bring(sandbox, write_records(rows))
    assert (summary.exit_code, summary.failed) == (3, 0)


async def test_ninety_nine_refusals_and_then_a_success_are_failures(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    rows = [letter(n, **BAD) for n in range(99)] + [letter(n) for n in range(99, 150)]
    summary = await bring(sandbox, write_records(rows), settings={"concurrency": 1})
    assert (summary.exit_code, summary.failed, summary.created) == (1, 99, 51)


async def test_few_records_that_are_all_refused_are_failures(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    summary = await bring(sandbox, write_records([letter(n, **BAD) for n in range(99)]))
    assert (summary.exit_code, summary.failed) == (1, 99)


async def test_held_refusals_are_let_go_when_the_rest_was_settled_by_look_ups(make_sandbox, bring, write_records):
    """No create is ever answered with 200 here: only look-ups tell that the others got through."""
    sandbox = await make_sandbox(
        [FaultRule(kind="error", on="create", at=tuple(range(1, 60)), status=500, after_write=True)]
    )
    rows = [letter(0, **BAD), *[letter(n) for n in range(1, 30)]]
    with anyio.fail_after(10):
        summary = await bring(sandbox, write_records(rows), settings={"concurrency": 1})
    assert (summary.exit_code, summary.failed, summary.created) == (1, 1, 29)


# --- bounds ----------------------------------------------------------------------------------------


async def test_max_new_takes_as_many_and_the_next_run_takes_more(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    source = write_records(300)
    first = await bring(sandbox, source, max_new=70)
    assert (first.exit_code, first.created, creates(sandbox)) == (3, 70, 70)
    assert "--max-new" in first.message
    second = await bring(sandbox, source, max_new=70)
    assert second.created == 140
    assert (await bring(sandbox, source)).exit_code == 0
    assert sandbox.store.world("live").count() == 300


async def test_max_new_that_just_suffices_is_no_stop(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    assert (await bring(sandbox, write_records(30), max_new=30)).exit_code == 0


@pytest.mark.parametrize("bound", ["max_new", "canary"])
async def test_what_another_job_left_pending_counts_as_new(bound, make_sandbox, bring, write_records, ask_ledger):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", status=403)])
    source = write_records(30)
    assert (await bring(sandbox, source, job="a")).pending == 30
    assert ask_ledger("SELECT DISTINCT state FROM rows") == [("pending",)]
    sandbox.faults.replace([FaultRule(kind="error", on="create", at=(0,), status=400)])
    before = creates(sandbox)
    other = await bring(sandbox, source, job="b", **{bound: 5})
    assert (other.exit_code, creates(sandbox) - before) == (3, 5)
    assert f"stopped by --{bound.replace('_', '-')}" in other.message
    sandbox.faults.replace([])
    assert (await bring(sandbox, source, job="a", max_new=1)).created == 29


@pytest.mark.parametrize(("limit", "most"), [("0", 40), ("5", 50), ("10%", 90)])
async def test_max_failures_stops_as_a_number_and_as_a_share(limit, most, make_sandbox, bring, write_records):
    sandbox = await make_sandbox([SLOW])
    rows = [letter(n, **(BAD if n % 4 == 0 else {})) for n in range(600)]
    summary = await bring(sandbox, write_records(rows), max_failures=limit, settings={"concurrency": 8})
    assert summary.exit_code == 3
    assert "--max-failures" in summary.message
    assert 1 <= summary.failed <= most
    assert summary.pending > 100
    assert creates(sandbox) < 600


async def test_max_failures_counts_refusals_that_nothing_came_before(make_sandbox, bring, write_records):
    sandbox = await make_sandbox([SLOW])
    summary = await bring(
        sandbox, write_records([letter(n, **BAD) for n in range(90)]), max_failures="3", settings={"concurrency": 2}
    )
    assert summary.exit_code == 3
    assert creates(sandbox) <= 8


@pytest.mark.parametrize("text", ["x", "-1", "1.5", "%"])
async def test_a_max_failures_that_is_no_number_is_refused(text, make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    with pytest.raises(ConfigError, match="--max-failures"):
        await bring(sandbox, write_records(1), max_failures=text)


async def test_max_invalid_stops_when_too_much_cannot_be_used(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    rows = [letter(n) if n % 2 else "broken\n" for n in range(20)]
    allowed = await bring(sandbox, write_records(rows), max_invalid=10)
    assert (allowed.exit_code, allowed.invalid) == (1, 10)
    stopped = await bring(sandbox, write_records(rows, "other.jsonl"), max_invalid=9)
    assert stopped.exit_code == 3
    assert "--max-invalid" in stopped.message


async def test_a_canary_sends_only_so_many_and_continues_when_they_hold(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    summary = await bring(sandbox, write_records(300), canary=10)
    assert (summary.exit_code, summary.created) == (0, 300)
    kinds = [seen.kind for seen in sandbox.journal if seen.kind in {"create", "list"}]
    assert kinds[:11] == ["create"] * 10 + ["list"]


async def test_a_canary_that_is_refused_stops_before_the_rest(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    rows = [letter(n, **(BAD if n == 4 else {})) for n in range(300)]
    summary = await bring(sandbox, write_records(rows), canary=10)
    assert (summary.exit_code, summary.failed, creates(sandbox)) == (3, 1, 10)
    assert "stopped by --canary: 1 of the first records was not accepted" in summary.message


async def test_a_canary_that_meets_another_task_stops_before_the_rest(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    await make_task(sandbox, letter(4, attachment="something else"))
    sandbox.journal.clear()
    summary = await bring(sandbox, write_records(300), canary=10)
    assert (summary.exit_code, summary.conflicts, creates(sandbox)) == (3, 1, 10)
    assert "stopped by --canary: 1 of the first records was not accepted" in summary.message


async def test_a_canary_is_about_records_that_have_no_task_yet(make_sandbox, bring, write_records, ask_ledger):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(5), job="j")
    ((task_id,),) = ask_ledger("SELECT task_id FROM rows WHERE unique_id='letter-00003'")
    await call(sandbox, "POST", f"/task/{task_id}/cancel")
    sandbox.journal.clear()
    summary = await bring(sandbox, write_records(300), job="j", canary=10, rescan=True)
    assert (summary.exit_code, summary.created) == (0, 300)
    kinds = [seen.kind for seen in sandbox.journal if seen.kind in {"create", "list"}]
    assert kinds[:11] == ["create"] * 10 + ["list"]
