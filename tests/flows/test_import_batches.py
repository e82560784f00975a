"""Batches of an import: made when missing, finalized when all of their records are in."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest

from scalesync.flows.jobs.status import list_failures
from scalesync.model.summaries import ImportSummary
from scalesync.platforms.scale.compare import ABSENT
from scalesync.sandbox import FaultRule
from tests.conftest import KIND, PROJECT, letter
from tests.flows.conftest import creates

BAD = {"attachment_type": "nonsense"}


async def rapid(make_sandbox, faults=()):
    """A sandbox whose project `quick` puts its batches into staging."""
    sandbox = await make_sandbox(faults)
    sandbox.store.world("live").add_project("quick", KIND, rapid=True)
    return sandbox


def batch_states(sandbox):
    return {batch.name: batch.status for batch in sandbox.store.world("live").batches}


FAULTS = {
    "none": [],
    "false 500": [FaultRule(kind="error", on="batch", status=500, after_write=True, times=3)],
    "500": [FaultRule(kind="error", on="batch", status=500, times=3)],
    "reset": [FaultRule(kind="reset", on="batch", after_write=True, times=3)],
    "HTML": [FaultRule(kind="html502", on="batch", after_write=True, times=3)],
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_missing_batch_is_made_once_under(name, make_sandbox, bring, write_records):
    sandbox = await make_sandbox(FAULTS[name])
    summary = await bring(sandbox, write_records(40), batch="b1")
    assert (summary.exit_code, summary.created) == (0, 40)
    assert batch_states(sandbox) == {"b1": "in_progress"}
    assert {task["batch"] for task in sandbox.store.world("live").documents()} == {"b1"}


async def test_a_batch_that_is_there_is_used(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    sandbox.store.world("live").add_batch(PROJECT, "b1")
    assert (await bring(sandbox, write_records(3), batch="b1")).created == 3
    assert sandbox.journal.count("batch") == sum(seen.method == "GET" for seen in sandbox.journal.of("batch"))


async def test_batches_by_a_template_are_made_for_each_value(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    rows = [letter(n, drive=f"d {n % 3}/x") for n in range(30)]
    summary = await bring(sandbox, write_records(rows), batch="drive-{drive}")
    assert (summary.exit_code, summary.created) == (0, 30)
    counts = {batch.name: sum(batch.counts.values()) for batch in sandbox.store.world("live").batches}
    assert counts == {"drive-d 0/x": 10, "drive-d 1/x": 10, "drive-d 2/x": 10}


async def test_a_record_whose_batch_belongs_to_another_project_is_invalid(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    sandbox.store.world("live").add_project("others", KIND)
    sandbox.store.world("live").add_batch("others", "theirs")
    rows = [letter(0), letter(1, batch="theirs"), letter(2, batch="theirs"), letter(3, batch="ours")]
    summary = await bring(sandbox, write_records(rows))
    assert (summary.created, summary.invalid, summary.exit_code) == (2, 2, 1)
    stopped = await bring(sandbox, write_records(rows, "again.jsonl"), max_invalid=1)
    assert "--max-invalid" in stopped.message


async def test_a_batch_without_any_project_makes_its_records_invalid(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    summary = await bring(sandbox, write_records([letter(0), letter(1, project=PROJECT)]), project=None, batch="b")
    assert (summary.created, summary.invalid) == (1, 1)


async def test_a_missing_batch_is_asked_for_once_and_made_for_the_first_record_with_a_project(
    make_sandbox, bring, write_records
):
    sandbox = await make_sandbox()
    rows = [*(letter(n) for n in range(5)), letter(5, project=PROJECT), letter(6)]
    summary = await bring(sandbox, write_records(rows), project=None, batch="b")
    assert (summary.created, summary.invalid) == (2, 5)
    assert [seen.method for seen in sandbox.journal.of("batch")] == ["GET", "GET", "POST"]


async def test_a_batch_is_finalized_when_all_of_its_records_are_in(make_sandbox, bring, write_records, notebook):
    sandbox = await rapid(make_sandbox)
    summary = await bring(sandbox, write_records(30), project="quick", batch="b", finalize=True)
    assert (summary.exit_code, summary.created) == (0, 30)
    assert batch_states(sandbox) == {"b": "in_progress"}
    assert any("batch b" in note for note in notebook.notes)


async def test_without_finalize_a_batch_stays_in_staging(make_sandbox, bring, write_records):
    sandbox = await rapid(make_sandbox)
    await bring(sandbox, write_records(3), project="quick", batch="b")
    assert batch_states(sandbox) == {"b": "staging"}


@pytest.mark.parametrize("templated", [False, True])
async def test_a_batch_with_a_failed_record_stays_open_by_name(templated, make_sandbox, bring, write_records):
    sandbox = await rapid(make_sandbox)
    batch = "b-{group}" if templated else "b-0"
    rows = [letter(n, group=n % 2, **(BAD if n == 4 else {})) for n in range(10)]
    source = write_records(rows)
    summary = await bring(sandbox, source, project="quick", batch=batch, finalize=True)
    assert summary.exit_code == 1
    assert "batch b-0 stays open: 1 of its records is not in" in summary.message
    wanted = {"b-0": "staging", "b-1": "in_progress"} if templated else {"b-0": "staging"}
    assert batch_states(sandbox) == wanted
    mended = write_records([letter(n, group=n % 2) for n in range(10)])
    after = await bring(sandbox, mended, project="quick", batch=batch, finalize=True)
    assert after.exit_code == 0
    assert set(batch_states(sandbox).values()) == {"in_progress"}


async def test_lines_that_cannot_be_parsed_hold_up_all_batches_unless_asked_otherwise(
    make_sandbox, bring, write_records
):
    sandbox = await rapid(make_sandbox)
    source = write_records([letter(0), "broken\n"])
    asked = {"project": "quick", "batch": "b", "finalize": True}
    held = await bring(sandbox, source, **asked)
    assert (held.exit_code, batch_states(sandbox)) == (1, {"b": "staging"})
    assert "batch b stays open: 1 record of the input is invalid" in held.message
    await bring(sandbox, source, **asked, finalize_anyway=True)
    assert batch_states(sandbox) == {"b": "in_progress"}


@pytest.mark.parametrize("anyway", [False, True])
async def test_an_invalid_record_holds_up_its_own_batch_alone(anyway, make_sandbox, bring, tmp_path):
    sandbox = await rapid(make_sandbox)
    source = tmp_path / "c.csv"
    source.write_text("unique_id,drive,tags\n1,A,[]\n2,A,[]\n3,B,[]\n4,B,\n")
    fields = {"attachment": "Thank you.", "attachment_type": "text", "categories": ["kind"], "tags": "{tags}"}
    template = {"keep": [], "json": ["tags"], "task": fields}
    asked = {"project": "quick", "batch": "bat-{drive}", "template": template, "finalize": True}
    summary = await bring(sandbox, source, **asked, finalize_anyway=anyway)
    assert (summary.created, summary.invalid, summary.exit_code) == (3, 1, 1)
    assert "batch bat-B stays open: 1 of its records is not in" in summary.message
    assert batch_states(sandbox) == {"bat-A": "in_progress", "bat-B": "staging"}


@pytest.mark.parametrize("anyway", [False, True])
async def test_an_invalid_record_whose_batch_cannot_be_known_holds_up_all(anyway, make_sandbox, bring, write_records):
    sandbox = await rapid(make_sandbox)
    source = write_records([letter(0, drive="A"), letter(1)])
    asked = {"project": "quick", "batch": "{drive}", "finalize": True, "finalize_anyway": anyway}
    assert (await bring(sandbox, source, **asked)).invalid == 1
    assert batch_states(sandbox) == {"A": "in_progress" if anyway else "staging"}


async def test_an_invalid_record_holds_up_a_batch_named_for_all(make_sandbox, bring, write_records):
    sandbox = await rapid(make_sandbox)
    source = write_records([letter(0), letter(1, unique_id=[])])
    asked = {"project": "quick", "batch": "b", "finalize": True, "finalize_anyway": True}
    summary = await bring(sandbox, source, **asked)
    assert "batch b stays open: 1 of its records is not in" in summary.message
    assert batch_states(sandbox) == {"b": "staging"}


async def test_a_clash_holds_up_the_batch_that_it_was_meant_for(make_sandbox, bring, write_records):
    sandbox = await rapid(make_sandbox)
    rows = [letter(0, group="a"), letter(1, group="b"), letter(0, group="b")]
    summary = await bring(sandbox, write_records(rows), project="quick", batch="{group}", finalize=True)
    assert (summary.conflicts, summary.exit_code) == (1, 1)
    assert batch_states(sandbox) == {"a": "in_progress", "b": "staging"}


async def test_a_limit_finalizes_nothing_because_the_rest_is_to_come(make_sandbox, bring, write_records):
    sandbox = await rapid(make_sandbox)
    asked = {"project": "quick", "batch": "b", "finalize": True}
    source = write_records(10)
    limited = await bring(sandbox, source, limit=4, **asked)
    assert (limited.exit_code, batch_states(sandbox)) == (1, {"b": "staging"})
    assert (await bring(sandbox, source, **asked)).created == 10
    assert batch_states(sandbox) == {"b": "in_progress"}


@pytest.mark.parametrize("fault", ["none", "false 500"])
async def test_finalizing_twice_asks_first_and_does_it_once(fault, make_sandbox, bring, write_records):
    sandbox = await rapid(make_sandbox)
    source = write_records(5)
    asked = {"project": "quick", "batch": "b"}
    await bring(sandbox, source, **asked)
    strikes = FaultRule(kind="error", on="batch", at=(3,), status=500, after_write=True)
    sandbox.faults.replace([strikes] if fault != "none" else [])
    assert (await bring(sandbox, source, **asked, finalize=True)).exit_code == 0
    assert (await bring(sandbox, source, **asked, finalize=True)).exit_code == 0
    posts = [seen.status for seen in sandbox.journal if seen.path.endswith("/finalize")]
    assert posts.count(200) <= 1
    assert batch_states(sandbox) == {"b": "in_progress"}
    assert creates(sandbox) == 5


async def test_late_records_for_a_finalized_batch_are_failures_that_say_so(make_sandbox, bring, write_records):
    sandbox = await rapid(make_sandbox)
    asked = {"project": "quick", "batch": "b", "finalize": True}
    await bring(sandbox, write_records(2), **asked)
    late = await bring(sandbox, write_records(3), **asked)
    assert (late.failed, late.exit_code) == (1, 1)
    assert "stays open" in late.message


async def test_a_task_in_another_batch_than_the_record_asks_for_is_a_conflict_with_both(
    make_sandbox, bring, write_records, settings_for
):
    sandbox = await rapid(make_sandbox)
    source = write_records(3)
    await bring(sandbox, source, project="quick", job="s1")
    other = await bring(sandbox, source, project="quick", job="s3", batch="b", finalize=True)
    assert (other.conflicts, other.created, other.exit_code) == (3, 0, 1)
    assert "batch b stays open" in other.message
    assert batch_states(sandbox) == {"b": "staging"}
    (group,) = await list_failures(settings_for(sandbox).ledger, "s3", None)
    assert (group.message, group.count) == ("changed_after_creation", 3)
    assert group.examples[0]["differences"] == {"batch": {"record": "b", "task": ABSENT}}
    assert (await bring(sandbox, source, project="quick", job="s1", rescan=True)).created == 3


async def test_a_job_whose_template_names_another_batch_later_has_conflicts_until_it_is_put_back(
    make_sandbox, bring, write_records, settings_for
):
    sandbox = await make_sandbox()
    source = write_records(3)
    asked = [{"job": "j", "template": {"task": {"batch": name}}} for name in ("one", "two")]
    await bring(sandbox, source, **asked[0])
    moved = await bring(sandbox, source, **asked[1])
    assert (moved.conflicts, moved.created) == (3, 0)
    (group,) = await list_failures(settings_for(sandbox).ledger, "j", None)
    assert group.examples[0]["differences"] == {"batch": {"record": "two", "task": "one"}}
    assert (await bring(sandbox, source, **asked[0])).created == 3


async def test_runs_that_repeat_resume_or_ask_for_no_batch_see_no_conflict(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    rows = [{key: value for key, value in letter(n, drive=n % 2).items() if key != "unique_id"} for n in range(6)]
    source = write_records(rows)
    asked = {"job": "j", "batch": "b-{drive}"}
    await bring(sandbox, source, max_new=4, **asked)
    for more in ({}, {"rescan": True}, {"finalize": True}):
        again = await bring(sandbox, source, **asked, **more)
        assert (again.created, again.conflicts, again.exit_code) == (6, 0, 0)
    plain = await bring(sandbox, source)
    assert (plain.created, plain.conflicts, creates(sandbox)) == (6, 0, 6)


async def test_batches_of_piped_records_are_finalized_when_all_records_are_in(make_sandbox, bring, monkeypatch):
    """A pipe cannot be read again to tell whose batch a record is that is not in: then all stay open."""
    sandbox = await rapid(make_sandbox)

    async def pipe(records: list[dict[str, Any]], job: str) -> ImportSummary:
        text = "".join(json.dumps(record) + "\n" for record in records)
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
        return await bring(sandbox, "-", job=job, finalize=True, project="quick", yes=True)

    done = await pipe([letter(n, batch=f"b{n % 2}") for n in range(6)], "all")
    assert (done.created, done.exit_code, done.message) == (6, 0, "")
    refused = [letter(n, batch=f"c{n % 2}") for n in range(10, 16)]
    refused[0] |= BAD
    left = await pipe(refused, "some")
    assert (left.created, left.failed, left.exit_code) == (5, 1, 1)
    assert "c0 stays open" in left.message
    assert "c1 stays open" in left.message
    wanted = dict.fromkeys(("b0", "b1"), "in_progress") | dict.fromkeys(("c0", "c1"), "staging")
    assert batch_states(sandbox) == wanted


LOST = {
    "500": FaultRule(kind="error", on="batch", at=(4,), status=500, after_write=True),
    "504": FaultRule(kind="error", on="batch", at=(4,), status=504, after_write=True),
    "reset": FaultRule(kind="reset", on="batch", at=(4,), after_write=True),
    "HTML": FaultRule(kind="html502", on="batch", at=(4,), after_write=True),
    "408": FaultRule(kind="error", on="batch", at=(4,), status=408, after_write=True),
    "cut": FaultRule(kind="cut", on="batch", at=(4,)),
}


@pytest.mark.parametrize("name", LOST)
async def test_a_batch_whose_finalizing_took_effect_is_finalized_though_the_reply_was_lost(
    name, make_sandbox, bring, write_records, ask_ledger
):
    sandbox = await rapid(make_sandbox, [LOST[name]])
    summary = await bring(sandbox, write_records(5), project="quick", batch="b", finalize=True)
    posts = [seen.status for seen in sandbox.journal if seen.path.endswith("/finalize")]
    assert len(posts) == 2  # the second one is refused
    assert (summary.exit_code, summary.message, batch_states(sandbox)) == (0, "", {"b": "in_progress"})
    assert ask_ledger("SELECT name, finalized_at IS NOT NULL FROM batches") == [("b", 1)]


async def test_a_refusal_to_finalize_that_is_a_verdict_stays_one(make_sandbox, bring, write_records):
    sandbox = await rapid(make_sandbox, [FaultRule(kind="error", on="batch", at=(4,), status=400)])
    summary = await bring(sandbox, write_records(5), project="quick", batch="b", finalize=True)
    assert (summary.exit_code, batch_states(sandbox)) == (1, {"b": "staging"})
    assert "batch b stays open: finalize batch 'b':" in summary.message


@pytest.mark.parametrize("kind", ["error", "reset", "html502"])
async def test_a_batch_that_was_made_though_the_reply_was_lost_is_this_jobs(
    kind, make_sandbox, bring, write_records, ask_ledger
):
    status = {"status": 500} if kind == "error" else {}
    sandbox = await make_sandbox([FaultRule(kind=kind, on="batch", at=(2,), after_write=True, **status)])
    assert (await bring(sandbox, write_records(3), batch="b", job="j")).exit_code == 0
    assert [seen.status for seen in sandbox.journal.of("batch") if seen.method == "POST"][-1] == 409
    made = "SELECT b.name, b.project, j.name FROM batches b JOIN jobs j ON j.id=b.created_by"
    assert ask_ledger(made) == [("b", PROJECT, "j")]


async def test_a_batch_that_another_made_first_is_not_reported_as_this_jobs(
    make_sandbox, bring, write_records, ask_ledger
):
    """Its name is free when it is asked for, and taken when it is to be made; no reply was lost."""
    sandbox = await make_sandbox([FaultRule(kind="error", on="batch", at=(2,), status=429, retry_after=0)])
    world = sandbox.store.world("live")
    before = sandbox.faults.decide

    def decide(kind: str) -> Any:
        decision = before(kind)
        if kind == "batch" and decision.rule is not None:
            world.add_batch(PROJECT, "b")  # between the throttled attempt and its repetition
        return decision

    sandbox.faults.decide = decide
    assert (await bring(sandbox, write_records(3), batch="b")).exit_code == 0
    assert ask_ledger("SELECT name FROM batches") == []
