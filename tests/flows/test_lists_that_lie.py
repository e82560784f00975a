"""Commands that look tasks up or list them, against lists that leave tasks out or show those of another question."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from scalesync.flows.exports.run import run_export
from scalesync.flows.jobs.rebuild import run_rebuild
from scalesync.flows.jobs.refresh import refreshed_status
from scalesync.flows.runtime.options import ExportOptions, ImportOptions
from scalesync.sandbox import FaultRule, Sandbox
from tests.conftest import FAST, KIND, PROJECT, letter
from tests.faults.kill_increments import held_in
from tests.flows.conftest import HASTY, creates
from tests.flows.test_import_conflicts import Clock, make_task
from tests.flows.test_verify import change_ledger, lines

RECORDS = 12
LEFT_OUT = FaultRule(kind="gap", pages=(1,), count=2)  # `total` counts them all the same


@pytest.fixture
async def sandbox(make_sandbox: Any, bring: Any, write_records: Any) -> Sandbox:
    """A server with a task for each record, and two of another project."""
    made: Sandbox = await make_sandbox()
    await bring(made, write_records(RECORDS))
    made.store.world("live").add_project("others", KIND)
    for number in (90, 91):
        await make_task(made, letter(number, project="others"))
    return made


def kinds(summary: Any) -> list[str]:
    return sorted({line["kind"] for line in lines(summary)})


async def test_a_rebuild_leaves_in_doubt_what_a_list_left_out(
    sandbox, bring, write_records, settings_for, notebook, ask_ledger, tmp_path
):
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    sandbox.faults.replace([FaultRule(kind="gap", pages=(1,), count=RECORDS)])
    asked = ImportOptions(sources=(str(write_records(RECORDS)),), type=KIND, project=PROJECT)
    rebuilt = await run_rebuild(asked, settings_for(sandbox), notebook, limits=FAST)
    assert (rebuilt.pending, rebuilt.created + rebuilt.adopted) == (RECORDS, 0)
    assert ask_ledger("SELECT DISTINCT state FROM rows") == [("sending",)]
    sandbox.faults.replace([])
    sandbox.journal.clear()
    assert (await bring(sandbox, write_records(RECORDS))).exit_code == 0
    assert creates(sandbox) == 0


async def test_a_task_that_a_list_left_out_is_not_reported_as_missing(sandbox, settings_for, notebook):
    sandbox.faults.replace([FaultRule(kind="gap", pages=(1,), count=RECORDS)])
    (status,) = await refreshed_status(settings_for(sandbox), None, notebook, limits=FAST)
    assert status.tasks == {"unclear": RECORDS}


async def test_verify_does_not_say_of_a_record_that_it_has_no_task_where_a_list_left_it_out(
    sandbox, verify, repair, tmp_path
):
    change_ledger(tmp_path, "DELETE FROM rows WHERE line<=2")
    sandbox.faults.replace([FaultRule(kind="gap", pages=(1,), count=RECORDS)])
    lied_to = await verify(sandbox)
    assert (kinds(lied_to), lied_to.fixes, lied_to.exit_code) == (["unclear"], {}, 1)
    assert (lied_to.with_task, lied_to.without) == (RECORDS - 2, {"unclear": 2})  # the others are read by their ids
    sandbox.faults.replace([])
    honest = await verify(sandbox)
    assert honest.findings == {"not_in_ledger": 2}
    sandbox.journal.clear()
    assert (await repair(sandbox, honest)).exit_code == 0
    assert creates(sandbox) == 0


@pytest.mark.parametrize("rule", [LEFT_OUT, FaultRule(kind="total", by=3)], ids=["gap", "total"])
async def test_a_list_of_the_project_that_shows_fewer_tasks_than_it_counts_is_reported(rule, sandbox, verify):
    await make_task(sandbox, letter(80))
    await make_task(sandbox, letter(81))
    sandbox.faults.replace([rule])
    summary = await verify(sandbox, unexpected=True)
    assert "unclear" in summary.findings
    told = [line["detail"] for line in lines(summary) if "the list of project" in line["detail"]]
    shown = RECORDS + 2 - (2 if rule is LEFT_OUT else 0)
    counted = RECORDS + 2 + (0 if rule is LEFT_OUT else 3)
    assert told == [f"the list of project 'letters' shows {shown} tasks and counts {counted}, even when asked 3 times"]


async def test_a_list_of_the_project_that_left_a_task_out_once_is_read_again(sandbox, verify):
    await make_task(sandbox, letter(80))
    sandbox.faults.replace([FaultRule(kind="gap", pages=(1,), at=(1,))])  # the first list is that of the look-up
    summary = await verify(sandbox, unexpected=True)
    assert (summary.findings, summary.listed, summary.others) == ({"unexpected": 1}, RECORDS + 1, 1)


@pytest.mark.parametrize("times", [1, None])
async def test_tasks_of_another_project_are_not_reported_as_tasks_of_this_one(times, sandbox, verify, notebook):
    sandbox.faults.replace([FaultRule(kind="foreign", at=(1,) if times else None)])
    summary = await verify(sandbox, unexpected=True)
    assert "unexpected" not in summary.findings
    assert (summary.exit_code, summary.others) == (0 if times else 1, 0)
    assert any("a task of project 'others', not 'letters'" in note for note in notebook.notes)


async def test_a_record_that_left_the_source_is_not_forgotten_for_a_list_that_left_its_task_out(
    make_sandbox, bring, write_records, ask_ledger
):
    sandbox = await make_sandbox(
        [FaultRule(kind="reset", on="create", after_write=True), FaultRule(kind="hang", on="list")]
    )
    stopped = await bring(sandbox, write_records(4), limits=HASTY)
    assert (stopped.exit_code, stopped.pending) == (3, 4)
    sandbox.faults.replace([FaultRule(kind="gap", pages=(1,), count=4)])
    lied_to = await bring(sandbox, write_records(0))
    assert (lied_to.exit_code, lied_to.pending) == (3, 4)
    sandbox.faults.replace([])
    told = await bring(sandbox, write_records(0))
    assert (told.created, told.pending, told.exit_code) == (4, 0, 0)


async def test_an_increment_asks_again_for_a_page_of_tasks_that_did_not_change(
    make_sandbox, settings_for, notebook, tmp_path: Path
):
    clock = Clock()
    sandbox = await make_sandbox(clock=clock)
    await _made(sandbox, clock, range(5))
    options = ExportOptions(out=tmp_path / "out", project=PROJECT, incremental=True)
    settings = settings_for(sandbox, concurrency=1)
    await run_export(options, settings, notebook, signals=False)
    await _made(sandbox, clock, range(5, 10))
    sandbox.faults.replace([FaultRule(kind="foreign", times=2)])  # five other tasks, which are as many
    summary = await run_export(options, settings, notebook, signals=False)
    assert (summary.tasks, summary.exit_code) == (5, 0)
    assert len(held_in(tmp_path / "out").newest) == 10
    assert any("a task updated last at" in note for note in notebook.notes)


async def _made(sandbox: Sandbox, clock: Clock, numbers: Sequence[int]) -> None:
    for number in numbers:
        await make_task(sandbox, letter(number, project=PROJECT))
    clock.offset_ms += 3_600_000  # beyond the overlap
