"""Jobs of `apply` as `status` and `failures` show them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.model.changes import Change, ChangeOutcome, ChangeState
from scalesync.model.jobs import JobSpec
from scalesync.model.rows import OtherRecord, RecordState
from scalesync.model.targets import Mode, Target

from .conftest import Run

HERE = Target("https://a.test/v1", Mode.TEST)
C = ChangeState


def spec(name: str, **identity: Any) -> JobSpec:
    return JobSpec(name, "apply", HERE, {"change": "tags add", "arguments": {}, **identity}, {})


async def fill(path: Path) -> None:
    """Two jobs: one of tasks that a file and an import name, which was stopped, and one of batches."""
    ledger = SqliteLedger.open(path, note=lambda text: None)
    tasks = await ledger.open_changes(spec("tagged"))
    (source,) = await tasks.register_sources([("list.csv", {"name": "list.csv", "path": "list.csv"})])
    rows = [Change(f"t{line}", None, {}, source if line < 5 else 0, line) for line in range(1, 9)]
    await tasks.collect(rows)
    await tasks.set_aside([OtherRecord(source, 20, RecordState.INVALID, reason="names no task", raw="x,y")])
    await tasks.collected({"read": 10, "duplicates": 1, "mark": 5})
    await tasks.intend([row.ref for row in rows[:7]])
    refused = [ChangeOutcome(f"t{line}", C.FAILED, 404, f"there is no task t{line}") for line in (3, 4, 5)]
    await tasks.record(
        [
            *refused,
            ChangeOutcome("t1", C.APPLIED, 200),
            ChangeOutcome("t2", C.UNCHANGED),
            ChangeOutcome("t6", C.UNCLEAR, None, "no answer came", event="unclear"),
        ]
    )
    await tasks.finish(complete=False, exit_code=3, figures={}, message="2 tasks got no clear answer")
    batches = await ledger.open_changes(spec("urgent", change="priority", subject="batch"))
    await batches.collect([Change("b-77", None, {}, 0, 1)])
    await batches.collected({"read": 1, "duplicates": 0})
    await batches.record([ChangeOutcome("b-77", C.FAILED, 404, "batch b-77 is not known")])
    await batches.finish(complete=True, exit_code=1, figures={}, message="")
    ledger.close()


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "scalesync.db"
    asyncio.run(fill(path))
    return path


def test_status_shows_what_became_of_the_changes(run: Run) -> None:
    one, two = run("status", "--json").json["jobs"]
    counts = {
        **{"applied": 1, "unchanged": 1, "failed": 3, "unclear": 1},
        **{"invalid": 1, "pending": 2, "duplicates": 1},
    }
    assert (one["job"], one["command"], one["state"], one["counts"]) == ("tagged", "apply", "unfinished", counts)
    assert list(one["counts"]) == list(counts)
    assert (one["sources"], one["message"]) == (["list.csv"], "2 tasks got no clear answer")
    assert (two["state"], two["last"]) == ("finished", "done, with findings")
    shown = run("status", "--job", "tagged").out
    told = "1 applied, 1 unchanged, 3 failed, 1 unclear, 1 invalid, 2 pending, 1 duplicate"
    assert "tagged: apply, unfinished" in shown
    assert told in shown
    assert "2 tasks got no clear answer" in shown
    assert told in run("status").out


def test_failures_shows_each_cause_once_with_what_and_where(run: Run) -> None:
    groups = {group["group"]: group for group in run("failures", "--job", "tagged", "--json").json["failures"]}
    by_state = {group["state"]: group for group in groups.values()}
    assert {state: group["count"] for state, group in by_state.items()} == {"failed": 3, "unclear": 1, "invalid": 1}
    assert (by_state["failed"]["status"], by_state["failed"]["message"]) == (404, "there is no task <id>")
    first = by_state["failed"]["examples"][0]
    assert first == {
        "unique_id": None,
        "file": "list.csv",
        "line": 3,
        "reason": "there is no task t3",
        "task_id": "t3",
    }
    shown = run("failures").out
    assert "3 failed (HTTP 404): there is no task <id>" in shown
    assert "\n  list.csv:3  task t3  there is no task t3\n" in shown
    assert "\n  task t5  there is no task t5\n" in shown
    assert "1 unclear: no answer came\n  task t6\n" in shown
    assert "\n  list.csv:20\n" in shown
    assert "1 failed (HTTP 404): batch <id> is not known\n  batch b-77  batch b-77 is not known\n" in shown
    assert "tagged (test) is not finished; its last run ended with: 2 tasks got no clear answer" in shown
    (group,) = run("failures", "--group", by_state["unclear"]["group"], "--json").json["failures"]
    assert group == by_state["unclear"]


def test_failing_changes_are_not_written_out_as_records_and_that_is_said(run: Run, tmp_path: Path) -> None:
    ended = run("failures", "--job", "tagged", "--out", "failed.jsonl")
    assert ended.code == 2
    assert "job tagged makes changes, which are not records to import: without --out they are listed" in ended.err
    assert not (tmp_path / "failed.jsonl").exists()


def test_beside_records_of_an_import_they_are_counted_as_not_written(run: Run, ledger: Path) -> None:
    async def imported() -> None:
        opened = SqliteLedger.open(ledger, note=lambda text: None)
        job = await opened.open_import(JobSpec("i", "import", HERE, {"sources": []}, {"sources": [], "type": "x"}))
        await job.finish(complete=True, exit_code=0, figures={})
        opened.close()

    asyncio.run(imported())
    ended = run("failures", "--out", "failed.jsonl")
    assert ended.code == 1
    assert "5 of job tagged are changes, not records to import: without --out they are listed" in ended.out
    assert "1 of job urgent are changes, not records to import" in ended.out


def test_a_command_for_imports_leaves_such_a_job_alone(run: Run) -> None:
    ended = run("verify", "--job", "tagged", env={"SCALE_API_URL": HERE.base_url})
    assert ended.code == 2, ended
    assert "there is no import job tagged" in ended.err
