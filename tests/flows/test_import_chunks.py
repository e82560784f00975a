"""Imports where several records go in one request, and the server is taken for one that does not refuse a second task.

The sandbox's Scale does refuse it: what it is asked, and what the ledger holds, tell whether the rules were kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest

from scalesync.engine import resolver
from scalesync.errors import JobRunning
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.model.jobs import JobSpec
from scalesync.model.outcomes import LookupResult, Outcome
from scalesync.model.records import Outgoing
from scalesync.platforms.scale.tasks import ScaleTasks
from scalesync.ports.operation import Repeat
from scalesync.sandbox import FaultRule, Sandbox
from tests.conftest import FAST, letter

LANDING_S = 0.4
FALSE_500 = FaultRule(kind="error", on="create", at=(3, 17, 30), status=500, after_write=True)
TRUE_500 = FaultRule(kind="error", on="create", at=(5, 40), status=500)


@pytest.fixture(autouse=True)
def chunks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Scale's creator with the rules of another one; holds the sizes of the requests that were asked for."""
    sizes: list[int] = []
    send = ScaleTasks.send

    async def counted(self: ScaleTasks, records: Sequence[Outgoing]) -> Sequence[Outcome]:
        sizes.append(len(records))
        return await send(self, records)

    monkeypatch.setattr(ScaleTasks, "most", 7)
    monkeypatch.setattr(ScaleTasks, "repeat", Repeat.COMPARE_FIRST)
    monkeypatch.setattr(ScaleTasks, "landing_s", LANDING_S)
    monkeypatch.setattr(ScaleTasks, "send", counted)
    monkeypatch.setattr(resolver, "APART_S", 0.05)
    return sizes


def keys(sandbox: Sandbox) -> list[Any]:
    return [task["unique_id"] for task in sandbox.store.world("live").documents()]


async def test_records_go_in_chunks_and_nothing_is_left_in_the_ledger(
    make_sandbox, bring, write_records, ask_ledger, chunks
):
    sandbox = await make_sandbox()
    summary = await bring(sandbox, write_records(100))
    assert (summary.created, summary.exit_code, len(keys(sandbox))) == (100, 0, 100)
    assert max(chunks) == 7
    assert len(chunks) < 30
    assert ask_ledger("SELECT count(*) FROM chunks") == [(0,)]


async def test_what_got_no_answer_waits_for_the_window_and_ends_as_one_task_each(
    make_sandbox, bring, write_records, ask_ledger, notebook
):
    sandbox = await make_sandbox([FALSE_500, TRUE_500])
    summary = await bring(sandbox, write_records(60))
    assert (summary.created, summary.exit_code) == (60, 0)
    assert len(keys(sandbox)) == len(set(keys(sandbox))) == 60
    assert summary.seconds >= LANDING_S
    assert sandbox.journal.count("create") == 62, "the two that were not made were sent again, and no other"
    assert ask_ledger("SELECT count(*) FROM chunks") == [(0,)]


async def test_a_run_that_is_stopped_in_the_window_is_carried_on(
    make_sandbox, bring, write_records, ask_ledger, monkeypatch
):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", at=(3, 8), status=500)])
    source = write_records(20)
    monkeypatch.setattr(ScaleTasks, "landing_s", 3600.0)
    async with anyio.create_task_group() as group:
        group.start_soon(bring, sandbox, source)
        while sandbox.journal.count("create") < 20 or not sandbox.journal.count("list"):
            await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    ((left,),) = ask_ledger("SELECT count(*) FROM rows WHERE state='sending'")
    ((kept,),) = ask_ledger("SELECT count(*) FROM chunks, json_each(keys) k, rows r WHERE r.unique_id=k.value")
    assert 0 < left <= kept
    monkeypatch.setattr(ScaleTasks, "landing_s", LANDING_S)
    summary = await bring(sandbox, source)
    assert (summary.created, summary.exit_code) == (20, 0)
    assert len(keys(sandbox)) == len(set(keys(sandbox))) == 20


@pytest.mark.parametrize(("bounds", "sent"), [({"canary": 5}, 30), ({"max_new": 12}, 12), ({"limit": 12}, 12)], ids=str)
async def test_bounds_count_records(make_sandbox, bring, write_records, bounds, sent):
    sandbox = await make_sandbox([FALSE_500])
    first = await bring(sandbox, write_records(30), **bounds)
    assert (first.created, len(keys(sandbox))) == (sent, sent)
    last = await bring(sandbox, write_records(30))
    assert (last.created, last.exit_code, len(set(keys(sandbox)))) == (30, 0, 30)


async def test_refused_records_fail_alone(make_sandbox, bring, write_records, chunks):
    sandbox = await make_sandbox()
    bad = [letter(number) | ({"attachment": None} if number in {3, 11} else {}) for number in range(20)]
    summary = await bring(sandbox, write_records(bad))
    assert (summary.created, summary.failed, summary.exit_code) == (18, 2, 1)
    assert max(chunks) == 7


async def test_only_one_import_of_the_target_runs(make_sandbox, bring, write_records, settings_for):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(3), job="one")
    settings = settings_for(sandbox)
    ledger = open_ledger(settings.ledger, note=lambda text: None)
    try:
        found = await ledger.find_job(settings.target, "one")
        held = await ledger.open_import(JobSpec("one", found.command, found.target, found.identity, found.settings))
        with pytest.raises(JobRunning, match="job one is running on the same target"):
            await bring(sandbox, write_records(5, "other.jsonl"), job="two")
        await held.finish(complete=True, exit_code=0, figures={})
    finally:
        ledger.close()
    assert (await bring(sandbox, write_records(5, "other.jsonl"), job="two", limits=FAST)).exit_code == 0


async def test_a_dry_run_sends_nothing_and_keeps_no_request(make_sandbox, bring, write_records, chunks):
    sandbox = await make_sandbox()
    summary = await bring(sandbox, write_records(10), dry_run=True)
    assert (summary.pending, keys(sandbox), chunks) == (10, [], [])


async def test_a_task_that_appears_after_the_window_is_reported_at_the_end(
    make_sandbox, bring, write_records, ask_ledger, notebook, monkeypatch
):
    sandbox = await make_sandbox([TRUE_500])
    look_up = ScaleTasks.look_up

    async def twice(self: ScaleTasks, asked: Sequence[str], *more: Any, **how: Any) -> Mapping[str, LookupResult]:
        """Whatever there is, there is another one."""
        found = await look_up(self, asked, *more, **how)
        return {key: replace(one, others=("late",)) if one.task else one for key, one in found.items()}

    monkeypatch.setattr(ScaleTasks, "look_up", twice)
    summary = await bring(sandbox, write_records(60))
    assert (summary.created, summary.exit_code) == (60, 1)
    assert summary.message == "2 records with several tasks: scalesync verify names them"
    assert sum("2 records have several tasks" in note for note in notebook.notes) == 1
    told = ask_ledger("SELECT json_extract(detail, '$.tasks[1]') FROM events WHERE event='several tasks'")
    assert told == [("late",), ("late",)]
