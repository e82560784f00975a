"""What the first records tell before anything is sent: columns, fields of the type, and where --max-invalid stops."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from scalesync.errors import ConfigError
from scalesync.flows.imports.dry_run import shown_body
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.runtime.options import RetryOptions
from scalesync.platforms.scale.task_types import COMMON, TYPES
from scalesync.sandbox.scale.tasks import tasktypes
from tests.conftest import FAST, letter
from tests.flows.conftest import creates, requests

TEMPLATE = {"task": {"attachment": "{txet}", "attachment_type": "text", "categories": ["a", "b"]}, "keep": []}


def rows(count: int) -> list[dict[str, Any]]:
    return [{"id": str(number), "text": f"no. {number}"} for number in range(count)]


def table(path: Path, count: int = 3) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, ["id", "text"])
        out.writeheader()
        out.writerows(rows(count))
    return path


def parquet(path: Path) -> Path:
    pa = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pa.Table.from_pylist(rows(3)), path)
    return path


def packed(path: Path) -> Path:
    path.write_bytes(gzip.compress(table(path.with_suffix("")).read_bytes()))
    return path


MAKERS: dict[str, Any] = {"t.csv": table, "t.parquet": parquet, "t.csv.gz": packed}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    "shape",
    [
        {"template": TEMPLATE},
        {"unique_id": "x-{txet}"},
        {"batch": "{txet}"},
        {"template": {"task": {"unique_id": "{txet}"}}},
        {"template": {"task": {"metadata": {"deep": ["{txet}"]}}}},
    ],
)
async def test_a_column_that_a_table_does_not_have_is_refused_with_the_nearest(
    name, dry_run, shape, make_sandbox, bring, ask_ledger, tmp_path
):
    sandbox = await make_sandbox()
    with pytest.raises(ConfigError, match=r'has no column "txet".*did you mean \'text\'\?.*"\{txet\?\}"') as told:
        await bring(sandbox, MAKERS[name](tmp_path / name), dry_run=dry_run, **shape)
    assert name in str(told.value)
    assert told.value.exit_code == 2
    assert requests(sandbox) == 0
    assert dry_run or ask_ledger("SELECT count(*) FROM jobs") == [(0,)]


async def test_one_table_of_several_that_lacks_a_column_is_named(make_sandbox, bring, tmp_path):
    sandbox = await make_sandbox()
    (tmp_path / "a.csv").write_text("txet\nx\n")
    table(tmp_path / "b.csv")
    with pytest.raises(ConfigError, match=r"b\.csv has no column"):
        await bring(sandbox, f"{tmp_path}/*.csv", template=TEMPLATE)


async def test_lines_are_judged_by_the_first_records_and_that_is_said(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    source = write_records([*rows(150), {"txet": "x"}])
    with pytest.raises(ConfigError, match=r"none of the first 100 records has no column|none of the first 100 records"):
        await bring(sandbox, source, template=TEMPLATE)
    assert requests(sandbox) == 0
    mixed = await bring(sandbox, write_records([*rows(3), {"txet": "x"}]), template=TEMPLATE)
    assert (mixed.exit_code, mixed.invalid, mixed.created) == (1, 3, 1)


@pytest.mark.parametrize("dry_run", [False, True])
async def test_lines_whose_first_records_lack_a_column_continue_where_max_invalid_allows_for_it(
    dry_run, make_sandbox, bring, write_records, notebook
):
    sandbox = await make_sandbox()
    source = write_records([*rows(110), *({"txet": f"x{number}"} for number in range(3))])
    with pytest.raises(ConfigError, match=r"or --max-invalid N from 100 up where later records have it$"):
        await bring(sandbox, source, template=TEMPLATE, max_invalid=99, dry_run=dry_run)
    assert requests(sandbox) == 0
    done = await bring(sandbox, source, template=TEMPLATE, max_invalid=110, dry_run=dry_run)
    assert (done.exit_code, done.invalid, done.created + done.pending) == (1, 110, 3)
    (told,) = [note for note in notebook.notes if "none of the first 100 records has a column" in note]
    assert told.endswith("such records are counted as invalid")


async def test_a_table_that_lacks_a_column_is_refused_whatever_max_invalid_says(make_sandbox, bring, tmp_path):
    sandbox = await make_sandbox()
    with pytest.raises(ConfigError, match=r"t\.csv has no column"):
        await bring(sandbox, table(tmp_path / "t.csv"), template=TEMPLATE, max_invalid=1000)


async def test_a_column_that_may_be_missing_and_ids_of_their_own_are_no_reason_to_refuse(
    make_sandbox, bring, write_records
):
    sandbox = await make_sandbox()
    optional = {"task": {"metadata": {"more": "{txet?}"}}}
    assert (await bring(sandbox, write_records(3), template=optional, unique_id="{txet}")).created == 3


@pytest.mark.parametrize("allowed", [0, 9, 600])
async def test_max_invalid_stops_at_its_limit(allowed, make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    lines = [letter(number) if number % 2 == 0 else "broken\n" for number in range(2000)]
    stopped = await bring(sandbox, write_records(lines), max_invalid=allowed)
    assert (stopped.exit_code, stopped.invalid) == (3, allowed + 1)
    assert stopped.read <= 2 * (allowed + 1)
    assert "--max-invalid" in stopped.message
    dry = await bring(sandbox, write_records(lines, "other.jsonl"), max_invalid=allowed, dry_run=True)
    assert (dry.exit_code, dry.invalid) == (1, allowed + 1)
    assert f"--max-invalid {allowed}" in dry.message


async def test_fields_that_a_type_needs_or_does_not_know_are_noted(make_sandbox, bring, write_records, notebook):
    sandbox = await make_sandbox()
    bare = [{key: value for key, value in letter(number).items() if key != "categories"} for number in range(30)]
    bare[7]["categories"] = ["a", "b"]
    bare[9]["catgories"] = ["a", "b"]
    await bring(sandbox, write_records(bare), dry_run=True)
    assert "29 of the first 30 records have no categories, which categorization needs" in " ".join(notebook.notes)
    assert "no known field \"catgories\" (did you mean 'categories'?): the platform" in " ".join(notebook.notes)
    assert creates(sandbox) == 0
    notebook.notes.clear()
    await bring(sandbox, write_records(30, "good.jsonl"))
    assert not [note for note in notebook.notes if "needs" in note or "not known" in note]


@pytest.mark.parametrize(
    ("type", "record", "said"),
    [
        ("namedentityrecognition", {"text": "a", "labels": []}, "no labels, which namedentityrecognition needs"),
        ("textcollection", {"attachments": ["a"], "fields": None}, "no fields, which textcollection needs"),
        ("categorization", {"attachment_type": "text", "categories": ["a"]}, "no attachment or attachments, which"),
        ("comparison", {"attachments": ["a"], "attachment_type": "text", "choice": 1}, "no choices or fields, which"),
        ("imageannotation", {"attachment": "a", "geometries": {"box": {}}, "prioritty": 1}, "did you mean 'priority'?"),
        ("audiotranscription", {"attachment": "a", "verbatm": True}, "did you mean 'verbatim'?"),
    ],
)
async def test_each_type_is_checked_by_its_own_fields(type, record, said, make_sandbox, bring, write_records, notebook):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([record]), type=type, project=None, dry_run=True)
    (told,) = [note for note in notebook.notes if said in note]
    assert ("the first record has no" in told) == ("needs" in told)
    notebook.notes.clear()
    whole = record | {"labels": ["x"], "fields": [{}], "attachment": "a", "choices": ["x"]}
    fine = {name: value for name, value in whole.items() if name in TYPES[type].names}
    await bring(sandbox, write_records([fine], "fine.jsonl"), type=type, project=None, dry_run=True)
    assert not [note for note in notebook.notes if "needs" in note or "no known" in note]


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_column_that_is_kept_or_parsed_and_is_nowhere_is_noted(
    dry_run, make_sandbox, bring, write_records, notebook, tmp_path
):
    sandbox = await make_sandbox()
    fixed = {"attachment": "{text}", "attachment_type": "text", "categories": ["a", "b"]}
    template = {"task": fixed, "keep": ["iid", "id", "deep.er", "_file.name"], "json": ["txt"]}
    await bring(sandbox, table(tmp_path / "t.csv"), template=template, dry_run=dry_run)
    notes = [note for note in notebook.notes if "of the template names" in note]
    first = "is not in any of the first 3 records"
    assert notes == [
        f"\"iid\", which keep of the template names, {first}; did you mean 'id'?; tasks are made without it",
        f'"deep.er", which keep of the template names, {first}; tasks are made without it',
        f"\"txt\", which json of the template names, {first}; did you mean 'text'?",
    ]
    notebook.notes.clear()
    some = write_records([letter(0), letter(1) | {"deep": {"er": 1}}, letter(2)])
    template = {"keep": ["deep.er", *letter(0)]}
    await bring(sandbox, some, template=template, dry_run=dry_run)
    assert not [note for note in notebook.notes if "of the template names" in note]


@pytest.mark.parametrize(("records", "said"), [(1, "the first record has"), (3, "all of the first 3 records have")])
async def test_the_note_on_missing_fields_counts_as_people_do(
    records, said, make_sandbox, bring, write_records, notebook
):
    bare = [{"unique_id": f"bare-{number}", **dict.fromkeys("abcdefgh", 1)} for number in range(records)]
    await bring(await make_sandbox(), write_records(bare), dry_run=True)
    assert f"{said} no categories, which categorization needs" in " ".join(notebook.notes)
    assert 'no known fields "a", "b", "c", "d", "e" and 3 more: ' in " ".join(notebook.notes)


HASHED = "so ids are hashes of the records"


@pytest.mark.parametrize("name", ["unique_id ", " unique_id", "Unique_ID", "uniqueId", "unique-id", "Unique ID:"])
async def test_an_id_in_another_spelling_is_reported(name, make_sandbox, bring, write_records, notebook, tmp_path):
    sandbox = await make_sandbox()
    table = tmp_path / "t.csv"
    table.write_text(f"{name},attachment,attachment_type\na,x,text\nb,y,text\n")
    await bring(sandbox, table, dry_run=True)
    (told,) = [note for note in notebook.notes if "no known" in note]
    assert told == (
        f"categorization has no known field \"{name}\" (did you mean 'unique_id'?): "
        f'the platform may refuse or ignore it; "{name}" is not unique_id, {HASHED}'
    )
    notebook.notes.clear()
    await bring(sandbox, table, unique_id=f"{{{name}}}", dry_run=True, job="named")
    own = [letter(number) | {name: "x", "zzz": 1} for number in range(2)]
    await bring(sandbox, write_records(own), dry_run=True, job="own")
    without = [{key: value for key, value in row.items() if key not in ("unique_id", name)} for row in own]
    await bring(sandbox, write_records(without, "without.jsonl"), dry_run=True, job="without")
    notes = [note for note in notebook.notes if "no known" in note]
    assert len(notes) == 3
    assert not [note for note in notes if HASHED in note]


def test_the_table_of_types_needs_what_the_sandbox_needs() -> None:
    """Two tables of the same facts, written apart."""
    for name, theirs in tasktypes.TYPES.items():
        if not theirs.required:
            continue
        ours = TYPES[name]
        for group in theirs.required:
            assert any(set(group) & set(mine) for mine in ours.required), (name, group)
    for ours in TYPES.values():
        assert {"attachment", "unique_id", "batch"} <= COMMON <= ours.names


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ({}, {"template": {"task": {"priority": 30}}, "sets": ('urgency="day"',)}, "the template and --set"),
        ({"sets": ("priority=10",)}, {"sets": ("priority=20",)}, "--set"),
        ({"sets": ("priority=10",)}, {}, "--set"),
        ({"template": {"task": {"priority": 10}}}, {}, "the template"),
        ({}, {"template": {"keep": [name for name in letter(0) if name != "metadata"]}}, "the template"),
    ],
)
async def test_a_changed_template_over_tasks_that_are_there_is_reported(
    before, after, what, make_sandbox, bring, write_records, notebook
):
    sandbox = await make_sandbox()
    source = write_records(20)
    await bring(sandbox, source, **before)
    again = await bring(sandbox, source, **after)
    assert (again.exit_code, again.created, again.conflicts) == (0, 20, 0)
    (told,) = [note for note in notebook.notes if "changed since the last run" in note]
    assert told.startswith(f"{what} changed since the last run: 20 tasks that are there keep their earlier body")
    assert "--reclaim canceled" in told
    notebook.notes.clear()
    await bring(sandbox, source, **after, rescan=True)
    assert not [note for note in notebook.notes if "changed since" in note]


async def test_a_changed_template_over_records_that_failed_is_said_and_retry_sends_them_with_it(
    make_sandbox, bring, write_records, settings_for, notebook
):
    sandbox = await make_sandbox()
    source = write_records([letter(0), letter(1, attachment_type="nonsense")])
    first = await bring(sandbox, source, job="j")
    changed = {"job": "j", "sets": ('attachment_type="text"',)}
    again = await bring(sandbox, source, **changed)
    assert (first.failed, again.failed, again.created) == (1, 1, 1)
    (told,) = [note for note in notebook.notes if "that failed" in note]
    assert told == (
        "--set changed since the last run: this command does not send 1 record that failed with its earlier body;"
        " scalesync retry --job j sends it with the new one"
    )
    done = await run_retry(RetryOptions(job="j"), settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert (done.created, done.failed, done.exit_code) == (2, 0, 0)
    notebook.notes.clear()
    await bring(sandbox, source, **changed, rescan=True)
    assert not [note for note in notebook.notes if "changed since" in note]


async def test_tasks_that_another_job_made_with_another_template_are_reported(
    make_sandbox, bring, write_records, notebook
):
    sandbox = await make_sandbox()
    source = write_records(3)
    await bring(sandbox, source, job="first", sets=("priority=10",))
    beside = await bring(sandbox, source, job="second", sets=("priority=30",))
    assert (beside.exit_code, beside.created, sandbox.store.world("live").count()) == (0, 3, 3)
    (told,) = [note for note in notebook.notes if "job first" in note]
    assert told.startswith("3 tasks that job first made keep their earlier body: --set of that job is different")
    notebook.notes.clear()
    await bring(sandbox, source, job="third", sets=("priority=10",))
    assert not [note for note in notebook.notes if "earlier body" in note]


def test_a_body_is_shown_in_lines_and_each_cut_is_visible() -> None:
    body = {"text": "x" * 5000, "list": list(range(300)), "objects": {f"k{n}": n for n in range(50)}, "last": 1}
    lines = shown_body(json.dumps(body).encode()).splitlines()
    assert lines[1].endswith('x... (5,000 characters)",')
    assert '    "... and 295 more"' in lines
    assert (
        lines[-1]
        == f"... and {len(json.dumps(body | {'text': '', 'list': [0] * 6}, indent=2).splitlines()) - 40} more lines"
    )
    assert shown_body(b'{"a":[{"b":1}]}') == json.dumps({"a": [{"b": 1}]}, indent=2)
