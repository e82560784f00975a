"""What a run says and keeps of how its sources are read."""

from __future__ import annotations

import json

import pytest

from scalesync.flows.imports.reading.prepare import Preparer
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.jobs.status import list_failures
from scalesync.flows.runtime.options import RetryOptions
from scalesync.mapping import expressions
from scalesync.sandbox import FaultRule
from scalesync.sources.formats import parquet
from tests.conftest import FAST, letter
from tests.flows.conftest import creates, requests


async def test_sources_without_records_are_named_and_the_run_is_done(make_sandbox, bring, notebook, tmp_path):
    sandbox = await make_sandbox()
    (tmp_path / "none.jsonl").write_text("")
    (tmp_path / "head.csv").write_text("attachment,categories\n")
    summary = await bring(sandbox, [tmp_path / "none.jsonl", tmp_path / "head.csv"])
    assert (summary.exit_code, summary.read) == (0, 0)
    assert f"{tmp_path / 'none.jsonl'}: holds no record: it is empty" in notebook.notes
    assert f"{tmp_path / 'head.csv'}: holds no record: it has a header and no rows" in notebook.notes


async def test_a_file_that_is_written_to_while_it_is_read_is_named_and_read_again(
    make_sandbox, bring, notebook, write_records, monkeypatch
):
    sandbox = await make_sandbox()
    source = write_records(5)
    honest = Preparer.prepare

    async def meanwhile(self, load):
        with source.open("a") as more:
            more.write("\n")
        return await honest(self, load)

    monkeypatch.setattr(Preparer, "prepare", meanwhile)
    assert (await bring(sandbox, source)).created == 5
    told = "letters.jsonl: changed while this run read it; run the same command again to read it as it is now"
    assert any(note.endswith(told) for note in notebook.notes)
    monkeypatch.undo()
    notebook.notes.clear()
    again = await bring(sandbox, source)
    assert (again.created, "nothing to send" in again.message) == (5, False)
    assert not any("changed while" in note for note in notebook.notes)


async def test_one_sentence_names_the_first_few_of_many_sources(make_sandbox, bring, notebook, tmp_path):
    sandbox = await make_sandbox()
    for number in range(6):
        (tmp_path / f"n{number}.jsonl").write_text("")
    await bring(sandbox, f"{tmp_path}/n*.jsonl", dry_run=True)
    (note,) = [note for note in notebook.notes if "holds no record" in note]
    assert note.count(".jsonl") == 3
    assert "and 3 more sources: holds no record" in note


async def test_a_wrapped_list_is_imported_and_retried_with_the_key_that_was_given(
    make_sandbox, bring, notebook, settings_for, tmp_path
):
    sandbox = await make_sandbox(faults=[FaultRule(kind="error", on="create", status=400, at=(3,))])
    source = tmp_path / "wrapped.json"
    source.write_text(json.dumps({"version": 2, "items": [letter(n) for n in range(12)]}))
    assert (await bring(sandbox, source, dry_run=True)).read == 1
    assert any("--records items" in note for note in notebook.notes)
    first = await bring(sandbox, source, records="items")
    assert (first.read, first.created, first.failed) == (12, 11, 1)
    settings = settings_for(sandbox)
    (group,) = await list_failures(settings.ledger, None, None, 3)
    assert group.count == 1
    again = await run_retry(RetryOptions(), settings, notebook, limits=FAST, signals=False)
    assert (again.exit_code, again.created, again.gone) == (0, 12, 0)
    seen = requests(sandbox)
    assert (await bring(sandbox, source, records="items")).created == 12
    assert requests(sandbox) == seen


async def test_another_key_or_other_skipped_lines_read_a_finished_job_again(make_sandbox, bring, tmp_path):
    sandbox = await make_sandbox()
    source = tmp_path / "two.csv"
    source.write_text("unit,unit\nattachment,attachment_type\nsome text,text\n")
    summary = await bring(sandbox, source, skip_rows=1, sets=('categories=["a","b"]',), job="j")
    assert (summary.read, summary.created) == (1, 1)
    other = await bring(sandbox, source, skip_rows=2, sets=('categories=["a","b"]',), job="j", dry_run=True)
    assert other.gone == 1


async def test_rows_of_a_version_that_wrote_whole_floats_otherwise_keep_their_ids(
    make_sandbox, bring, monkeypatch, tmp_path
):
    sandbox = await make_sandbox()
    source = tmp_path / "floats.jsonl"
    records = [letter(n) | {"n": float(n), "name": 'a "b" ü'} for n in range(5)]
    source.write_text("".join(json.dumps({k: v for k, v in r.items() if k != "unique_id"}) + "\n" for r in records))
    with monkeypatch.context() as old:
        old.setattr(expressions, "number_text", str)
        old.setattr(expressions.Expression, "formerly", lambda self, record: None)
        first = await bring(sandbox, source, unique_id="{name}-{n}")
    assert (first.exit_code, first.created) == (0, 5)
    seen = creates(sandbox)
    again = await bring(sandbox, source, unique_id="{name}-{n}", rescan=True)
    assert (again.exit_code, again.created, again.gone) == (0, 5, 0)
    assert creates(sandbox) == seen
    source.write_text(source.read_text() + source.read_text().splitlines()[0].replace('"n": 0.0', '"n": 9.0') + "\n")
    more = await bring(sandbox, source, unique_id="{name}-{n}")
    assert (more.exit_code, more.created, more.gone) == (0, 6, 0)
    assert 'a "b" ü-9' in {task.unique_id for task in sandbox.store.world("live").tasks}


async def test_row_numbers_of_pandas_make_no_second_task_and_rows_that_held_them_stay(
    make_sandbox, bring, notebook, monkeypatch, tmp_path
):
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    sandbox = await make_sandbox()
    source = tmp_path / "t.parquet"

    def write(numbers: list[int]) -> None:
        facts = {"index_columns": ["__index_level_0__"], "columns": [{"name": None, "field_name": "__index_level_0__"}]}
        columns = {
            name: [letter(n)[name] for n in range(3)] for name in ("attachment", "attachment_type", "categories")
        }
        table = pa.table({**columns, "__index_level_0__": numbers})
        pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(facts)}), source)

    write([4, 9, 11])
    with monkeypatch.context() as old:
        old.setattr(parquet, "row_numbers", lambda schema: frozenset())
        assert (await bring(sandbox, source)).created == 3
    seen = creates(sandbox)
    again = await bring(sandbox, source, rescan=True)
    assert (again.exit_code, again.created, again.gone, creates(sandbox)) == (0, 3, 0, seen)
    assert any("holds the row numbers of pandas and is left out" in note for note in notebook.notes)

    fresh = {"settings": {"ledger": tmp_path / "other.db"}, "project": None}
    assert (await bring(sandbox, source, **fresh)).created == 3
    seen = creates(sandbox)
    write([0, 1, 2])
    renumbered = await bring(sandbox, source, **fresh)
    assert (renumbered.exit_code, renumbered.created, renumbered.gone, creates(sandbox)) == (0, 3, 0, seen)
