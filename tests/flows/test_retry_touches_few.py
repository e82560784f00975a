"""retry sends the records it names and no others, whatever bounded the import before it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scalesync.errors import ConfigError
from scalesync.flows.imports.reading.prepare import Preparer
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.jobs.status import list_failures
from scalesync.flows.runtime.options import RetryOptions
from scalesync.sandbox import FaultRule
from scalesync.sandbox.scale.tasks import lifecycle
from tests.conftest import FAST, letter
from tests.flows.conftest import adds_up, creates
from tests.flows.test_import_batches import batch_states, rapid
from tests.flows.test_import_conflicts import call, make_task
from tests.flows.test_verify import change_ledger

STILL_TO_COME = "the rest of the input is still to come"
BAD = {"attachment_type": "nonsense"}


@pytest.fixture
def again(settings_for, notebook):
    """again(sandbox, job=None, group=None, **switches): retry."""

    async def retry(sandbox, job=None, group=None, *, limits=FAST, **switches):
        settings = settings_for(sandbox)
        options = RetryOptions(job=job, group=group, **switches)
        summary = await run_retry(options, settings, notebook, limits=limits, signals=False)
        assert adds_up(summary)
        return summary

    return retry


def one_bad(count: int = 200) -> list[dict[str, Any]]:
    rows = [letter(number) for number in range(count)]
    rows[3] |= BAD
    return rows


def sent_keys(sandbox: Any) -> set[str]:
    return {task["unique_id"] for task in sandbox.store.world("live").documents()}


BOUNDS: dict[str, dict[str, Any]] = {
    "--limit": {"limit": 10},
    "--max-new": {"max_new": 10},
    "--canary": {"canary": 10, "canary_wait": 0},
    "--max-new and --canary": {"max_new": 10, "canary": 10, "canary_wait": 0},
}


@pytest.mark.parametrize("by_group", [False, True], ids=["all", "group"])
@pytest.mark.parametrize("bound", BOUNDS)
async def test_a_retry_sends_what_failed_and_leaves_the_rest_of_the_input(
    bound, by_group, make_sandbox, bring, again, write_records, settings_for, ask_ledger
):
    sandbox = await make_sandbox()
    source = write_records(one_bad())
    first = await bring(sandbox, source, job="j", **BOUNDS[bound])
    assert (first.created, first.failed) == (9, 1)
    write_records([letter(number) for number in range(200)])
    (group,) = await list_failures(settings_for(sandbox).ledger, None, None)
    sandbox.journal.clear()
    retried = await again(sandbox, "j", group.group if by_group else None)
    assert (retried.created, retried.failed, retried.read, creates(sandbox)) == (10, 0, 10, 1)
    assert retried.message.startswith(STILL_TO_COME)
    assert retried.exit_code == 0
    assert ask_ledger("SELECT complete FROM jobs") == [(0,)]
    done = await bring(sandbox, source, job="j")
    assert (done.created, done.exit_code, creates(sandbox)) == (200, 0, 191)


@pytest.mark.parametrize("bound", [{"limit": 10}, {"max_new": 10}])
async def test_a_retry_without_failures_sends_what_is_pending_alone(
    bound, make_sandbox, bring, again, write_records, ask_ledger
):
    sandbox = await make_sandbox()
    source = write_records(60)
    await bring(sandbox, source, job="j", **bound)
    sandbox.journal.clear()
    nothing = await again(sandbox)
    assert (nothing.created, creates(sandbox)) == (10, 0)
    assert nothing.message.startswith("nothing to send: the job has no failed records")


async def test_records_left_in_doubt_go_along_and_unknown_ones_do_not(
    make_sandbox, bring, again, write_records, ask_ledger, tmp_path
):
    sandbox = await make_sandbox()
    source = write_records(one_bad(60))
    await bring(sandbox, source, job="j", limit=20)
    change_ledger(tmp_path, "UPDATE rows SET state='sending', task_id=NULL WHERE unique_id IN (?, ?)", "letter-00007",
                  "letter-00008")  # fmt: skip
    change_ledger(tmp_path, "UPDATE rows SET state='pending', task_id=NULL WHERE unique_id=?", "letter-00009")
    world = sandbox.store.world("live")
    for number in (8, 9):
        world.remove(world.find(world.by_unique_id(f"letter-{number:05d}")["task_id"]))
    sandbox.journal.clear()
    retried = await again(sandbox)
    assert (retried.created, retried.failed, retried.pending) == (19, 1, 0)
    assert (creates(sandbox), sandbox.journal.count("create", 409)) == (3, 0)  # the failed one, and two without a task


async def test_a_group_leaves_other_failures_as_they_are_though_their_records_changed(
    make_sandbox, bring, again, write_records, settings_for, ask_ledger
):
    sandbox = await make_sandbox()
    rows = one_bad(12)
    rows[7] = letter(7, priority=11)
    source = write_records(rows)
    await bring(sandbox, source, job="j")
    group = next(g for g in await list_failures(settings_for(sandbox).ledger, None, None) if "attachment" in g.message)
    write_records([letter(number) for number in range(12)])
    sandbox.journal.clear()
    retried = await again(sandbox, "j", group.group)
    assert (retried.created, retried.failed, creates(sandbox)) == (11, 1, 1)
    assert ask_ledger("SELECT unique_id FROM rows WHERE state='failed'") == [("letter-00007",)]


async def test_a_task_whose_record_changed_is_not_touched_by_a_retry(
    make_sandbox, bring, again, write_records, ask_ledger
):
    sandbox = await make_sandbox()
    source = write_records(one_bad(12))
    await bring(sandbox, source, job="j")
    write_records([letter(n, **({"categories": ["z"]} if n == 1 else {})) for n in range(12)])
    retried = await again(sandbox)
    assert (retried.created, retried.conflicts) == (12, 0)
    assert ask_ledger("SELECT state, count(*) FROM rows GROUP BY 1") == [("created", 12)]
    assert (await bring(sandbox, source, job="j")).conflicts == 1  # the import sees it


async def test_other_records_between_the_retried_ones_stay(make_sandbox, bring, again, write_records, ask_ledger):
    sandbox = await make_sandbox()
    rows = [
        letter(0),
        letter(1, **BAD),
        letter(0),
        "broken\n",
        letter(0, categories=["z"]),
        letter(2, **BAD),
        letter(3),
    ]
    source = write_records(rows)
    before = await bring(sandbox, source, job="j")
    after = await again(sandbox)
    for name in ("created", "failed", "invalid", "conflicts", "duplicates", "read"):
        assert getattr(after, name) == getattr(before, name), name
    assert (before.duplicates, before.invalid, before.conflicts) == (1, 1, 1)


async def test_a_finished_job_is_finished_again_after_its_failures_were_sent(
    make_sandbox, bring, again, write_records, tmp_path
):
    """The source has not changed since the import read it whole: the refusals were the server's."""
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", status=422, at=(4, 8))])
    source = write_records(40)
    assert (await bring(sandbox, source, job="j")).failed == 2
    retried = await again(sandbox)
    assert (retried.created, retried.message, retried.exit_code) == (40, "", 0)
    sandbox.journal.clear()
    assert (await bring(sandbox, source, job="j")).message.startswith("nothing to send: the job is finished")


async def test_a_retry_reads_no_further_than_the_last_record_it_names(
    make_sandbox, bring, again, write_records, monkeypatch
):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", status=422, at=(4,))])
    source = write_records(5000)
    await bring(sandbox, source, job="j", yes=True)
    read: list[int] = []
    prepare = Preparer.prepare

    async def counted(self, load):
        read.extend(len(block.records) for block in load)
        return await prepare(self, load)

    monkeypatch.setattr(Preparer, "prepare", counted)
    assert (await again(sandbox)).created == 5000
    assert sum(read) < 1500


@pytest.mark.parametrize("bound", [{"limit": 10}, {"max_new": 10}, {}])
async def test_errored_tasks_are_sent_again_and_nothing_else(bound, make_sandbox, bring, again, write_records):
    sandbox = await make_sandbox()
    rows = [letter(number) for number in range(40)]
    source = write_records(rows)
    stranger = await make_task(sandbox, letter(5, metadata={"number": 99}))
    await bring(sandbox, source, job="j", **bound)
    world = sandbox.store.world("live")
    canceled = world.by_unique_id("letter-00002")["task_id"]
    await call(sandbox, "POST", f"/task/{canceled}/cancel")
    lifecycle.fail(world, world.find(world.by_unique_id("letter-00001")["task_id"]), world.now(), None)
    world.remove(world.find(stranger))  # its conflict is none of this retry's business
    before = world.count()
    sandbox.journal.clear()
    retried = await again(sandbox, errored=True)
    assert creates(sandbox) == 1
    assert world.count() == before + 1
    assert (retried.conflicts, retried.exit_code) == (2, 1)
    assert (STILL_TO_COME in retried.message) is bool(bound)


async def test_more_than_a_thousand_records_need_yes_and_stay_failed_without(
    make_sandbox, bring, again, write_records, ask_ledger
):
    sandbox = await make_sandbox()
    source = write_records([letter(0)] + [letter(number, **BAD) for number in range(1, 1102)])
    await bring(sandbox, source, job="j", yes=True)
    sandbox.journal.clear()
    with pytest.raises(ConfigError, match="sends 1,101 records again"):
        await again(sandbox)
    assert ask_ledger("SELECT count(*) FROM rows WHERE state='failed'") == [(1101,)]
    assert creates(sandbox) == 0
    write_records([letter(number) for number in range(1102)])
    assert (await again(sandbox, yes=True)).created == 1102
    assert creates(sandbox) == 1101


async def test_a_thousand_unknown_records_behind_a_limit_are_no_reason_to_ask(
    make_sandbox, bring, again, write_records
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(one_bad(3000)), job="j", limit=10)
    retried = await again(sandbox)
    assert (retried.created, retried.failed) == (9, 1)
    assert STILL_TO_COME in retried.message


async def test_a_retry_finalizes_when_the_whole_input_is_in_and_not_before(make_sandbox, bring, again, write_records):
    sandbox = await rapid(make_sandbox)
    asked: dict[str, Any] = {"project": "quick", "batch": "b", "finalize": True, "job": "j"}
    await bring(sandbox, write_records(one_bad(20)), **asked, limit=10)
    source = write_records(20)
    early = await again(sandbox)
    assert (early.created, early.exit_code, batch_states(sandbox)) == (10, 1, {"b": "staging"})
    assert "the rest of the input is still to come" in early.message
    sandbox.faults.replace([FaultRule(kind="error", on="create", status=422, at=(2,))])
    assert (await bring(sandbox, source, **asked)).failed == 1
    late = await again(sandbox)
    assert (late.created, late.exit_code, batch_states(sandbox)) == (20, 0, {"b": "in_progress"})


async def test_a_record_shared_with_another_job_is_retried_for_both(make_sandbox, bring, again, write_records):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", status=422, at=(2,))])
    await bring(sandbox, write_records(5, "a.jsonl"), job="a")
    await bring(sandbox, write_records(9, "b.jsonl"), job="b", limit=6)
    retried = await again(sandbox, "b")
    assert (retried.created, retried.failed, creates(sandbox)) == (6, 0, 7)
    assert STILL_TO_COME in retried.message


async def test_files_of_a_folder_that_came_since_wait_for_the_import(make_sandbox, bring, again, tmp_path: Path):
    sandbox = await make_sandbox()
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "b.jsonl").write_text(json.dumps(letter(1, **BAD)) + "\n" + json.dumps(letter(2)) + "\n")
    await bring(sandbox, folder, job="j")
    for name, number in (("a.jsonl", 3), ("c.jsonl", 4)):
        (folder / name).write_text(json.dumps(letter(number)) + "\n")
    (folder / "b.jsonl").write_text(json.dumps(letter(1)) + "\n" + json.dumps(letter(2)) + "\n")
    retried = await again(sandbox)
    assert (retried.created, sent_keys(sandbox)) == (2, {"letter-00001", "letter-00002"})
    assert STILL_TO_COME in retried.message
    assert (await bring(sandbox, folder, job="j")).created == 4


@pytest.mark.parametrize("told", [True, False], ids=["the ledger knows the template", "an older ledger does not"])
async def test_a_retry_after_an_import_with_another_template_was_stopped_does_not_finish_the_job(
    told, make_sandbox, bring, again, write_records, tmp_path
):
    """What was read to its end was read for other tasks: the import has yet to compare the rest."""
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", status=422, at=(2,))])
    source = write_records(600)
    await bring(sandbox, source, job="j", yes=True)
    if not told:
        change_ledger(tmp_path, "UPDATE splits SET cursor=NULL")
    changed = {"task": {"priority": 20}, "keep": ["unique_id", "attachment", "attachment_type", "categories"]}
    await bring(sandbox, source, job="j", yes=True, template=changed, limit=10)
    assert (await again(sandbox)).created == 600
    after = await bring(sandbox, source, job="j", yes=True, template=changed)
    assert not after.message.startswith("nothing to send")


async def test_a_record_that_came_back_counts_for_itself_and_hides_no_other(
    make_sandbox, bring, again, write_records, ask_ledger
):
    sandbox = await make_sandbox()
    rows = [letter(number) for number in range(30)]
    rows[2] |= BAD
    rows[25] |= BAD
    await bring(sandbox, write_records(rows), job="j")
    await bring(sandbox, write_records([row for n, row in enumerate(rows) if n != 2]), job="j")
    write_records([letter(number) for number in range(40)])  # back, and more besides
    retried = await again(sandbox)
    assert ask_ledger("SELECT state FROM rows WHERE unique_id='letter-00025'") == [("created",)]
    assert STILL_TO_COME in retried.message
