"""Commands that look tasks up, against a server that answers look-ups in pages shorter than asked for."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from scalesync.flows.jobs.rebuild import run_rebuild
from scalesync.flows.jobs.refresh import refreshed_status
from scalesync.flows.jobs.status import list_failures
from scalesync.flows.runtime.bulk_lookup import TRIES
from scalesync.flows.runtime.options import ImportOptions
from scalesync.flows.verify.run import run_verify
from scalesync.platforms.scale.lists import ScaleLists
from scalesync.ports.platform import ListPage
from scalesync.sandbox import FaultRule
from tests.conftest import FAST, KIND, PROJECT
from tests.flows.conftest import HASTY, creates

RECORDS = 200


@pytest.mark.parametrize("most", [1, 37])
async def test_status_rebuild_and_verify_see_every_task(
    most, make_sandbox, bring, write_records, settings_for, notebook, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    sandbox = await make_sandbox(page_most=most)
    source = write_records(RECORDS)
    await bring(sandbox, source)
    settings = settings_for(sandbox)
    (status,) = await refreshed_status(settings, None, notebook, limits=FAST)
    assert status.tasks == {"pending": RECORDS}
    assert (await run_verify(settings, None, None, notebook, limits=FAST)).findings == {}
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    asked = ImportOptions(sources=(str(source),), type=KIND, project=PROJECT)
    rebuilt = await run_rebuild(asked, settings, notebook, limits=FAST)
    assert (rebuilt.created + rebuilt.adopted, rebuilt.pending, rebuilt.exit_code) == (RECORDS, 0, 0)
    sandbox.journal.clear()
    assert (await bring(sandbox, source)).pending == 0
    assert creates(sandbox) == 0


async def test_records_in_doubt_are_not_sent_again_for_being_on_a_later_page(
    make_sandbox, bring, write_records, ask_ledger
):
    sandbox = await make_sandbox([FaultRule(kind="reset", on="create", after_write=True)], page_most=5)
    summary = await bring(sandbox, write_records(30))
    assert (summary.created, summary.exit_code) == (30, 0)
    assert sandbox.journal.count("create", 409) == 0


async def test_a_canary_finds_its_tasks_on_later_pages(make_sandbox, bring, write_records, settings_for):
    sandbox = await make_sandbox(page_most=3)
    options: dict[str, Any] = {"canary": 20, "canary_wait": 0}
    summary = await bring(sandbox, write_records(40), **options)
    assert (summary.created, summary.exit_code) == (40, 0)
    assert await list_failures(settings_for(sandbox).ledger, None, None) == []


async def test_a_look_up_without_an_end_stops_the_run_in_words_and_sends_nothing_twice(
    make_sandbox, bring, write_records, ask_ledger, monkeypatch
):
    sandbox = await make_sandbox([FaultRule(kind="reset", on="create", after_write=True)])
    honest = ScaleLists.list

    async def endless(self: ScaleLists, query: Any, op: str) -> ListPage:
        found = await honest(self, [pair for pair in query if pair[0] != "next_token"], op)
        return ListPage([], "on", found.total) if op == "look up unique_ids" else found

    monkeypatch.setattr(ScaleLists, "list", endless)
    stopped = await bring(sandbox, write_records(20), limits=HASTY)
    assert (stopped.exit_code, stopped.pending) == (3, 20)
    assert "the look-up gave no trustworthy answer" in stopped.message
    assert ask_ledger("SELECT count(*) FROM rows WHERE state NOT IN ('sending', 'pending')") == [(0,)]
    monkeypatch.undo()
    sandbox.faults.replace([])
    assert (await bring(sandbox, write_records(20))).created == 20
    assert (creates(sandbox), sandbox.journal.count("create", 409)) == (20, 0)


async def test_a_run_that_only_looks_up_ends_too_where_no_answer_tells_anything(
    make_sandbox, bring, write_records, ask_ledger, monkeypatch
):
    sandbox = await make_sandbox([FaultRule(kind="reset", on="create", after_write=True)])
    honest = ScaleLists.list

    async def silent(self: ScaleLists, query: Any, op: str) -> ListPage:
        found = await honest(self, [pair for pair in query if pair[0] != "next_token"], op)
        return ListPage([], "on", found.total) if op == "look up unique_ids" else found

    monkeypatch.setattr(ScaleLists, "list", silent)
    source = write_records(20)
    await bring(sandbox, source, limits=HASTY)
    sandbox.faults.replace([])
    ((doubtful,),) = ask_ledger("SELECT count(*) FROM rows WHERE state='sending'")
    with anyio.fail_after(20):
        again = await bring(sandbox, source, limits=HASTY)
    assert (again.exit_code, again.pending, again.created) == (3, doubtful, 20 - doubtful)
    assert "nothing got through for 1 s (last: the look-up gave no trustworthy answer)" in again.message
    monkeypatch.undo()
    assert (await bring(sandbox, source)).created == 20


async def test_a_rebuild_leaves_in_doubt_what_a_list_without_an_end_did_not_show(
    make_sandbox, bring, write_records, settings_for, notebook, ask_ledger, tmp_path, monkeypatch
):
    sandbox = await make_sandbox(page_most=7)
    source = write_records(30)
    await bring(sandbox, source)
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    honest = ScaleLists.list

    async def first_page_for_ever(self: ScaleLists, query: Any, op: str) -> ListPage:
        found = await honest(self, [pair for pair in query if pair[0] != "next_token"], op)
        return ListPage(found.documents, "on", found.total) if op == "look up unique_ids" else found

    monkeypatch.setattr(ScaleLists, "list", first_page_for_ever)
    asked = ImportOptions(sources=(str(source),), type=KIND, project=PROJECT)
    rebuilt = await run_rebuild(asked, settings_for(sandbox), notebook, limits=FAST)
    shown = 7 * TRIES  # each look-up asks for what the one before it did not show
    assert (rebuilt.created + rebuilt.adopted, rebuilt.pending) == (shown, 30 - shown)
    assert ask_ledger("SELECT count(*) FROM rows WHERE state='sending'") == [(30 - shown,)]
    monkeypatch.undo()
    sandbox.journal.clear()
    assert (await bring(sandbox, source)).pending == 0
    assert creates(sandbox) == 0
