"""A unique_id in use: created, adopted or a conflict, decided by what the task says and when it was made."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import anyio
import pytest

from scalesync.flows.jobs.status import list_failures
from scalesync.platforms.scale.adapter import ScalePlatform
from scalesync.sandbox import FaultRule, Sandbox
from tests.conftest import KIND, PROJECT, letter
from tests.flows.conftest import creates


class Clock:
    """The sandbox's clock, to be put back and forth. Milliseconds."""

    def __init__(self) -> None:
        self.offset_ms = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.offset_ms


async def make_task(sandbox: Sandbox, record: dict[str, Any], kind: str = KIND, project: str | None = PROJECT) -> str:
    """Somebody else's create call; returns the task_id."""
    body = record if project is None else {"project": project, **record}
    return str((await call(sandbox, "POST", f"/task/{kind}", body))["task_id"])


async def call(sandbox: Sandbox, method: str, path: str, body: Any = None) -> Any:
    def send() -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(
            sandbox.base_url + path, data, dict(ScalePlatform.credential("live_other").headers()), method=method
        )
        with urlopen(request, timeout=10) as reply:
            return json.load(reply)

    try:
        return await anyio.to_thread.run_sync(send)
    except HTTPError as error:
        raise AssertionError(error.read()) from None


async def old_sandbox(make_sandbox, records: list[dict[str, Any]], **switches: Any) -> tuple[Sandbox, list[str]]:
    """A sandbox that has had tasks for five minutes."""
    clock = Clock()
    clock.offset_ms = -300_000
    sandbox = await make_sandbox(clock=clock, **switches)
    ids = [await make_task(sandbox, record) for record in records]
    clock.offset_ms = 0
    sandbox.journal.clear()
    return sandbox, ids


async def test_equal_tasks_that_were_there_before_are_adopted(make_sandbox, bring, write_records, ask_ledger):
    sandbox, ids = await old_sandbox(make_sandbox, [letter(n) for n in range(3)])
    summary = await bring(sandbox, write_records(10))
    assert (summary.created, summary.adopted, summary.exit_code) == (7, 3, 0)
    assert sorted(ids) == sorted(x for (x,) in ask_ledger("SELECT task_id FROM rows WHERE state='adopted'"))


async def test_equality_is_by_value_and_not_by_spelling(make_sandbox, bring, write_records):
    theirs = letter(0, metadata={"b": 1.0, "a": [1, {"y": None, "x": True}]})
    ours = letter(0, metadata={"a": [1.0, {"x": True}], "b": 1})
    sandbox, _ = await old_sandbox(make_sandbox, [theirs])
    assert (await bring(sandbox, write_records([ours]))).adopted == 1


async def test_a_different_task_is_a_conflict_with_its_differences(make_sandbox, bring, write_records, settings_for):
    sandbox, ids = await old_sandbox(make_sandbox, [letter(0, metadata={"number": 99}, categories=["other"])])
    summary = await bring(sandbox, write_records(2))
    assert (summary.created, summary.conflicts, summary.exit_code) == (1, 1, 1)
    (group,) = await list_failures(settings_for(sandbox).ledger, None, None)
    example = group.examples[0]
    assert example["task_id"] == ids[0]
    assert example["differences"] == {
        "categories": {"record": ["kind", "angry"], "task": ["other"]},
        "metadata": {"record": {"number": 0}, "task": {"number": 99}},
    }
    assert sandbox.store.world("live").by_unique_id("letter-00000")["metadata"] == {"number": 99}


@pytest.mark.parametrize("difference", ["type", "project", "batch"])
async def test_a_task_of_another_type_project_or_batch_is_a_conflict(
    difference, make_sandbox, bring, write_records, settings_for
):
    sandbox = await make_sandbox()
    world = sandbox.store.world("live")
    world.add_project("others", KIND)
    world.add_batch(PROJECT, "theirs")
    world.add_batch(PROJECT, "ours")
    match difference:
        case "type":
            await make_task(sandbox, letter(0, fields={}), kind="datacollection", project=None)
        case "project":
            await make_task(sandbox, letter(0), project="others")
        case "batch":
            await make_task(sandbox, letter(0, batch="theirs"))
    summary = await bring(sandbox, write_records(1), batch="ours" if difference == "batch" else None)
    assert (summary.conflicts, summary.exit_code) == (1, 1)
    (group,) = await list_failures(settings_for(sandbox).ledger, None, None)
    assert difference in group.examples[0]["differences"]


async def test_canceled_and_errored_twins_are_conflicts(make_sandbox, bring, write_records, settings_for):
    sandbox, ids = await old_sandbox(
        make_sandbox,
        [letter(0), letter(1, attachment="https://x.test/gone.png", attachment_type="image")],
        bad_attachments="gone",
        attachment_check_s=0.0,
    )
    await call(sandbox, "POST", f"/task/{ids[0]}/cancel")
    rows = [letter(0), letter(1, attachment="https://x.test/gone.png", attachment_type="image"), letter(2)]
    assert (await call(sandbox, "GET", f"/task/{ids[1]}"))["status"] == "error"
    summary = await bring(sandbox, write_records(rows))
    assert (summary.created, summary.conflicts) == (1, 2)
    groups = await list_failures(settings_for(sandbox).ledger, None, None)
    assert {group.message for group in groups} == {
        "the task under this unique_id is canceled",
        "the task under this unique_id is in error: One or more attachments could not be downloaded. "
        "(x.test answered <n>)",
    }


async def test_adopt_takes_different_tasks_but_no_dead_ones(make_sandbox, bring, write_records):
    sandbox, ids = await old_sandbox(make_sandbox, [letter(0, metadata={}), letter(1)])
    await call(sandbox, "POST", f"/task/{ids[1]}/cancel")
    source = write_records(3)
    assert (await bring(sandbox, source)).conflicts == 2
    summary = await bring(sandbox, source, on_conflict="adopt")
    assert (summary.created, summary.adopted, summary.conflicts) == (1, 1, 1)


async def test_stop_ends_at_the_first_conflict_and_can_be_resumed(make_sandbox, bring, write_records):
    sandbox, _ = await old_sandbox(make_sandbox, [letter(0, metadata={})])
    source = write_records(5)
    summary = await bring(sandbox, source, on_conflict="stop")
    assert summary.exit_code == 3
    assert "letter-00000" in summary.message
    again = await bring(sandbox, source, on_conflict="stop")
    assert again.exit_code == 3
    reported = await bring(sandbox, source)
    assert (reported.created, reported.conflicts, reported.exit_code) == (4, 1, 1)


@pytest.mark.parametrize("trouble", ["", "lost answers", "429", "500"])
async def test_reclaim_frees_the_id_of_a_dead_task_with_both_steps_in_the_ledger(
    trouble, make_sandbox, bring, write_records, ask_ledger
):
    sandbox, ids = await old_sandbox(make_sandbox, [letter(0), letter(1)])
    await call(sandbox, "POST", f"/task/{ids[0]}/cancel")
    strikes = {
        "lost answers": FaultRule(kind="reset", on="mutate", at=(0,), after_write=True),
        "429": FaultRule(kind="error", on="mutate", at=(0, 1), status=429, retry_after=0),
        "500": FaultRule(kind="error", on="mutate", at=(0,), status=500),
    }
    sandbox.faults.replace([strikes[trouble]] if trouble else [])
    summary = await bring(sandbox, write_records(3), reclaim=frozenset({"canceled"}))
    assert (summary.created, summary.adopted, summary.conflicts, summary.exit_code) == (2, 1, 0, 0)
    world = sandbox.store.world("live")
    assert world.by_unique_id("letter-00000")["status"] == "pending"
    assert world.by_unique_id("letter-00000")["task_id"] != ids[0]
    assert "unique_id" not in world.get(ids[0])
    events = ask_ledger("SELECT event, detail FROM events WHERE unique_id='letter-00000' ORDER BY id")
    assert events[0][0] == "reclaiming"
    assert json.loads(events[0][1])["task_id"] == ids[0]
    assert events[-1][0] in {"reclaimed", "reclaim unclear"}


async def test_reclaim_takes_only_the_statuses_that_it_names(make_sandbox, bring, write_records):
    sandbox, ids = await old_sandbox(make_sandbox, [letter(0)])
    await call(sandbox, "POST", f"/task/{ids[0]}/cancel")
    summary = await bring(sandbox, write_records(1), reclaim=frozenset({"error"}))
    assert summary.conflicts == 1
    assert sandbox.store.world("live").get(ids[0])["unique_id"] == "letter-00000"


@pytest.mark.parametrize("freed", [False, True])
async def test_a_run_killed_between_the_steps_of_a_reclaim_is_carried_on(
    freed, make_sandbox, bring, write_records, ask_ledger, monkeypatch
):
    sandbox, ids = await old_sandbox(make_sandbox, [letter(0)])
    await call(sandbox, "POST", f"/task/{ids[0]}/cancel")
    # The announcement is in the ledger, the answer never comes: what a kill leaves behind.
    sandbox.faults.replace([FaultRule(kind="hang", on="mutate", after_write=freed)])
    with anyio.move_on_after(0.7):
        await bring(sandbox, write_records(1), reclaim=frozenset({"canceled"}))
    assert ask_ledger("SELECT state FROM rows") == [("sending",)]
    assert [event for (event,) in ask_ledger("SELECT event FROM events")] == ["reclaiming"]
    sandbox.faults.replace([])
    summary = await bring(sandbox, write_records(1), reclaim=frozenset({"canceled"}))
    assert (summary.created, summary.exit_code) == (1, 0)
    assert sandbox.store.world("live").count("pending") == 1


async def test_a_completed_twin_that_is_equal_is_adopted(make_sandbox, bring, write_records):
    sandbox, _ = await old_sandbox(make_sandbox, [letter(0)])
    sandbox.annotate()
    assert (await bring(sandbox, write_records(1))).adopted == 1


@pytest.mark.parametrize("where", ["option", "record", "batch"])
async def test_false_500s_on_the_first_requests_of_a_project_with_an_instruction_are_created(
    where, make_sandbox, bring, write_records
):
    """The server puts the project's instruction behind ours before any reply could teach it."""
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", status=500, after_write=True)])
    world = sandbox.store.world("live")
    world.add_project("told", KIND, {"instruction": "All letters are sorted by mood."})
    world.add_batch("told", "b")
    more = {"option": {}, "record": {"project": "told"}, "batch": {"batch": "b"}}[where]
    source = write_records([letter(n, instruction="Read it twice.", **more) for n in range(30)])
    summary = await bring(sandbox, source, project="told" if where == "option" else None)
    assert (summary.created, summary.conflicts, summary.exit_code) == (30, 0, 0)


async def test_a_twin_with_another_instruction_is_a_conflict_although_the_project_appends_its_own(
    make_sandbox, bring, write_records
):
    clock = Clock()
    clock.offset_ms = -300_000
    sandbox = await make_sandbox(clock=clock)
    sandbox.store.world("live").add_project("told", KIND, {"instruction": "All letters are sorted by mood."})
    await make_task(sandbox, letter(5, instruction="Something else."), project="told")
    await make_task(sandbox, letter(6, instruction="Read it twice."), project="told")
    clock.offset_ms = 0
    source = write_records([letter(n, instruction="Read it twice.") for n in range(10)])
    summary = await bring(sandbox, source, project="told")
    assert (summary.created, summary.adopted, summary.conflicts) == (8, 1, 1)


async def test_defaults_that_the_server_adds_are_no_differences(make_sandbox, bring, write_records):
    """allow_multiple, urgency, priority and more come back without having been sent."""
    sandbox = await make_sandbox([FaultRule(kind="reset", on="create", share=0.5, after_write=True)])
    summary = await bring(sandbox, write_records(50))
    assert (summary.created, summary.conflicts) == (50, 0)


async def test_fields_that_have_the_names_of_a_tasks_own_are_compared_where_they_are(
    make_sandbox, bring, write_records
):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", status=500, after_write=True)])
    rows = [letter(n, status="draft", response={"a": 1}, audits=[], callback_url=None, tags=None) for n in range(5)]
    summary = await bring(sandbox, write_records(rows))
    assert (summary.created, summary.conflicts) == (5, 0)


async def test_what_the_server_rewrites_is_learned_and_reported_as_not_comparable(
    make_sandbox, bring, write_records, ask_ledger
):
    """Tags are made distinct by the server: unequal to what was sent, and yet our task."""
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", at=(40,), status=500, after_write=True)])
    rows = [letter(n, tags=["a", "a"]) for n in range(41)]
    summary = await bring(sandbox, write_records(rows), settings={"concurrency": 1})
    assert (summary.created, summary.conflicts) == (41, 0)
    assert ask_ledger("SELECT topic, value FROM learned") == [("rewritten", "tags")]
    ((detail,),) = ask_ledger("SELECT detail FROM rows WHERE detail IS NOT NULL")
    assert json.loads(detail) == {"not_comparable": ["tags"]}


async def test_created_and_adopted_are_distinguished_by_the_time_of_the_intent(make_sandbox, bring, write_records):
    """The server's clock may be hours away from ours: only its own time counts."""
    clock = Clock()
    clock.offset_ms = -5 * 3_600_000
    sandbox = await make_sandbox(
        [FaultRule(kind="error", on="create", share=0.5, status=500, after_write=True)], clock=clock
    )
    sandbox.faults.replace([])
    await make_task(sandbox, letter(0))
    clock.offset_ms += 120_000
    sandbox.faults.replace([FaultRule(kind="error", on="create", share=0.5, status=500, after_write=True)])
    summary = await bring(sandbox, write_records(20))
    assert (summary.created, summary.adopted) == (19, 1)


async def test_unique_ids_that_are_hard_on_urls_and_messages_are_looked_up_whole(make_sandbox, bring, write_records):
    hard = [
        "a&b=c#d",
        "x+y z",
        "100%41",
        "(0123456789abcdef01234567)",
        'q"uote"',
        "ünï/cødé?",
        "back\\slash",
        "x" * 900,
        "a,b;c",
        "\u2028line",
        "😀",
        " lead",
        "[0]",
    ]
    sandbox = await make_sandbox(
        [FaultRule(kind="error", on="create", at=tuple(range(len(hard))), status=500, after_write=True)]
    )
    rows = [letter(n, unique_id=key) for n, key in enumerate(hard)]
    summary = await bring(sandbox, write_records(rows))
    assert (summary.created, summary.exit_code) == (len(hard), 0)
    assert sandbox.store.world("live").count() == len(hard) == creates(sandbox)


async def test_a_409_that_names_no_task_while_the_list_lags_is_settled_in_time(make_sandbox, bring, write_records):
    sandbox = await make_sandbox(
        [
            FaultRule(kind="reset", on="create", at=(0,), after_write=True),
            FaultRule(kind="lag", on="create", at=(0,), seconds=0.3),
            FaultRule(kind="error", on="create", at=(1, 2), status=409),
        ]
    )
    summary = await bring(sandbox, write_records(1))
    assert (summary.created, summary.exit_code) == (1, 0)
    assert creates(sandbox) < 15
