"""`apply`: one change of many tasks, each once, named in every way, through lost answers, stops and second runs."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalesync.errors import ConfigError, Interrupted
from scalesync.flows.changes.options import ChangeOptions
from scalesync.flows.changes.run import run_changes
from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.model.summaries import ChangeSummary
from scalesync.sandbox import FaultRule, Sandbox
from tests.conftest import FAST, PROJECT, letter

COUNTED = ("applied", "unchanged", "failed", "unclear", "pending", "invalid", "duplicates")
Apply = Callable[..., Any]


@pytest.fixture
def apply(settings_for, notebook) -> Apply:
    """apply(sandbox, change, *arguments, **options): run it once."""

    async def run(sandbox: Sandbox, change: str, *arguments: str, **options: Any) -> ChangeSummary:
        confirm = options.pop("confirm", None)
        asked = ChangeOptions(change, arguments, **options)
        settings = settings_for(sandbox, rate="1000", extras={"audit_landing_s": "0"})
        summary = await run_changes(asked, settings, notebook, limits=FAST, signals=False, confirm=confirm)
        assert summary.read == sum(getattr(summary, name) for name in COUNTED), summary
        return summary

    return run


@pytest.fixture
def table(tmp_path) -> Callable[..., tuple[str, ...]]:
    """table(rows, name="tasks.csv"): the sources to name."""

    def write(rows: list[dict[str, Any]], name: str = "tasks.csv") -> tuple[str, ...]:
        path = tmp_path / name
        with path.open("w", newline="") as file:
            names = dict.fromkeys(column for row in rows for column in row)
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
        return (str(path),)

    return write


async def filled(make_sandbox, bring, write_records, count: int = 30, **switches: Any) -> Sandbox:
    sandbox: Sandbox = await make_sandbox(**switches)
    summary = await bring(sandbox, write_records(count), job="made")
    assert summary.created == count
    sandbox.journal.clear()
    return sandbox


def tasks(sandbox: Sandbox) -> dict[str, Any]:
    return {task.unique_id or f"no key {task.seq}": task for task in sandbox.store.world("live").tasks}


def tags(sandbox: Sandbox) -> dict[str, list[str]]:
    return {key: list(task.tags or ()) for key, task in tasks(sandbox).items()}


def changes(sandbox: Sandbox) -> int:
    return sandbox.journal.count("mutate")


@pytest.mark.parametrize("column", ["task_id", "unique_id"])
async def test_rows_name_tasks_by_either_id_and_columns_give_arguments(
    make_sandbox, bring, write_records, apply, table, column
):
    sandbox = await filled(make_sandbox, bring, write_records)
    ids = {
        key: (key if column == "unique_id" else sandbox.store.world("live").task_id(task))
        for key, task in tasks(sandbox).items()
    }
    rows = [{column: ids[key], "tags": f"t{number},all"} for number, key in enumerate(sorted(ids)[:20])]
    summary = await apply(sandbox, "tags add", tasks=table(rows))
    assert (summary.applied, summary.exit_code) == (20, 0), summary
    found = tags(sandbox)
    assert [found[key] for key in sorted(ids)[:20]] == [[f"t{number}", "all"] for number in range(20)]
    assert all(not found[key] for key in sorted(ids)[20:])
    again = await apply(sandbox, "tags add", tasks=table(rows))
    assert (again.applied, again.exit_code, changes(sandbox)) == (20, 0, 20), "a second run changes nothing"


async def test_what_was_typed_counts_for_all_and_of_two_rows_the_last_one(
    make_sandbox, bring, write_records, apply, table, notebook
):
    sandbox = await filled(make_sandbox, bring, write_records, 4)
    rows = [
        {"unique_id": "letter-00000", "tags": "first"},
        {"unique_id": "letter-00001", "tags": ""},
        {"unique_id": "", "tags": "nobody"},
        {"unique_id": "nothing", "tags": "x"},
        {"unique_id": "letter-00000", "tags": "last"},
    ]
    summary = await apply(sandbox, "tags set", tasks=table(rows))
    assert (summary.read, summary.applied, summary.duplicates, summary.invalid) == (5, 1, 1, 3), summary
    assert summary.exit_code == 1
    assert tags(sandbox)["letter-00000"] == ["last"]
    assert any("no task has the unique_id nothing" in note for note in notebook.notes), notebook.notes
    typed = await apply(sandbox, "tags set", "tags=typed", tasks=table(rows[:2], "two.csv"))
    assert (typed.applied, typed.exit_code) == (2, 0)
    assert [tags(sandbox)[f"letter-0000{n}"] for n in range(2)] == [["typed"], ["typed"]]


async def test_tasks_of_an_import_of_an_export_and_of_filters(
    make_sandbox, bring, write_records, apply, settings_for, notebook, tmp_path
):
    sandbox = await filled(make_sandbox, bring, write_records, 250)
    more = await bring(sandbox, write_records([letter(n) for n in range(900, 910)], "more.jsonl"), job="more")
    assert more.created == 10
    assert (await apply(sandbox, "tags add", "tags=job", job="made")).applied == 250
    out = tmp_path / "out"
    exported = await run_export(ExportOptions(out, tags=("job",)), settings_for(sandbox), notebook, signals=False)
    assert exported.tasks == 250
    assert (await apply(sandbox, "tags add", "tags=folder", folder=out)).applied == 250
    matching = ExportOptions(Path(), project=PROJECT)
    assert (await apply(sandbox, "tags add", "tags=all", filters=matching)).applied == 260
    counted = Counter(tag for found in tags(sandbox).values() for tag in found)
    assert counted == {"job": 250, "folder": 250, "all": 260}


async def test_a_lost_answer_is_looked_up_and_the_change_made_once(make_sandbox, bring, write_records, apply, table):
    sandbox = await filled(make_sandbox, bring, write_records, 200, annotate_after_s=0.0)
    sandbox.faults.replace(
        [
            FaultRule(kind="error", on="mutate", share=0.1, after_write=True),
            FaultRule(kind="reset", on="mutate", share=0.1, after_write=True),
            FaultRule(kind="error", on="mutate", share=0.1),
            FaultRule(kind="error", on="mutate", at=(20, 120), status=429, retry_after=0.01),
        ]
    )
    rows = [{"unique_id": f"letter-{n:05d}"} for n in range(200)]
    summary = await apply(sandbox, "audit accept", tasks=table(rows), yes=True)
    assert (summary.applied, summary.exit_code) == (200, 0), summary
    audits = Counter(len(json.loads(task.extra.audits)) for task in tasks(sandbox).values())
    assert audits == {1: 200}, "no audit twice"


async def test_what_no_task_shows_stays_unclear_and_is_not_made_twice(
    make_sandbox, bring, write_records, apply, table, notebook
):
    sandbox = await filled(make_sandbox, bring, write_records, 60, annotate_after_s=0.0, review_field=False)
    sandbox.faults.replace([FaultRule(kind="error", on="mutate", share=0.2, after_write=True)])
    rows = [{"unique_id": f"letter-{n:05d}"} for n in range(60)]
    summary = await apply(sandbox, "audit accept", tasks=table(rows), yes=True)
    assert (summary.applied + summary.unclear, summary.exit_code) == (60, 1), summary
    assert summary.unclear > 3
    assert "may have been changed or not" in summary.message
    assert {len(json.loads(task.extra.audits)) for task in tasks(sandbox).values()} == {1}
    before = changes(sandbox)
    again = await apply(sandbox, "audit accept", tasks=table(rows), yes=True)
    assert (again.applied, again.unclear, changes(sandbox)) == (summary.applied, summary.unclear, before)


async def test_a_plan_holds_what_would_change_and_applies_just_that(
    make_sandbox, bring, write_records, apply, table, tmp_path, notebook
):
    sandbox = await filled(make_sandbox, bring, write_records, 12)
    rows = [{"unique_id": f"letter-{n:05d}"} for n in range(10)]
    await apply(sandbox, "tags set", "tags=new", tasks=table(rows[:2], "two.csv"))
    before, plan = changes(sandbox), tmp_path / "plan.jsonl"
    dry = await apply(sandbox, "tags set", "tags=new", tasks=table(rows), dry_run=True, plan=plan)
    assert (dry.pending, dry.unchanged, dry.exit_code, changes(sandbox)) == (8, 2, 0, before), dry
    head, *lines = [json.loads(line) for line in plan.read_text().splitlines()]
    assert head["change"] == "tags set"
    assert {line["unique_id"] for line in lines} == {f"letter-{n:05d}" for n in range(2, 10)}
    assert all((line["before"], line["after"]) == ({"tags": []}, {"tags": ["new"]}) for line in lines)
    await apply(sandbox, "tags set", "tags=theirs", tasks=table(rows[5:6], "one.csv"))
    done = await apply(sandbox, "tags set", plan=plan)
    assert (done.applied, done.failed, done.exit_code) == (7, 1, 1), done
    assert tags(sandbox)["letter-00005"] == ["theirs"]
    assert tags(sandbox)["letter-00011"] == []
    with pytest.raises(ConfigError, match="is for tags set, not for tags add"):
        await apply(sandbox, "tags add", plan=plan)


async def test_a_plan_replaces_nothing_but_a_plan(make_sandbox, bring, write_records, apply, table, tmp_path):
    sandbox = await filled(make_sandbox, bring, write_records, 2)
    rows = table([{"unique_id": "letter-00000"}])
    with pytest.raises(ConfigError, match="is not a plan"):
        await apply(sandbox, "tags set", "tags=x", tasks=rows, dry_run=True, plan=Path(rows[0]))
    assert Path(rows[0]).read_text().splitlines() == ["unique_id", "letter-00000"]
    for place, words in ((tmp_path, "is a folder"), (tmp_path / "no" / "plan", "no such folder")):
        with pytest.raises(ConfigError, match=words):
            await apply(sandbox, "tags set", "tags=x", tasks=rows, dry_run=True, plan=place)
    assert sandbox.journal.count() == 0
    for _ in range(2):
        await apply(sandbox, "tags set", "tags=x", tasks=rows, dry_run=True, plan=tmp_path / "plan.jsonl")


async def test_a_key_that_a_change_took_from_its_task_still_names_that_task(
    make_sandbox, bring, write_records, apply, table
):
    """A chain: the second row takes the key that the first one frees."""
    sandbox = await filled(make_sandbox, bring, write_records, 3)
    rows = [
        {"unique_id": "letter-00000", "new_unique_id": "z"},
        {"unique_id": "letter-00001", "new_unique_id": "y"},
    ]
    first = await apply(sandbox, "unique-id set", tasks=table(rows), name="chain")
    assert (first.applied, first.exit_code) == (2, 0), first
    await apply(sandbox, "unique-id set", tasks=table([{"unique_id": "letter-00002", "new_unique_id": "letter-00000"}]))
    made = changes(sandbox)
    again = await apply(sandbox, "unique-id set", tasks=table(rows), name="chain")
    assert (again.read, again.applied, again.invalid, again.exit_code) == (2, 2, 0, 0), again
    assert changes(sandbox) == made
    assert set(tasks(sandbox)) == {"z", "y", "letter-00000"}


async def test_numbers_of_any_size_go_into_metadata(make_sandbox, bring, write_records, apply, table, tmp_path):
    sandbox = await filled(make_sandbox, bring, write_records, 2)
    rows = table([{"unique_id": "letter-00000"}])
    big = 12345678901234567890123
    for options in ({"dry_run": True, "plan": tmp_path / "plan.jsonl"}, {}):
        summary = await apply(sandbox, "metadata merge", f'metadata={{"big": {big}}}', tasks=rows, **options)
        assert (summary.failed, summary.exit_code) == (0, 0), summary
    assert json.loads(tasks(sandbox)["letter-00000"].metadata)["big"] == big


async def test_what_cannot_be_taken_back_asks_and_a_no_changes_nothing(
    make_sandbox, bring, write_records, apply, table
):
    sandbox = await filled(make_sandbox, bring, write_records, 5)
    rows = table([{"unique_id": f"letter-{n:05d}"} for n in range(3)])
    with pytest.raises(ConfigError, match="cannot be taken back"):
        await apply(sandbox, "cancel", tasks=rows)
    asked: list[str] = []
    with pytest.raises(Interrupted, match="nothing was changed"):
        await apply(sandbox, "cancel", tasks=rows, confirm=lambda question: bool(asked.append(question)))
    assert "3 tasks" in asked[0]
    assert changes(sandbox) == 0
    summary = await apply(sandbox, "cancel", tasks=rows, confirm=lambda question: True)
    assert (summary.applied, summary.exit_code) == (3, 0)
    statuses = Counter(task.status for task in tasks(sandbox).values())
    assert statuses == {"canceled": 3, "pending": 2}


async def test_a_job_goes_on_with_new_rows_and_with_rows_that_ask_for_something_else(
    make_sandbox, bring, write_records, apply, table
):
    sandbox = await filled(make_sandbox, bring, write_records, 4)
    rows = [{"unique_id": f"letter-{n:05d}", "tags": "a"} for n in range(3)]
    assert (await apply(sandbox, "tags set", tasks=table(rows))).applied == 3
    rows[1]["tags"] = "b"
    rows.append({"unique_id": "letter-00003", "tags": "a"})
    again = await apply(sandbox, "tags set", tasks=table(rows))
    assert (again.applied, again.read, changes(sandbox)) == (4, 4, 5), again
    assert tags(sandbox)["letter-00001"] == ["b"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "name the tasks in one way"),
        ({"job": "made", "filters": ExportOptions(Path(), project=PROJECT)}, "name the tasks in one way"),
        ({"job": "made", "arguments": ("tag=x",)}, "did you mean 'tags'"),
        ({"job": "made", "arguments": ("tags=x", "tags=y")}, "typed twice"),
        ({"job": "made", "change": "tag add"}, "no change 'tag add'"),
        ({"job": "nobody", "arguments": ("tags=x",)}, "nobody"),
        ({"folder": Path("nowhere"), "arguments": ("tags=x",)}, "no manifest"),
        ({"tasks": ("nowhere.csv",)}, "no such file"),
    ],
)
async def test_what_is_typed_wrong_is_refused_before_a_request(
    make_sandbox, apply, options, words, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    sandbox = await make_sandbox()
    options = {"change": "tags add", "arguments": ("tags=x",), **options}
    with pytest.raises(Exception, match=words):
        await apply(sandbox, options.pop("change"), *options.pop("arguments"), **options)
    assert changes(sandbox) == 0


def test_each_change_says_how_it_is_repeated_and_taken_back() -> None:
    for name, spec in spec_of("scale").changes.items():
        assert spec.name == name
        assert spec.words
        assert spec.subject in {"task", "batch"}
