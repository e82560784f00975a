"""ledger rebuild: a lost ledger is rebuilt, and the next import creates no task twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from scalesync.errors import ConfigError, NameBound, ScalesyncError, StopRun
from scalesync.flows.jobs.rebuild import run_rebuild
from scalesync.flows.jobs.refresh import refreshed_status
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.jobs.status import job_status, list_failures, stopped_jobs
from scalesync.flows.runtime.options import ImportOptions, RetryOptions
from scalesync.model.summaries import ImportSummary
from scalesync.sandbox import FaultRule, Sandbox
from tests.conftest import FAST, KIND, PROJECT, letter
from tests.flows.conftest import adds_up, creates
from tests.flows.test_import_conflicts import Clock, call, make_task


@pytest.fixture
def rebuild(settings_for, notebook) -> Callable[..., Any]:
    """rebuild(sandbox, source, **options)."""

    async def run(sandbox: Sandbox, source: Path, **options: Any) -> ImportSummary:
        typed = {"type": KIND, "project": PROJECT, **options}
        asked = ImportOptions(sources=(str(source),), **typed)
        summary = await run_rebuild(asked, settings_for(sandbox), notebook, limits=FAST)
        assert adds_up(summary)
        return summary

    return run


def lose(tmp_path: Path) -> None:
    """The ledger is gone."""
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()


async def test_a_ledger_lost_in_the_middle_of_a_run_is_rebuilt_and_the_import_finishes(
    make_sandbox, bring, rebuild, write_records, tmp_path, ask_ledger
):
    sandbox = await make_sandbox()
    source = write_records(1000)
    assert (await bring(sandbox, source, max_new=600)).created == 600
    lose(tmp_path)
    sandbox.journal.clear()
    summary = await rebuild(sandbox, source)
    assert (summary.created + summary.adopted, summary.pending, summary.exit_code) == (600, 400, 0)
    assert "400 records have no task" in summary.message
    assert sandbox.journal.count("list") == 10
    assert creates(sandbox) == 0
    done = await bring(sandbox, source)
    assert (done.created + done.adopted, done.pending, done.exit_code) == (1000, 0, 0)
    assert (creates(sandbox), sandbox.journal.count("create", 409)) == (400, 0)
    world = sandbox.store.world("live")
    assert world.count() == 1000
    for key, ref in ask_ledger("SELECT unique_id, task_id FROM rows"):
        assert world.by_unique_id(key)["task_id"] == ref


async def test_a_finished_job_is_finished_again(make_sandbox, bring, rebuild, write_records, tmp_path, ask_ledger):
    sandbox = await make_sandbox()
    source = write_records([letter(0), letter(0), "broken\n", letter(1, categories=["x"]), letter(1), letter(2)])
    before = await bring(sandbox, source)
    rows = ask_ledger("SELECT unique_id, task_id, file, line FROM job_records ORDER BY 3, 4")
    lose(tmp_path)
    summary = await rebuild(sandbox, source)
    counted = ("read", "created", "adopted", "conflicts", "failed", "invalid", "pending", "duplicates")
    assert [getattr(summary, name) for name in counted] == [getattr(before, name) for name in counted]
    assert ask_ledger("SELECT unique_id, task_id, file, line FROM job_records ORDER BY 3, 4") == rows
    seen = creates(sandbox)
    again = await bring(sandbox, source)
    assert again.message.startswith("nothing to send: the job is finished")
    assert creates(sandbox) == seen


async def test_tasks_older_than_a_minute_count_as_adopted(make_sandbox, bring, rebuild, write_records, tmp_path):
    clock = Clock()
    clock.offset_ms = -300_000
    sandbox = await make_sandbox(clock=clock)
    source = write_records(5)
    await bring(sandbox, source)
    clock.offset_ms = 0
    lose(tmp_path)
    assert (await rebuild(sandbox, source)).adopted == 5


async def test_different_and_dead_tasks_are_conflicts(
    make_sandbox, bring, rebuild, write_records, tmp_path, settings_for
):
    sandbox = await make_sandbox()
    source = write_records(10)
    await bring(sandbox, source)
    world = sandbox.store.world("live")
    ids = [world.by_unique_id(f"letter-0000{n}")["task_id"] for n in (1, 2)]
    await call(sandbox, "POST", f"/task/{ids[0]}/setMetadata", {"number": 77})
    await call(sandbox, "POST", f"/task/{ids[1]}/cancel")
    lose(tmp_path)
    summary = await rebuild(sandbox, source)
    assert (summary.created, summary.conflicts, summary.exit_code) == (8, 2, 1)
    examples = [group.examples[0] for group in await list_failures(settings_for(sandbox).ledger, None, None)]
    assert {example["task_id"] for example in examples} == set(ids)
    done = await bring(sandbox, source, reclaim=frozenset({"canceled"}))
    assert (done.created, done.conflicts) == (9, 1)


async def test_different_tasks_are_adopted_when_asked(make_sandbox, rebuild, write_records):
    sandbox = await make_sandbox()
    await make_task(sandbox, letter(0, metadata={"number": 5}))
    summary = await rebuild(sandbox, write_records(2), on_conflict="adopt")
    assert (summary.adopted, summary.pending) == (1, 1)


async def test_a_ledger_that_holds_the_job_is_refused(make_sandbox, bring, rebuild, write_records, ask_ledger):
    sandbox = await make_sandbox()
    source = write_records(5)
    await bring(sandbox, source, job="j")
    runs = ask_ledger("SELECT count(*) FROM runs")
    sandbox.journal.clear()
    with pytest.raises(ConfigError, match="verify --fix") as refusal:
        await rebuild(sandbox, source, job="j")
    assert refusal.value.exit_code == 2
    with pytest.raises(NameBound):
        await rebuild(sandbox, source, job="j", batch="b")
    assert (sandbox.journal.count(), ask_ledger("SELECT count(*) FROM runs")) == (0, runs)


async def test_rows_of_another_job_are_shared(make_sandbox, bring, rebuild, write_records, ask_ledger):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(5, "a.jsonl"), job="a")
    summary = await rebuild(sandbox, write_records(9, "b.jsonl"), job="b")
    assert (summary.created, summary.pending) == (5, 4)
    assert ask_ledger("SELECT count(*) FROM other_records WHERE state='shared'") == [(5,)]


async def test_a_rebuild_that_broke_off_is_carried_on(
    make_sandbox, bring, rebuild, write_records, tmp_path, ask_ledger
):
    sandbox = await make_sandbox()
    source = write_records(900)
    await bring(sandbox, source)
    lose(tmp_path)
    sandbox.faults.replace([FaultRule(kind="hang", on="list", at=(3,))])
    with anyio.move_on_after(1.5) as waiting:
        await rebuild(sandbox, source)
    assert waiting.cancelled_caught
    assert ask_ledger("SELECT owner FROM jobs") == [(None,)]
    sandbox.faults.replace([])
    summary = await rebuild(sandbox, source)
    assert (summary.created, summary.pending) == (900, 0)
    with pytest.raises(ConfigError, match="already"):
        await rebuild(sandbox, source)


async def test_status_says_that_a_rebuild_stopped_and_what_to_run(
    make_sandbox, bring, rebuild, write_records, tmp_path, settings_for, notebook
):
    sandbox = await make_sandbox()
    source = write_records(300)
    await bring(sandbox, source)
    lose(tmp_path)
    sandbox.faults.replace([FaultRule(kind="error", on="list", status=403)])
    with pytest.raises(ScalesyncError) as refused:
        await rebuild(sandbox, source)
    sandbox.faults.replace([])
    settings = settings_for(sandbox)
    told = f"the rebuild did not come to its end: {refused.value}; run the same scalesync ledger rebuild again"
    (row,) = await job_status(settings.ledger, None)
    assert (row.state, row.last, row.message) == ("unfinished", "stopped early", told)
    (row,) = await refreshed_status(settings, None, notebook, limits=FAST)
    assert (row.state, row.last, row.message) == ("unfinished", "stopped early", told)
    (stop,) = await stopped_jobs(settings.ledger, None)
    assert stop.message == told
    await rebuild(sandbox, source)
    (row,) = await job_status(settings.ledger, None)
    assert (row.state, row.last, row.message) == ("finished", "done", "")


async def test_status_says_that_a_rebuild_was_cut_off(make_sandbox, rebuild, write_records, settings_for):
    sandbox = await make_sandbox([FaultRule(kind="hang", on="list", at=(2,))])
    with anyio.move_on_after(1.5) as waiting:
        await rebuild(sandbox, write_records(300))
    assert waiting.cancelled_caught
    (row,) = await job_status(settings_for(sandbox).ledger, None)
    told = "the rebuild did not come to its end; run the same scalesync ledger rebuild again"
    assert (row.last, row.message) == ("stopped early", told)


async def test_status_says_that_a_rebuilt_job_has_records_to_send(
    make_sandbox, bring, rebuild, write_records, tmp_path, settings_for
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(5), max_new=3)
    lose(tmp_path)
    summary = await rebuild(sandbox, tmp_path / "letters.jsonl")
    (row,) = await job_status(settings_for(sandbox).ledger, None)
    assert (row.state, row.last, row.message) == ("unfinished", "done", summary.message)
    assert "2 records have no task" in row.message


async def test_records_without_an_answer_are_looked_up_by_the_import(
    make_sandbox, bring, rebuild, write_records, tmp_path
):
    sandbox = await make_sandbox()
    source = write_records(5)
    await bring(sandbox, source)
    lose(tmp_path)
    # The first look at the project works; every look-up is refused.
    sandbox.faults.replace([FaultRule(kind="error", on="list", status=400)])
    assert (await rebuild(sandbox, source)).pending == 5
    sandbox.faults.replace([])
    sandbox.journal.clear()
    assert (await bring(sandbox, source)).created == 5
    assert creates(sandbox) == 0


async def test_faults_on_the_way_change_nothing(make_sandbox, bring, rebuild, write_records, tmp_path):
    sandbox = await make_sandbox()
    source = write_records(800)
    await bring(sandbox, source)
    lose(tmp_path)
    sandbox.faults.replace(
        [
            FaultRule(kind="error", on="list|project", status=500, share=0.3),
            FaultRule(kind="cut", on="list", share=0.1),
            FaultRule(kind="error", on="list", status=429, share=0.1, retry_after=0),
        ]
    )
    assert (await rebuild(sandbox, source)).created == 800


async def test_an_instruction_of_the_project_is_no_difference(make_sandbox, bring, rebuild, write_records, tmp_path):
    sandbox = await make_sandbox()
    sandbox.store.world("live").add_project("told", KIND, {"instruction": "All letters are sorted by mood."})
    source = write_records([letter(n, instruction="Read it twice.") for n in range(5)])
    await bring(sandbox, source, project="told")
    lose(tmp_path)
    assert (await rebuild(sandbox, source, project="told")).created == 5


async def test_the_rebuilt_job_can_be_retried_with_its_template(
    make_sandbox, rebuild, write_records, settings_for, notebook
):
    sandbox = await make_sandbox()
    rows = [{"who": f"r{n}", "attachment": "a", "attachment_type": "text"} for n in range(3)]
    shape = {"task": {"categories": ["{who}", "other"]}, "keep": ["attachment", "attachment_type"]}
    summary = await rebuild(sandbox, write_records(rows), job="shaped", template=shape, unique_id="id-{who}")
    assert summary.pending == 3
    done = await run_retry(RetryOptions(job="shaped"), settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert done.created == 3
    assert sandbox.store.world("live").by_unique_id("id-r1")["params"]["categories"] == ["r1", "other"]


async def test_a_conflict_stops_it_when_asked(make_sandbox, rebuild, write_records):
    sandbox = await make_sandbox()
    await make_task(sandbox, letter(0, metadata={"number": 5}))
    with pytest.raises(StopRun, match="letter-00000"):
        await rebuild(sandbox, write_records(2), on_conflict="stop")


async def test_a_project_that_does_not_exist_is_found_out_first(make_sandbox, rebuild, write_records, ask_ledger):
    sandbox = await make_sandbox()
    with pytest.raises(ConfigError, match="no project"):
        await rebuild(sandbox, write_records(2), project="nowhere")
    assert ask_ledger("SELECT count(*) FROM jobs") == [(0,)]
