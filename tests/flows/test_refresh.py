"""After the 200: tasks that turn to `error` are found, told in the server's words, and sent again; canaries wait."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import anyio
import pytest

from scalesync.errors import ConfigError, ScalesyncError
from scalesync.flows.jobs.refresh import STATELESS, UNCLEAR, _status, refreshed_status
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.jobs.status import job_status, list_failures, stopped_jobs
from scalesync.flows.runtime.options import RetryOptions
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.ledger.states import turn
from scalesync.model.jobs import JobSpec
from scalesync.model.outcomes import LookupResult, Presence
from scalesync.model.rows import RowState
from scalesync.platforms.scale.task_errors import error_of
from scalesync.platforms.simple import SimpleView
from scalesync.sandbox import FaultRule
from tests.conftest import FAST, letter
from tests.flows.conftest import adds_up, creates
from tests.flows.test_import_conflicts import Clock, call

SECRET = "s3cr3t-signature"


def picture(number: int, host: str = "img.test", **more: Any) -> dict[str, Any]:
    """A record whose attachment is fetched after the 200."""
    url = f"https://{host}/{number}.png?X-Amz-Signature={SECRET}"
    return letter(number, attachment=url, attachment_type="image", **more)


def pictures(count: int, gone: set[int]) -> list[dict[str, Any]]:
    return [picture(n, "gone.test" if n in gone else "img.test") for n in range(count)]


@pytest.fixture
def refresh(settings_for, notebook) -> Callable[..., Any]:
    """refresh(sandbox, job=None): tasks by status of the one job."""

    async def ask(sandbox, job=None):
        (row,) = await refreshed_status(settings_for(sandbox), job, notebook, limits=FAST)
        return row.tasks

    return ask


@pytest.fixture
def reclaim(settings_for, notebook) -> Callable[..., Any]:
    """reclaim(sandbox): retry --errored."""

    async def retry(sandbox, job=None):
        summary = await run_retry(
            RetryOptions(job=job, errored=True), settings_for(sandbox), notebook, limits=FAST, signals=False
        )
        assert adds_up(summary)
        return summary

    return retry


async def broken(make_sandbox, bring, write_records, gone: set[int], count: int = 12, **switches: Any):
    """A sandbox with an import of which some tasks died on their attachments, a second after the 200."""
    clock = Clock()
    sandbox = await make_sandbox(clock=clock, bad_attachments=r"gone\.test", **switches)
    source = write_records(pictures(count, gone))
    assert (await bring(sandbox, source)).exit_code == 0
    clock.offset_ms += 2000
    return sandbox, source


async def test_tasks_that_turned_to_error_are_found_and_reported_in_the_servers_words(
    make_sandbox, bring, write_records, refresh, settings_for, ask_ledger, tmp_path
):
    sandbox, source = await broken(make_sandbox, bring, write_records, {2, 5})
    sandbox.annotate(4)
    done = sandbox.store.world("live").count("completed")
    assert await refresh(sandbox) == {"completed": done, "error": 2, "pending": 10 - done}
    (group,) = await list_failures(settings_for(sandbox).ledger, None, None)
    assert (group.count, group.state, group.status) == (2, "conflict", 403)
    (first, second) = group.examples
    told = "the task turned to error: One or more attachments could not be downloaded. (gone.test answered 403)"
    assert first["reason"] == second["reason"] == told
    assert {(example["file"], example["line"]) for example in group.examples} == {(str(source), 3), (str(source), 6)}
    assert first["task_id"]
    assert SECRET not in json.dumps(group.examples)
    events = ask_ledger("SELECT unique_id FROM events WHERE event='task turned to error' ORDER BY 1")
    assert events == [("letter-00002",), ("letter-00005",)]
    assert all(SECRET.encode() not in path.read_bytes() for path in tmp_path.glob("ledger.db*"))


async def test_a_second_look_writes_nothing_and_the_import_after_it_is_not_done(
    make_sandbox, bring, write_records, refresh, ask_ledger
):
    sandbox, source = await broken(make_sandbox, bring, write_records, {2})
    assert await refresh(sandbox) == await refresh(sandbox) == {"error": 1, "pending": 11}
    assert ask_ledger("SELECT count(*) FROM events WHERE event='task turned to error'") == [(1,)]
    seen = creates(sandbox)
    summary = await bring(sandbox, source)
    assert (summary.created, summary.conflicts, summary.exit_code) == (11, 1, 1)
    assert creates(sandbox) == seen


async def test_one_list_call_asks_for_a_hundred_tasks(make_sandbox, bring, write_records, refresh):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(950))
    sandbox.journal.clear()
    assert await refresh(sandbox) == {"pending": 950}
    assert sandbox.journal.count() == 10


async def test_errored_tasks_are_freed_and_sent_again_without_a_create_that_is_refused(
    make_sandbox, bring, write_records, refresh, reclaim, ask_ledger
):
    sandbox, source = await broken(make_sandbox, bring, write_records, {2, 5})
    dead = sandbox.store.world("live").by_unique_id("letter-00005")["task_id"] if await refresh(sandbox) else ""
    sandbox.engine.config = replace(sandbox.config, bad_attachments=None)
    sandbox.store.world("live").config = sandbox.engine.config
    sandbox.journal.clear()
    summary = await reclaim(sandbox)
    assert (summary.created, summary.conflicts, summary.exit_code) == (12, 0, 0)
    assert (creates(sandbox), sandbox.journal.count("create", 409)) == (2, 0)
    steps = [event for (event,) in ask_ledger("SELECT event FROM events WHERE unique_id='letter-00005' ORDER BY id")]
    assert steps == ["task turned to error", "reclaiming", "reclaimed"]
    assert ask_ledger("SELECT task_id FROM rows WHERE unique_id='letter-00005'") != [(dead,)]
    world = sandbox.store.world("live")
    assert world.by_unique_id("letter-00005")["status"] == "pending"
    assert "unique_id" not in world.get(dead)
    assert source.exists()


async def test_errored_finds_the_dead_tasks_by_itself(make_sandbox, bring, write_records, reclaim):
    sandbox, _ = await broken(make_sandbox, bring, write_records, {2, 5})
    again = await reclaim(sandbox)
    assert (again.created, creates(sandbox)) == (12, 14)


async def test_a_record_that_was_fixed_meanwhile_is_sent_in_its_new_form(
    make_sandbox, bring, write_records, reclaim, ask_ledger
):
    sandbox, _ = await broken(make_sandbox, bring, write_records, {2})
    source = write_records(pictures(12, set()))
    assert (await bring(sandbox, source)).conflicts == 1  # changed after creation, and nobody knows of the error yet
    summary = await reclaim(sandbox)
    assert (summary.created, summary.conflicts, summary.exit_code) == (12, 0, 0)
    task = sandbox.store.world("live").by_unique_id("letter-00002")
    assert task["params"]["attachment"].startswith("https://img.test/")


@pytest.mark.parametrize("freed", [False, True])
async def test_a_retry_killed_between_its_steps_is_carried_on(freed, make_sandbox, bring, write_records, reclaim):
    sandbox, _ = await broken(make_sandbox, bring, write_records, {2})
    source = write_records(pictures(12, set()))
    sandbox.faults.replace([FaultRule(kind="hang", on="mutate", after_write=freed)])
    with anyio.move_on_after(0.7) as killed:
        await reclaim(sandbox)
    assert killed.cancelled_caught
    sandbox.faults.replace([])
    if not freed:
        assert (await bring(sandbox, source)).conflicts == 1  # ids are freed by --errored only
    summary = await reclaim(sandbox)
    assert (summary.created, summary.exit_code) == (12, 0)
    assert sandbox.store.world("live").count("pending") == 12


async def test_nothing_in_error_sends_nothing(make_sandbox, bring, write_records, reclaim):
    sandbox, _ = await broken(make_sandbox, bring, write_records, set())
    summary = await reclaim(sandbox)
    assert (summary.exit_code, summary.message) == (0, "nothing to send: the job has no task in error")
    assert creates(sandbox) == 12


async def test_errored_goes_with_no_group(make_sandbox, bring, write_records, settings_for, notebook):
    sandbox, _ = await broken(make_sandbox, bring, write_records, set())
    with pytest.raises(ConfigError, match="--group"):
        await run_retry(RetryOptions(group="failed-400-abcdef", errored=True), settings_for(sandbox), notebook)


async def test_a_canceled_task_is_reported_and_left_to_reclaim(
    make_sandbox, bring, write_records, refresh, reclaim, settings_for
):
    sandbox, source = await broken(make_sandbox, bring, write_records, set())
    task = sandbox.store.world("live").by_unique_id("letter-00004")["task_id"]
    await call(sandbox, "POST", f"/task/{task}/cancel")
    assert await refresh(sandbox) == {"canceled": 1, "pending": 11}
    (group,) = await list_failures(settings_for(sandbox).ledger, None, None)
    assert group.message == "the task was canceled"
    assert (await reclaim(sandbox)).conflicts == 1
    summary = await bring(sandbox, source, reclaim=frozenset({"canceled"}))
    assert (summary.created, summary.exit_code) == (12, 0)


async def test_a_task_that_lives_again_is_what_it_was(make_sandbox, bring, write_records, refresh, ask_ledger):
    sandbox, _ = await broken(make_sandbox, bring, write_records, {3})
    assert (await refresh(sandbox))["error"] == 1
    world = sandbox.store.world("live")
    task = world.find(world.by_unique_id("letter-00003")["task_id"])
    world.move(task, "pending", world.now())
    assert await refresh(sandbox) == {"pending": 12}
    assert ask_ledger("SELECT DISTINCT state FROM rows") == [("created",)]


async def test_tasks_that_vanished_are_counted_as_missing(make_sandbox, bring, write_records, refresh):
    sandbox, _ = await broken(make_sandbox, bring, write_records, set())
    world = sandbox.store.world("live")
    world.remove(world.find(world.by_unique_id("letter-00001")["task_id"]))
    assert await refresh(sandbox) == {"missing": 1, "pending": 11}


async def test_records_shared_with_another_job_are_asked_for_too(
    make_sandbox, bring, write_records, settings_for, notebook
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(5, "a.jsonl"), job="a")
    await bring(sandbox, write_records(7, "b.jsonl"), job="b")
    rows = await refreshed_status(settings_for(sandbox), None, notebook, limits=FAST)
    assert {row.job: row.tasks for row in rows} == {"a": {"pending": 5}, "b": {"pending": 7}}


async def test_a_running_job_is_counted_and_its_ledger_left_alone(
    make_sandbox, bring, write_records, refresh, settings_for, notebook, ask_ledger
):
    sandbox, _ = await broken(make_sandbox, bring, write_records, {3})
    settings = settings_for(sandbox)
    ledger = SqliteLedger.open(settings.ledger, note=print)
    (name,) = [row.name for row in await ledger.jobs()]
    found = await ledger.find_job(settings.target, name)
    assert found is not None
    held = await ledger.open_import(JobSpec(name, found.command, found.target, found.identity, found.settings))
    assert await refresh(sandbox) == {"error": 1, "pending": 11}
    assert any("nothing is written" in note for note in notebook.notes)
    assert ask_ledger("SELECT count(*) FROM rows WHERE state='conflict'") == [(0,)]
    await held.finish(complete=True, exit_code=0, figures={})
    ledger.close()


async def test_an_unknown_job_is_a_wrong_name(make_sandbox, bring, write_records, refresh):
    sandbox, _ = await broken(make_sandbox, bring, write_records, set())
    with pytest.raises(ConfigError, match="no import job elsewhere"):
        await refresh(sandbox, "elsewhere")


async def test_faults_during_the_look_ups_change_nothing(make_sandbox, bring, write_records, refresh):
    sandbox, _ = await broken(make_sandbox, bring, write_records, {3}, count=300)
    sandbox.faults.replace(
        [
            FaultRule(kind="error", on="list", status=500, share=0.3),
            FaultRule(kind="reset", on="list", share=0.2, after_write=True),
        ]
    )
    assert await refresh(sandbox) == {"error": 1, "pending": 299}


# --- the server's words ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "words", "status"),
    [
        (
            {"error": "No.", "attachments": [{"statusCode": 404, "url": f"https://u:p@a.test/x?sig={SECRET}"}]},
            "No. (a.test answered 404)",
            404,
        ),
        (
            {"error": "No.", "attachments": [{"statusCode": 403, "url": f"s3://bucket/{n}"} for n in range(9)]},
            "No. (bucket answered 403)",
            403,
        ),
        (
            {"error": "No.", "attachments": [{"statusCode": 403, "url": f"https://h{n}.test/"} for n in range(5)]},
            "No. (h0.test answered 403, h1.test answered 403, h2.test answered 403, and 2 more)",
            403,
        ),
        (
            {
                "error": "No.",
                "frames": [
                    {
                        "frame": 10,
                        "message": "Invalid JSON",
                        "attachment": {"statusCode": 200, "url": "http://b.test/f"},
                    }
                ],
            },
            "No. (frame 10: Invalid JSON: b.test answered 200)",
            200,
        ),
        ({"error": f"cannot get https://c.test/p?key={SECRET} now"}, "cannot get https://c.test/... now", None),
        ({"error": "a\nb", "attachments": ["x", {"url": 7, "statusCode": True}, {}]}, "a b", None),
        ({"attachments": None}, "the server gives no reason", None),
        ("text", "the server gives no reason", None),
        (None, "the server gives no reason", None),
    ],
)
def test_the_servers_words_without_what_urls_carry(response, words, status):
    told = error_of({"status": "error", "response": response})
    assert (told.words, told.status) == (words, status)


@pytest.mark.parametrize("before", [RowState.CREATED, RowState.ADOPTED])
def test_a_task_dies_and_lives_again(before):
    dead, was = turn(before, None, dead=True)
    assert (dead, was) == (RowState.CONFLICT, before)
    assert turn(dead, was, dead=True) == (RowState.CONFLICT, before)
    assert turn(dead, was, dead=False) == (before, None)


# --- the canary ------------------------------------------------------------------------------------


async def test_a_canary_whose_attachments_fail_a_moment_later_stops_the_run(
    make_sandbox, bring, write_records, settings_for, ask_ledger
):
    sandbox = await make_sandbox(bad_attachments=r"gone\.test", attachment_check_s=0.4)
    source = write_records(pictures(300, {4}))
    summary = await bring(sandbox, source, canary=10, canary_wait=20.0)
    assert (summary.exit_code, summary.created, summary.conflicts, creates(sandbox)) == (3, 9, 1, 10)
    assert "1 of the first tasks died" in summary.message
    (group,) = await list_failures(settings_for(sandbox).ledger, None, None)
    assert (group.status, group.count) == (403, 1)
    mended = write_records(pictures(300, set()))
    summary = await bring(sandbox, mended, reclaim=frozenset({"error"}))
    assert (summary.exit_code, summary.created) == (0, 300)
    assert ask_ledger("SELECT count(*) FROM rows WHERE state='created'") == [(300,)]


async def test_a_canary_waits_as_long_as_it_was_asked_and_then_continues(make_sandbox, bring, write_records, notebook):
    sandbox = await make_sandbox()
    summary = await bring(sandbox, write_records(pictures(40, set())), canary=5, canary_wait=0.6)
    assert (summary.exit_code, summary.created) == (0, 40)
    kinds = [seen.kind for seen in sandbox.journal if seen.kind in {"create", "list"}]
    assert kinds[:6] == ["create"] * 5 + ["list"]
    assert 2 <= kinds.index("create", 6) - 5 <= 4  # looked several times, then sent the rest
    assert any("waiting at most 0.6 s" in note for note in notebook.notes)


async def test_a_canary_that_was_completed_waits_for_nothing(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    summary = await bring(sandbox, write_records(pictures(40, set())), canary=5, canary_wait=50.0, key="test_k")
    assert (summary.exit_code, summary.created) == (0, 40)


async def test_a_canary_that_no_list_shows_stops_the_run(make_sandbox, bring, write_records):
    sandbox = await make_sandbox([FaultRule(kind="lag", on="create", seconds=600.0)])
    summary = await bring(sandbox, write_records(40), canary=5, canary_wait=0.3)
    assert (summary.exit_code, creates(sandbox)) == (3, 5)
    assert "5 of the first records are not listed by the platform although it took them" in summary.message


async def test_a_canary_larger_than_a_block_is_watched_whole(make_sandbox, bring, write_records):
    sandbox = await make_sandbox(bad_attachments=r"gone\.test", attachment_check_s=0.1)
    summary = await bring(sandbox, write_records(pictures(900, {3})), canary=600, canary_wait=20.0)
    assert (summary.exit_code, creates(sandbox)) == (3, 600)


async def test_a_negative_wait_is_refused(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    with pytest.raises(ConfigError, match="--canary-wait"):
        await bring(sandbox, write_records(1), canary=1, canary_wait=-1.0)


# --- what status says of it ------------------------------------------------------------------------


async def test_a_job_whose_tasks_died_is_done_with_findings(make_sandbox, bring, write_records, refresh, settings_for):
    sandbox, _ = await broken(make_sandbox, bring, write_records, {2})
    (row,) = await job_status(settings_for(sandbox).ledger, None)
    assert (row.state, row.last) == ("finished", "done")
    await refresh(sandbox)
    (row,) = await job_status(settings_for(sandbox).ledger, None)
    assert (row.state, row.last, row.counts["conflicts"]) == ("finished", "done, with findings", 1)


async def test_runs_that_only_look_leave_how_the_job_ended(
    make_sandbox, bring, write_records, settings_for, notebook, refresh, verify, repair
):
    sandbox = await make_sandbox()
    summary = await bring(sandbox, write_records([*map(letter, range(6)), letter(0, categories=["x"])]), max_new=5)
    assert (summary.exit_code, summary.conflicts) == (3, 1)
    settings = settings_for(sandbox)

    async def ending() -> tuple[Any, ...]:
        (row,) = await job_status(settings.ledger, None)
        (stop,) = await stopped_jobs(settings.ledger, None)
        assert (stop.exit_code, stop.message) == (3, summary.message)
        return row.last, row.message, row.state, row.started_at, row.ended_at

    before = await ending()
    assert before[:3] == ("stopped early", summary.message, "unfinished")
    await refresh(sandbox)
    assert await ending() == before
    checked = await verify(sandbox)
    assert (checked.exit_code, await ending()) == (1, before)
    clash = next(line for line in checked.file.read_text().splitlines() if '"clash"' in line)
    checked.file.write_text(f"{clash}\n")
    assert (await repair(sandbox, checked)).sent is None
    assert await ending() == before


async def test_a_look_that_fails_leaves_how_the_job_ended(make_sandbox, bring, write_records, settings_for, refresh):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(3))
    sandbox.faults.replace([FaultRule(kind="error", on="list", status=403)])
    with pytest.raises(ScalesyncError):
        await refresh(sandbox)
    (row,) = await job_status(settings_for(sandbox).ledger, None)
    assert (row.state, row.last, row.message) == ("finished", "done", "")


async def test_a_job_of_which_only_figures_tell_its_own_runs(
    make_sandbox, bring, write_records, settings_for, refresh, tmp_path
):
    """Older versions wrote no sentences: a run that was killed, one that went on, a look."""
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([letter(0), letter(1, attachment_type="nonsense")]))
    killed = "INSERT INTO runs (id, job, epoch, owner, started_at) SELECT 0, job, epoch, owner, '' FROM runs"
    ledger = tmp_path / "ledger.db"
    with closing(sqlite3.connect(ledger, isolation_level=None)) as db:
        db.execute("UPDATE runs SET message=NULL")
        db.execute(killed)
    await refresh(sandbox)
    (row,) = await job_status(settings_for(sandbox).ledger, None)
    assert (row.last, row.message) == ("done, with findings", "")
    with closing(sqlite3.connect(ledger, isolation_level=None)) as db:
        db.execute("UPDATE runs SET exit_code=3 WHERE figures LIKE '%seconds%'")
    (row,) = await job_status(settings_for(sandbox).ledger, None)
    assert (row.last, row.message) == ("stopped early", "")


async def test_a_running_job_has_no_last_end(make_sandbox, bring, write_records, settings_for):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(3), job="j")
    settings = settings_for(sandbox)
    ledger = SqliteLedger.open(settings.ledger, note=print)
    found = await ledger.find_job(settings.target, "j")
    assert found is not None
    held = await ledger.open_import(JobSpec("j", found.command, found.target, found.identity, found.settings))
    (row,) = await job_status(settings.ledger, "j")
    assert (row.state, row.last, row.ended_at) == ("running", None, None)
    await held.finish(complete=True, exit_code=0, figures={})
    ledger.close()


def test_a_task_of_a_platform_without_statuses_is_not_unclear():
    assert _status(LookupResult(Presence.FOUND, {}, view=SimpleView("a", "a"))) == STATELESS
    assert _status(LookupResult(Presence.FOUND, {}, view=SimpleView("a", "a", status="new"))) == "new"
    assert _status(LookupResult(Presence.UNKNOWN)) == UNCLEAR
