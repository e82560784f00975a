"""verify: each kind of difference between source, ledger and server, what it costs, and what --fix makes of it."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scalesync.errors import ConfigError, JobRunning, SourceError
from scalesync.flows.jobs.status import list_failures
from scalesync.flows.verify.run import default_file
from scalesync.flows.verify.summary import VerifySummary
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.model.jobs import JobSpec
from scalesync.sandbox import FaultRule, Sandbox
from tests.conftest import KIND, PROJECT, letter
from tests.flows.conftest import creates
from tests.flows.test_import_conflicts import Clock, call, make_task
from tests.flows.test_refresh import broken, picture, pictures


def lines(summary: VerifySummary) -> list[dict[str, Any]]:
    """The findings of the file, by kind and unique_id."""
    assert summary.file is not None
    found = [json.loads(line) for line in summary.file.read_text().splitlines()]
    assert Counter(line["kind"] for line in found) == summary.findings
    return sorted(found, key=lambda line: (line["kind"], line["unique_id"] or ""))


def world_of(sandbox: Sandbox):
    return sandbox.store.world("live")


def task_of(sandbox: Sandbox, number: int):
    world = world_of(sandbox)
    return world.find(world.by_unique_id(f"letter-{number:05d}")["task_id"])


def change_ledger(tmp_path: Path, sql: str, *values: Any) -> None:
    """What a person with sqlite3, or a backup that was put back, does to a ledger."""
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute(sql, values)
    db.close()


async def test_a_clean_job_leaves_no_file_and_no_finding(make_sandbox, bring, write_records, verify, tmp_path):
    sandbox = await make_sandbox()
    source = write_records(30)
    await bring(sandbox, source)
    summary = await verify(sandbox)
    assert (summary.findings, summary.fixes, summary.exit_code, summary.file) == ({}, {}, 0, None)
    assert (summary.checked, summary.listed) == (30, 30)
    assert summary.message == "30 records read, 30 have their task"
    assert not list(tmp_path.glob("*verify*"))
    asked = tmp_path / "asked.jsonl"
    assert (await verify(sandbox, out=asked)).file == asked
    assert asked.read_bytes() == b""
    before = creates(sandbox)
    assert (await bring(sandbox, source)).message.startswith("nothing to send: the job is finished")
    assert creates(sandbox) == before


async def test_one_list_call_for_a_hundred_tasks_and_the_pages_of_the_project(
    make_sandbox, bring, write_records, verify
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(1250), yes=True)
    sandbox.journal.clear()
    summary = await verify(sandbox)
    assert summary.exit_code == 0
    assert sandbox.journal.count("list") == 13 + 13
    assert sandbox.journal.count() == summary.requests == 26 + 1  # and the project, for its instruction


async def test_a_missing_task_is_found_and_sent_again(make_sandbox, bring, write_records, verify, repair, ask_ledger):
    sandbox = await make_sandbox()
    source = write_records(20)
    await bring(sandbox, source)
    gone = {number: world_of(sandbox).task_id(task_of(sandbox, number)) for number in (3, 7)}
    for number in gone:
        world_of(sandbox).remove(task_of(sandbox, number))
    summary = await verify(sandbox)
    assert (summary.findings, summary.fixes, summary.exit_code) == ({"missing": 2}, {"send": 2}, 1)
    first = lines(summary)[0]
    assert first == {
        "kind": "missing",
        "unique_id": "letter-00003",
        "task_id": gone[3],
        "file": str(source),
        "line": 4,
        "detail": "the ledger says created, the server has no such task",
        "fix": "send",
        "state": "created",
        "was": gone[3],
    }
    sandbox.journal.clear()
    repaired = await repair(sandbox, summary)
    assert (repaired.done, repaired.left, repaired.exit_code) == ({"send": 2}, 0, 0)
    assert (creates(sandbox), sandbox.journal.count("create", 409)) == (2, 0)
    assert repaired.sent is not None
    assert repaired.sent.created == 20
    assert (await verify(sandbox)).exit_code == 0
    steps = ask_ledger("SELECT event FROM events WHERE unique_id='letter-00003'")
    assert steps == [("taken up again",)]


async def test_a_task_that_the_list_does_not_show_is_no_missing_one(make_sandbox, bring, write_records, verify):
    sandbox = await make_sandbox([FaultRule(kind="lag", on="create", at=(2,), seconds=3600)])
    await bring(sandbox, write_records(5))
    assert (await verify(sandbox)).findings == {}


async def test_a_task_without_its_unique_id_is_reported_and_never_made_twice(
    make_sandbox, bring, write_records, verify, repair
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(5))
    world = world_of(sandbox)
    task = task_of(sandbox, 2)
    world.rename(task, None)
    summary = await verify(sandbox)
    (finding,) = lines(summary)
    assert (finding["kind"], finding["task_id"]) == ("detached", world.task_id(task))
    assert "fix" not in finding
    repaired = await repair(sandbox, summary)
    assert (repaired.done, repaired.left, repaired.sent, repaired.exit_code) == ({}, 1, None, 1)
    assert creates(sandbox) == 5


async def test_tasks_of_nobody_are_unexpected(make_sandbox, bring, write_records, verify, repair):
    sandbox = await make_sandbox()
    world_of(sandbox).add_project("others", KIND)
    await bring(sandbox, write_records(150), job="first")
    await bring(sandbox, write_records([letter(900)], "more.jsonl"), job="other")
    named = await make_task(sandbox, letter(1, unique_id="stranger"))
    nameless = await make_task(sandbox, {name: value for name, value in letter(2).items() if name != "unique_id"})
    await make_task(sandbox, letter(3, unique_id="elsewhere"), project="others")
    plain = await verify(sandbox, "first")
    assert (plain.findings, plain.others, plain.exit_code) == ({}, 2, 0)
    assert "2 listed tasks belong to no record (--unexpected lists them)" in plain.message
    summary = await verify(sandbox, "first", unexpected=True)
    assert (summary.findings, summary.others) == ({"unexpected": 2}, 2)
    assert {(line["unique_id"], line["task_id"]) for line in lines(summary)} == {("stranger", named), (None, nameless)}
    assert (await repair(sandbox, summary)).exit_code == 1


async def test_a_task_that_was_changed_is_reported_field_by_field(make_sandbox, bring, write_records, verify, repair):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(5))
    task = world_of(sandbox).by_unique_id("letter-00001")["task_id"]
    await call(sandbox, "POST", f"/task/{task}/setMetadata", {"number": 77})
    summary = await verify(sandbox)
    (finding,) = lines(summary)
    assert (finding["kind"], finding["line"]) == ("changed", 2)
    assert finding["differences"] == {"metadata": {"record": {"number": 1}, "task": {"number": 77}}}
    assert (await repair(sandbox, summary)).left == 1


async def test_a_record_that_was_changed_is_reported(make_sandbox, bring, write_records, verify):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(5))
    write_records([letter(n, **({"metadata": {"number": 78}} if n == 4 else {})) for n in range(5)])
    (finding,) = lines(await verify(sandbox))
    assert (finding["kind"], finding["unique_id"]) == ("changed", "letter-00004")


@pytest.mark.parametrize("what", ["project", "batch"])
async def test_a_task_in_another_project_or_batch_has_moved(what, make_sandbox, bring, write_records, verify):
    sandbox = await make_sandbox()
    world = world_of(sandbox)
    world.add_project("others", KIND)
    world.add_batch(PROJECT, "ours")
    world.add_batch(PROJECT, "theirs")
    await bring(sandbox, write_records(5), batch="ours")
    task = task_of(sandbox, 2)
    if what == "project":
        world.of_project[task.project].discard(task.seq)
        task.project = world.project_names["others"].number
        world.of_project[task.project].add(task.seq)
    world.of_batch[task.batch].discard(task.seq)
    task.batch = world.batch_names["theirs"].number
    world.of_batch[task.batch].add(task.seq)
    (finding,) = lines(await verify(sandbox))
    assert finding["kind"] == "moved"
    assert what in finding["differences"]


async def test_dead_tasks_are_found_written_to_the_ledger_and_reclaimed_when_asked(
    make_sandbox, bring, write_records, verify, repair, settings_for
):
    sandbox, _ = await broken(make_sandbox, bring, write_records, {2, 5})
    canceled = world_of(sandbox).by_unique_id("letter-00009")["task_id"]
    await call(sandbox, "POST", f"/task/{canceled}/cancel")
    summary = await verify(sandbox)
    assert summary.findings == {"canceled": 1, "error": 2}
    assert summary.fixes == {"reclaim canceled": 1, "reclaim error": 2}
    assert "gone.test answered 403" in next(line for line in lines(summary) if line["kind"] == "error")["detail"]
    groups = await list_failures(settings_for(sandbox).ledger, None, None)
    assert sorted((group.status, group.count) for group in groups if group.status) == [(403, 2)]
    left = await repair(sandbox, summary)
    assert (left.left, left.sent, left.exit_code) == (3, None, 1)

    again = await verify(sandbox)
    assert again.findings == summary.findings
    world_of(sandbox).config = sandbox.config.__class__(seed=7)
    sandbox.journal.clear()
    repaired = await repair(sandbox, again, "canceled", "error")
    assert (repaired.done, repaired.left, repaired.exit_code) == ({"reclaim": 3}, 0, 0)
    assert (creates(sandbox), sandbox.journal.count("create", 409)) == (3, 0)
    assert (await verify(sandbox)).findings == {}


async def test_only_the_statuses_that_are_named_are_reclaimed(make_sandbox, bring, write_records, verify, repair):
    sandbox, _ = await broken(make_sandbox, bring, write_records, set())
    canceled = world_of(sandbox).by_unique_id("letter-00009")["task_id"]
    await call(sandbox, "POST", f"/task/{canceled}/cancel")
    repaired = await repair(sandbox, await verify(sandbox), "error")
    assert (repaired.left, creates(sandbox)) == (1, 12)


@pytest.mark.parametrize("minutes", [0, 10])
async def test_tasks_that_the_ledger_does_not_know_are_recorded(
    minutes, make_sandbox, bring, write_records, verify, repair, tmp_path, ask_ledger
):
    """A ledger from a backup: some records unknown, some pending, some in doubt, some failed, all with a task."""
    clock = Clock()
    clock.offset_ms = -60_000 * minutes
    sandbox = await make_sandbox(clock=clock)
    await bring(sandbox, write_records(60))
    clock.offset_ms = 0
    change_ledger(tmp_path, "DELETE FROM rows WHERE unique_id < 'letter-00010'")
    for state, digit in (("pending", 1), ("sending", 2), ("failed", 3)):
        change_ledger(
            tmp_path,
            "UPDATE rows SET state=?, task_id=NULL, intent_ms=intent_ms+? WHERE unique_id GLOB ?",
            *(state, 60_000 * minutes, f"letter-000{digit}*"),
        )
    summary = await verify(sandbox)
    assert summary.findings == {"not_in_ledger": 10, "unrecorded": 30}
    assert summary.fixes == {"record": 40}
    sandbox.journal.clear()
    repaired = await repair(sandbox, summary)
    assert (repaired.left, repaired.exit_code, creates(sandbox)) == (0, 0, 0)
    old = "adopted" if minutes else "created"
    assert ask_ledger("SELECT state, count(*) FROM rows WHERE unique_id < 'letter-00040' GROUP BY 1") == [(old, 40)]
    assert (await verify(sandbox)).findings == {}


async def test_records_without_task_and_row_are_sent_by_the_repair(make_sandbox, bring, write_records, verify, repair):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(10))
    write_records(25)
    summary = await verify(sandbox)
    assert (summary.findings, summary.fixes) == ({"not_in_ledger": 15}, {"create": 15})
    repaired = await repair(sandbox, summary)
    assert (repaired.exit_code, creates(sandbox)) == (0, 25)
    assert (await verify(sandbox)).findings == {}


async def test_a_wrong_task_id_is_corrected(make_sandbox, bring, write_records, verify, repair, tmp_path, ask_ledger):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(10))
    right = world_of(sandbox).by_unique_id("letter-00004")["task_id"]
    change_ledger(tmp_path, "UPDATE rows SET task_id='deadbeef' WHERE unique_id='letter-00004'")
    summary = await verify(sandbox)
    (finding,) = lines(summary)
    assert (finding["kind"], finding["task_id"], finding["was"]) == ("task_id", right, "deadbeef")
    seen = creates(sandbox)
    repaired = await repair(sandbox, summary)
    assert (repaired.done, repaired.sent, repaired.exit_code) == ({"task_id": 1}, None, 0)
    assert ask_ledger("SELECT task_id FROM rows WHERE unique_id='letter-00004'") == [(right,)]
    assert (await verify(sandbox)).findings == {}
    assert creates(sandbox) == seen


async def test_records_that_left_the_source_are_reported_with_where_they_stood(
    make_sandbox, bring, write_records, verify
):
    sandbox = await make_sandbox()
    source = write_records(10)
    await bring(sandbox, source)
    world_of(sandbox).remove(task_of(sandbox, 9))
    write_records(8)
    found = lines(await verify(sandbox))
    assert [(line["kind"], line["unique_id"], line["line"]) for line in found] == [
        ("gone", "letter-00008", 9),
        ("gone", "letter-00009", 10),
        ("missing", "letter-00009", 10),
    ]
    assert {line["file"] for line in found} == {str(source)}
    assert "fix" not in found[2]


async def test_a_record_without_a_task_keeps_source_and_server_from_agreeing(
    make_sandbox, bring, write_records, verify, repair
):
    sandbox = await make_sandbox()
    rows = [
        letter(0),
        letter(1, attachment_type="nonsense"),
        "broken\n",
        letter(0),
        letter(2),
        letter(0, categories=["z"]),
    ]
    source = write_records(rows)
    await bring(sandbox, source)
    summary = await verify(sandbox)
    assert (summary.findings, summary.exit_code) == ({"clash": 1, "failed": 1, "invalid": 1}, 1)
    wanted = "6 records read, 2 have their task, 1 repeats an earlier one, 3 do not: 1 clash, 1 failed, 1 invalid"
    assert summary.message == wanted
    places = {line["kind"]: (line["unique_id"], line["file"], line["line"]) for line in lines(summary)}
    assert places == {
        "clash": ("letter-00000", str(source), 6),
        "failed": ("letter-00001", str(source), 2),
        "invalid": (None, str(source), 3),
    }
    repaired = await repair(sandbox, summary)
    assert (repaired.left, repaired.sent, repaired.exit_code) == (3, None, 1)


@pytest.mark.parametrize("bound", [{"max_new": 4}, {"limit": 4}])
async def test_records_that_are_still_to_be_sent_are_reported_and_sent_by_the_repair(
    bound, make_sandbox, bring, write_records, verify, repair, tmp_path
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(10), **bound)
    change_ledger(tmp_path, "UPDATE rows SET state='pending', task_id=NULL WHERE unique_id='letter-00001'")
    change_ledger(tmp_path, "UPDATE rows SET state='sending', task_id=NULL WHERE unique_id='letter-00002'")
    for number in (1, 2):
        world_of(sandbox).remove(task_of(sandbox, number))
    summary = await verify(sandbox)
    assert summary.findings == {"not_in_ledger": 6, "pending": 2}
    assert summary.fixes == {"create": 6, "send": 2}
    repaired = await repair(sandbox, summary)
    assert (repaired.left, repaired.exit_code) == (0, 0)
    assert (await verify(sandbox)).message == "10 records read, 10 have their task"


async def test_a_repair_sends_the_records_of_its_findings_and_no_others(
    make_sandbox, bring, write_records, verify, repair
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(10))
    world_of(sandbox).remove(task_of(sandbox, 3))
    write_records(12)
    summary = await verify(sandbox)
    assert summary.findings == {"missing": 1, "not_in_ledger": 2}
    write_records(30)  # grown since the findings were shown
    sandbox.journal.clear()
    repaired = await repair(sandbox, summary)
    assert (repaired.exit_code, creates(sandbox), world_of(sandbox).count()) == (0, 3, 12)
    assert "the rest of the input is still to come" in repaired.sent.message


async def test_a_vanished_record_that_never_became_a_task_is_no_finding(make_sandbox, bring, write_records, verify):
    sandbox = await make_sandbox()
    source = write_records([letter(0, attachment_type="nonsense"), letter(1)])
    await bring(sandbox, source)
    write_records([letter(1)])
    summary = await verify(sandbox)
    assert (summary.findings, summary.message) == ({}, "1 record read, 1 has its task")


async def test_a_vanished_conflict_with_a_task_of_somebody_else_is_no_finding(
    make_sandbox, bring, write_records, verify
):
    """Its record never became a task, so verify says what import says: nothing is left to do."""
    sandbox = await make_sandbox()
    ref = await make_task(sandbox, letter(0, metadata={"number": 99}))
    assert (await bring(sandbox, write_records(3))).conflicts == 1
    source = write_records([letter(1), letter(2)])
    assert (await verify(sandbox)).findings == {}  # also before an import has met the change
    gone = await bring(sandbox, source)
    assert (gone.gone, gone.conflicts, gone.exit_code) == (1, 0, 0)
    summary = await verify(sandbox)
    assert (summary.findings, summary.exit_code, summary.others) == ({}, 0, 1)
    (finding,) = lines(await verify(sandbox, unexpected=True))
    assert (finding["kind"], finding["unique_id"], finding["task_id"]) == ("unexpected", "letter-00000", ref)
    await call(sandbox, "POST", f"/task/{ref}/cancel")
    assert (await verify(sandbox)).findings == {}


async def test_a_vanished_conflict_over_the_jobs_own_task_is_reported(make_sandbox, bring, write_records, verify):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(2), job="j")
    assert (await bring(sandbox, write_records([letter(0), letter(1, categories=["x"])]), job="j")).conflicts == 1
    await bring(sandbox, write_records(1), job="j")
    assert dict((await verify(sandbox)).findings) == {"gone": 1}


async def test_conflicts_are_reported_with_their_differences(make_sandbox, bring, write_records, verify):
    sandbox = await make_sandbox()
    await make_task(sandbox, letter(0, metadata={"number": 99}))
    await bring(sandbox, write_records(3))
    (finding,) = lines(await verify(sandbox))
    assert (finding["kind"], finding["state"]) == ("changed", "conflict")


async def test_a_second_job_that_shares_rows_is_verified_by_itself(make_sandbox, bring, write_records, verify, repair):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(5, "a.jsonl"), job="a")
    await bring(sandbox, write_records(9, "b.jsonl"), job="b")
    world_of(sandbox).remove(task_of(sandbox, 2))
    for job in ("a", "b"):
        assert (await verify(sandbox, job)).findings == {"missing": 1}
    assert default_file("b").exists()
    summary = await verify(sandbox, "b")
    assert (await repair(sandbox, summary)).exit_code == 0
    for job in ("a", "b"):
        assert (await verify(sandbox, job)).findings == {}
    assert not default_file("b").exists()


async def test_a_task_that_changed_in_its_home_alone_is_no_finding_where_it_is_shared(
    make_sandbox, bring, write_records, verify
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(1, "one.jsonl"), job="one")
    await bring(sandbox, write_records(2, "two.jsonl"), job="two")
    await bring(sandbox, write_records([letter(0, categories=["z"])], "one.jsonl"), job="one")
    assert (await verify(sandbox, "one")).findings == {"changed": 1}
    assert (await verify(sandbox, "two")).findings == {}


async def test_standard_input_is_verified_without_its_records(
    make_sandbox, bring, verify, repair, monkeypatch, tmp_path
):
    sandbox = await make_sandbox()
    piped = tmp_path / "piped.jsonl"
    piped.write_text("".join(json.dumps(letter(n)) + "\n" for n in range(6)))
    with open(piped, "rb") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        await bring(sandbox, "-", job="piped", yes=True)
    world_of(sandbox).remove(task_of(sandbox, 2))
    await make_task(sandbox, letter(1, unique_id="stranger"))
    summary = await verify(sandbox, unexpected=True)
    assert summary.findings == {"missing": 1, "unexpected": 1}
    assert summary.fixes == {}
    assert "standard input" in summary.message
    assert (await repair(sandbox, summary)).left == 2


async def test_a_job_without_a_project_is_not_listed(make_sandbox, bring, write_records, verify):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(3), project=None)
    sandbox.journal.clear()
    summary = await verify(sandbox)
    assert (summary.findings, sandbox.journal.count()) == ({}, 1)
    assert "verify did not look for tasks of others" in summary.message


async def test_each_project_of_the_records_is_listed(make_sandbox, bring, write_records, verify):
    sandbox = await make_sandbox()
    world = world_of(sandbox)
    world.add_project("others", KIND)
    world.add_batch(PROJECT, "b1")
    rows = [letter(n, project="others" if n % 2 else PROJECT, **({} if n % 2 else {"batch": "b1"})) for n in range(6)]
    await bring(sandbox, write_records(rows), project=None)
    await make_task(sandbox, letter(1, unique_id="stranger"), project="others")
    summary = await verify(sandbox, unexpected=True)
    assert (summary.findings, summary.listed) == ({"unexpected": 1}, 7)


async def test_answers_that_cannot_be_trusted_are_reported(make_sandbox, bring, write_records, verify):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(5))
    sandbox.faults.replace([FaultRule(kind="error", on="list", status=400, at=tuple(range(6)))])
    summary = await verify(sandbox)
    assert set(summary.findings) <= {"unclear"}


async def test_faults_on_the_way_make_no_findings(make_sandbox, bring, write_records, verify):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(700))
    sandbox.faults.replace(
        [
            FaultRule(kind="error", on="list|get|project", status=500, share=0.2),
            FaultRule(kind="reset", on="list", share=0.1, after_write=True),
            FaultRule(kind="error", on="list", status=429, share=0.1, retry_after=0),
        ]
    )
    assert (await verify(sandbox)).findings == {}


async def test_a_repair_leaves_rows_alone_that_moved_on(
    make_sandbox, bring, write_records, verify, repair, ask_ledger, settings_for
):
    sandbox = await make_sandbox()
    source = write_records(10)
    await bring(sandbox, source)
    world_of(sandbox).remove(task_of(sandbox, 3))
    summary = await verify(sandbox)
    await repair(sandbox, summary)
    (before,) = ask_ledger("SELECT state, task_id FROM rows WHERE unique_id='letter-00003'")
    await repair(sandbox, summary)  # the same plan once more
    assert ask_ledger("SELECT state, task_id FROM rows WHERE unique_id='letter-00003'") == [before]
    assert creates(sandbox) == 11


async def test_a_repair_that_is_killed_before_its_import_is_carried_on_by_the_import(
    make_sandbox, bring, write_records, verify, repair, monkeypatch
):
    sandbox = await make_sandbox()
    source = write_records(10)
    await bring(sandbox, source)
    world_of(sandbox).remove(task_of(sandbox, 3))
    summary = await verify(sandbox)

    async def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("scalesync.flows.verify.fix.run_import", killed)
        with pytest.raises(KeyboardInterrupt):
            await repair(sandbox, summary)
    assert (await bring(sandbox, source)).created == 10
    assert (await verify(sandbox)).findings == {}


async def test_what_stands_in_the_way_is_reported_before_anything_is_asked(
    make_sandbox, bring, write_records, verify, settings_for
):
    sandbox = await make_sandbox()
    source = write_records(3)
    await bring(sandbox, source, job="j")
    sandbox.journal.clear()
    with pytest.raises(ConfigError, match="no import job nobody"):
        await verify(sandbox, "nobody")
    settings = settings_for(sandbox)
    ledger = SqliteLedger.open(settings.ledger, note=print)
    found = await ledger.find_job(settings.target, "j")
    assert found is not None
    held = await ledger.open_import(JobSpec("j", found.command, found.target, found.identity, found.settings))
    with pytest.raises(JobRunning):
        await verify(sandbox, "j")
    await held.finish(complete=True, exit_code=0, figures={})
    ledger.close()
    with pytest.raises(ConfigError, match="nowhere"):
        await verify(sandbox, "j", Path("nowhere/findings.jsonl"))
    source.unlink()
    with pytest.raises(SourceError):
        await verify(sandbox, "j")
    assert sandbox.journal.count() == 0


async def test_attachment_urls_are_compared_whole_and_reported(make_sandbox, bring, write_records, verify):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(pictures(3, set())))
    write_records([picture(0), picture(1), picture(2, metadata={"number": 5})])
    assert (await verify(sandbox)).findings == {"changed": 1}


async def test_a_link_that_was_signed_again_is_no_difference(make_sandbox, bring, write_records, verify):
    def signed(signature: str) -> list[dict[str, Any]]:
        link = "https://files.test/{}.png?X-Amz-Date=1&X-Amz-Signature={}"
        return [letter(n, metadata={"image": link.format(n, signature)}) for n in range(5)]

    sandbox = await make_sandbox()
    for record in signed("AAA")[:3]:
        await make_task(sandbox, record)
    found = await bring(sandbox, write_records(signed("BBB")))
    assert (found.created + found.adopted, found.conflicts, found.exit_code) == (5, 0, 0)
    write_records(signed("CCC"))
    checked = await verify(sandbox)
    assert (checked.exit_code, checked.findings) == (0, {})


# --- where the findings may go ---------------------------------------------------------------------


def spelled(tmp_path: Path, target: Path) -> list[Path]:
    """A file under its own name, by way of another folder, and by a link."""
    (tmp_path / "inner").mkdir()
    link = tmp_path / "link.jsonl"
    link.symlink_to(target)
    return [target, tmp_path / "inner" / ".." / target.name, link, Path(target.name)]


async def test_findings_never_take_the_place_of_source_or_ledger(
    make_sandbox, bring, write_records, verify, settings_for, tmp_path
):
    sandbox = await make_sandbox()
    source = write_records([letter(n, kind="x", detail=1, task_id=1, file=1, line=1) for n in range(3)])
    await bring(sandbox, source)
    seen = sandbox.journal.count()
    texts = source.read_bytes()
    for path in spelled(tmp_path, source):
        with pytest.raises(ConfigError, match="is a source of the job"):
            await verify(sandbox, out=path)
    for path in (settings_for(sandbox).ledger, Path("ledger.db")):
        with pytest.raises(ConfigError, match="belongs to the ledger"):
            await verify(sandbox, out=path)
    assert sandbox.journal.count() == seen
    assert source.read_bytes() == texts


@pytest.mark.parametrize("text", ["my notes\n", '{"kind": "image"}\n', "[1]\n", "\n"])
async def test_a_file_that_holds_no_findings_is_left_alone(text, make_sandbox, bring, write_records, verify, tmp_path):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(3), job="j")
    seen = sandbox.journal.count()
    for path, out in ((tmp_path / "verify-j.jsonl", None), (tmp_path / "other.txt", tmp_path / "other.txt")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=f"{path.name} exists and is not a file of findings"):
            await verify(sandbox, out=out)
        assert path.read_text() == text
    assert sandbox.journal.count() == seen


async def test_earlier_findings_and_an_empty_file_are_replaced(make_sandbox, bring, write_records, verify, tmp_path):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(3))
    out = tmp_path / "out.jsonl"
    out.touch()
    world_of(sandbox).remove(task_of(sandbox, 1))
    assert (await verify(sandbox, out=out)).findings == {"missing": 1}
    assert (await verify(sandbox, out=out)).findings == {"missing": 1}
