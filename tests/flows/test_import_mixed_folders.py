"""Folders in which files for people lie beside data: skipped by name, except by jobs that have always counted them."""

from __future__ import annotations

import bz2
import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scalesync.errors import SourceError
from scalesync.flows.jobs.rebuild import run_rebuild
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.runtime.options import ImportOptions, RetryOptions
from scalesync.flows.verify.run import run_verify
from tests.conftest import FAST, KIND, PROJECT, letter

KINDS = {"attachment_type": "text", "categories": ["a", "b"]}


@pytest.fixture
def folder(tmp_path: Path, write_records) -> Path:
    """Three records, and four files that hold none."""
    place = tmp_path / "in"
    place.mkdir()
    write_records([letter(number) for number in range(3)]).rename(place / "a.jsonl")
    for name in ("README.md", "LICENSE", "notes.txt", "cat.png", ".DS_Store", "Thumbs.db"):
        (place / name).write_text("for people")
    return place


def skipped(notebook) -> list[str]:
    return [note for note in notebook.notes if note.startswith("skipped ")]


async def test_files_without_records_are_skipped_by_name(folder, make_sandbox, bring, settings_for, notebook, tmp_path):
    sandbox = await make_sandbox()
    summary = await bring(sandbox, folder, job="j")
    assert (summary.read, summary.created, summary.exit_code) == (3, 3, 0)
    (told,) = skipped(notebook)
    assert "4 without records (" in told
    assert "LICENSE" in told
    assert told.endswith("a template that names _file, or --describe-all, makes a record of such a file")
    checked = await run_verify(settings_for(sandbox), "j", tmp_path / "findings.jsonl", notebook, limits=FAST)
    assert (checked.read, checked.exit_code) == (3, 0)


async def test_a_template_that_names_the_file_takes_what_people_label_and_not_what_they_read(
    folder, make_sandbox, bring, notebook
):
    sandbox = await make_sandbox()
    template = {"task": {**KINDS, "attachment": "https://x.test/{_file.path?}"}}
    summary = await bring(sandbox, folder, template=template)
    assert summary.read == 5
    (told,) = skipped(notebook)
    assert "2 without records (" in told
    assert "README.md" in told
    assert "notes.txt" not in told


async def test_a_folder_with_nothing_else_is_refused_with_the_names(make_sandbox, bring, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "README.md").write_text("for people")
    with pytest.raises(SourceError, match=r"holds no file with records \(skipped 1 file: 1 without records \(.*README"):
        await bring(await make_sandbox(), tmp_path / "in")


@pytest.mark.parametrize("before", ["typed", "by an earlier version"])
async def test_a_job_that_counted_them_keeps_them(
    folder, make_sandbox, bring, settings_for, notebook, tmp_path, before
):
    sandbox = await make_sandbox()
    first = await bring(sandbox, folder, job="j", describe_all=True)
    assert (first.read, first.created, first.failed) == (7, 3, 4)
    ledger = settings_for(sandbox).ledger
    if before != "typed":  # earlier versions kept no such option
        with closing(sqlite3.connect(ledger)) as file, file:
            file.execute("UPDATE jobs SET settings = json_remove(settings, '$.describe_all')")
    for more in ({}, {"rescan": True}, {"dry_run": True}):
        again = await bring(sandbox, folder, job="j", **more)
        assert (again.read, again.created, again.failed, again.gone) == (7, 3, 4, 0), more
    assert "without records" not in "".join(skipped(notebook))
    retried = await run_retry(RetryOptions(job="j"), settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert (retried.read, retried.failed) == (7, 4)
    checked = await run_verify(settings_for(sandbox), "j", tmp_path / "findings.jsonl", notebook, limits=FAST)
    assert (checked.read, "miscounted" in checked.without) == (7, False)


async def test_a_rebuild_counts_them_when_the_import_did(folder, make_sandbox, bring, settings_for, notebook):
    sandbox = await make_sandbox()
    await bring(sandbox, folder, job="j", describe_all=True)
    ledger = settings_for(sandbox).ledger
    ledger.unlink()
    asked = ImportOptions(sources=(str(folder),), type=KIND, project=PROJECT, job="j", describe_all=True)
    rebuilt = await run_rebuild(asked, settings_for(sandbox), notebook, limits=FAST)
    assert (rebuilt.read, rebuilt.created + rebuilt.adopted, rebuilt.pending) == (7, 3, 4)
    again = await bring(sandbox, folder, job="j")
    assert (again.read, again.created + again.adopted, again.failed) == (7, 3, 4)


async def test_a_job_that_counted_them_keeps_them_when_another_source_is_typed(
    folder, make_sandbox, bring, settings_for, notebook, tmp_path, write_records
):
    sandbox = await make_sandbox()
    await bring(sandbox, folder, job="j", describe_all=True)
    other = write_records([letter(number) for number in range(3, 5)])
    await bring(sandbox, other, job="j")
    checked = await run_verify(settings_for(sandbox), "j", tmp_path / "findings.jsonl", notebook, limits=FAST)
    assert (checked.read, checked.without.get("gone", 0)) == (9, 0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("b.jsonl.bz2", bz2.compress(b'{"a": 1}\n')),
        ("b.csv.lzo", b"\x89LZO"),
        ("part-00000", b'{"a": 1}\n{"a": 2}\n'),
        ("part-00000.gz", gzip.compress(b'{"a": 1}\n')),
        ("rows.dat", b"a,b\n1,2\n3,4\n"),
        ("book.xlsx", b"PK\x03\x04 a workbook"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_file_that_may_hold_records_is_not_called_one_without(
    folder, make_sandbox, bring, notebook, name, content
):
    (folder / name).write_bytes(content)
    summary = await bring(await make_sandbox(), folder, job="j")
    assert (summary.read, summary.exit_code) == (3, 0)
    (told,) = skipped(notebook)
    assert f"1 that may hold records ({folder / name}), 4 without records (" in told
    (advice,) = [note for note in notebook.notes if "may hold records, but not read" in note]
    assert advice.startswith(f"{folder / name}: ")


async def test_a_template_and_pictures_beside_the_data_hold_no_records(folder, make_sandbox, bring, notebook):
    (folder / "task.toml").write_text('[task]\nattachment = "x"\n')
    (folder / "empty.dat").touch()
    await bring(await make_sandbox(), folder, job="j")
    assert "may hold records" not in "".join(notebook.notes)


async def test_a_folder_with_nothing_but_packed_records_is_refused(make_sandbox, bring, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "b.jsonl.bz2").write_bytes(bz2.compress(b"{}"))
    with pytest.raises(SourceError, match=r"holds no file with records \(skipped 1 file: 1 that may hold records"):
        await bring(await make_sandbox(), tmp_path / "in")
