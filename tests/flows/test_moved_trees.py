"""A ledger with its sources in another place: copied, moved, or one of them without the other."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scalesync.errors import SourceError
from scalesync.flows.imports.run import run_import
from scalesync.flows.jobs.failures import write_failures
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.jobs.status import job_status, list_failures
from scalesync.flows.runtime.options import ImportOptions, RetryOptions
from scalesync.flows.verify.run import run_verify
from tests.conftest import FAST, KIND, PROJECT, letter

OTHER_LETTER = {"attachment": "from the other place", "attachment_type": "text", "categories": ["a"]}


@dataclass
class Tree:
    """A folder with a ledger and its sources; commands run with it as the working folder."""

    root: Path
    sandbox: Any
    settings_for: Any
    notebook: Any
    monkeypatch: Any
    ledger: str = "scalesync.db"

    def at(self, root: Path) -> Tree:
        """The same commands in another folder."""
        return Tree(root, self.sandbox, self.settings_for, self.notebook, self.monkeypatch, self.ledger)

    @property
    def settings(self) -> Any:
        self.monkeypatch.chdir(self.root)
        return self.settings_for(self.sandbox, ledger=Path(self.ledger))

    def write(self, name: str, start: int, *, broken: bool = True) -> Path:
        """Two letters, one that the server refuses, and perhaps a line that is none."""
        rows: list[Any] = [letter(start), letter(start + 1), letter(start + 2, priority=11)]
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows) + ("no JSON\n" if broken else ""))
        return path

    async def bring(self, *sources: str | Path, **options: Any) -> Any:
        asked = ImportOptions(tuple(str(source) for source in sources), KIND, project=PROJECT, **options)
        return await run_import(asked, self.settings, self.notebook, limits=FAST, signals=False)

    async def verify(self, job: str) -> Any:
        return await run_verify(self.settings, job, None, self.notebook, limits=FAST)

    async def retry(self, job: str) -> Any:
        return await run_retry(RetryOptions(job=job), self.settings, self.notebook, limits=FAST, signals=False)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.root / self.ledger) as db:
            return db.execute(sql).fetchall()


@pytest.fixture
async def tree(tmp_path, make_sandbox, settings_for, notebook, monkeypatch) -> Tree:
    (tmp_path / "first").mkdir()
    return Tree(tmp_path / "first", await make_sandbox(), settings_for, notebook, monkeypatch)


def mended(path: Path) -> None:
    """The record that the server refused, in a form that it takes and that shows where it came from."""
    rows = path.read_text().splitlines()
    rows[2] = json.dumps({"unique_id": json.loads(rows[2])["unique_id"], **OTHER_LETTER})
    path.write_text("".join(row + "\n" for row in rows))


def texts(tree: Tree) -> set[str]:
    return {task["params"]["attachment"] for task in tree.sandbox.store.world("live").documents()}


WAYS = {
    "typed": "letters.jsonl",
    "whole path": "{root}/letters.jsonl",
    "folder": "data",
    "glob": "data/*.jsonl",
    "here": ".",
}


@pytest.mark.parametrize("typed", WAYS.values(), ids=WAYS)
async def test_in_a_copied_tree_every_command_reads_the_copy(tree: Tree, typed: str):
    if typed.startswith("data"):
        tree.write("data/letters.jsonl", 0)
    else:
        tree.write("letters.jsonl", 0)
    done = await tree.bring(typed.format(root=tree.root), job="j")
    assert (done.created, done.failed, done.invalid) == (2, 1, 1)
    copy = tree.at(tree.root.parent / "copy")
    shutil.copytree(tree.root, copy.root)
    shutil.rmtree(copy.root / ".git", ignore_errors=True)
    (source,) = copy.root.rglob("letters.jsonl")
    (former,) = tree.root.rglob("letters.jsonl")
    former.write_text("not a record any more\n")
    shown = {
        str(one["file"]) for group in await list_failures(copy.settings.ledger, "j", None) for one in group.examples
    }
    assert all(os.path.samefile(copy.root / name, source) for name in shown)
    out = await write_failures(copy.settings, "j", None, copy.root / "out" if typed != "." else copy.root / ".out")
    assert (out.written, out.bad, out.left) == (1, 1, ())
    assert (await copy.verify("j")).findings == {"failed": 1, "invalid": 1}
    mended(source)
    again = await copy.retry("j")
    assert (again.created, again.failed, again.invalid) == (3, 0, 1)
    assert OTHER_LETTER["attachment"] in texts(copy)
    # The command typed again finds the job, with nothing left to do but the sources' news.
    once_more = await copy.bring(typed.format(root=copy.root), job="j")
    assert (once_more.job, once_more.created, once_more.invalid, once_more.read) == ("j", 3, 1, 4)
    assert copy.ask("SELECT count(*) FROM splits WHERE kind='source' AND state='read'") == [(1,)]


async def test_a_moved_tree_needs_nothing_and_says_nothing_of_its_old_place(tree: Tree):
    tree.write("a.jsonl", 0)
    tree.write("data/b.jsonl", 10)
    derived = await tree.bring("a.jsonl", "data")
    moved = tree.at(tree.root.rename(tree.root.parent / "moved"))
    checked = await moved.verify(derived.job)
    assert (checked.read, checked.findings) == (8, {"failed": 2, "invalid": 2})
    assert str(tree.root) not in str(moved.notebook.notes) + checked.message
    again = await moved.bring("a.jsonl", "data")
    assert (again.job, again.requests) == (derived.job, 0)
    assert (await moved.bring("a.jsonl", "data", rescan=True)).read == 8
    kept = "SELECT json_extract(settings, '$.earlier'), json_extract(settings, '$.home') FROM jobs"
    assert moved.ask(kept) == [("[]", str(moved.root))]
    assert {row.sources for row in await job_status(moved.settings.ledger, None)} == {("a.jsonl", "data/b.jsonl")}


@pytest.mark.parametrize("named", [True, False])
async def test_a_source_that_moved_is_named_with_the_next_step_and_forgotten_after_it(tree: Tree, named: bool):
    tree.write("a.jsonl", 0)
    job = (await tree.bring("a.jsonl", **({"job": "j"} if named else {}))).job
    (tree.root / "data").mkdir()
    (tree.root / "a.jsonl").rename(tree.root / "data" / "b.jsonl")
    said = (
        f"{tree.root}/a.jsonl: there is no such file; put it back, or run its import again with the new place and"
        f" --job {job}"
    )
    for command in (tree.verify(job), tree.retry(job), write_failures(tree.settings, job, None, tree.root / "out")):
        with pytest.raises(SourceError) as error:
            await command
        assert str(error.value) == said
    healed = await tree.bring("data/b.jsonl", job=job)
    assert (healed.read, healed.created, healed.failed, healed.invalid) == (4, 2, 1, 1)
    assert "a.jsonl: no longer there, and all its records are in the sources of this run now" in tree.notebook.notes
    tree.notebook.notes.clear()
    checked = await tree.verify(job)
    assert (checked.read, checked.findings) == (4, {"failed": 1, "invalid": 1})
    assert "a.jsonl" not in checked.message + str(tree.notebook.notes)
    # Put back, it is read again like any source of the job.
    shutil.copy(tree.root / "data" / "b.jsonl", tree.root / "a.jsonl")
    assert (await tree.verify(job)).read == 8


async def test_a_source_that_is_gone_is_reported_while_it_holds_anything_that_no_other_has(tree: Tree):
    tree.write("a.jsonl", 0)
    await tree.bring("a.jsonl", job="j")
    (tree.root / "a.jsonl").unlink()
    tree.write("b.jsonl", 10)
    both = await tree.bring("b.jsonl", job="j")
    assert (both.read, both.failed, both.invalid) == (8, 2, 2)
    checked = await tree.verify("j")
    told = "a.jsonl: no longer there, and left out; the other sources of the job are read"
    assert f"{told} (put it back, or import it from the new place with --job j)" in checked.message
    # All its records are elsewhere now, but not the line that is none.
    tree.write("c.jsonl", 0, broken=False)
    await tree.bring("c.jsonl", job="j")
    assert "a.jsonl: no longer there, and left out" in (await tree.verify("j")).message
    tree.write("c.jsonl", 0)
    done = await tree.bring("c.jsonl", job="j")
    assert (done.read, done.duplicates, done.invalid) == (8, 0, 2)
    assert "a.jsonl" not in (await tree.verify("j")).message


async def test_sources_elsewhere_are_found_where_they_were_after_the_ledger_moved(tree: Tree):
    outside = tree.at(tree.root.parent)
    outside.write("elsewhere.jsonl", 0)
    tree.write("beside.jsonl", 10)
    await tree.bring("../elsewhere.jsonl", job="outside")
    await tree.bring("beside.jsonl", job="inside")
    deeper = tree.at(tree.root.parent / "x" / "y")
    deeper.root.mkdir(parents=True)
    for path in tree.root.glob("scalesync.db*"):
        path.rename(deeper.root / path.name)
    assert (await deeper.verify("outside")).findings == {"failed": 1, "invalid": 1}
    with pytest.raises(SourceError, match=f"^{deeper.root}/beside.jsonl: there is no such file; put it back, or run"):
        await deeper.verify("inside")
    healed = await deeper.bring(tree.root / "beside.jsonl", job="inside")
    assert (healed.read, healed.failed) == (4, 1)
    assert (await deeper.verify("inside")).findings == {"failed": 1, "invalid": 1}


async def test_a_tree_behind_a_link_is_one_tree(tree: Tree):
    tree.write("a.jsonl", 0)
    link = tree.root.parent / "link"
    link.symlink_to(tree.root)
    through = await tree.at(link).bring(link / "a.jsonl")
    assert (await tree.bring(tree.root / "a.jsonl")).job == through.job
    tree.ledger = str(link / "scalesync.db")
    assert (await tree.bring(tree.root / "a.jsonl")).job == through.job
    assert tree.ask("SELECT name FROM splits") == [("a.jsonl",)]
    tree.ledger = "scalesync.db"
    link.unlink()
    moved = tree.at(tree.root.rename(tree.root.parent / "moved"))
    assert (await moved.verify(through.job)).read == 4


async def test_a_ledger_of_an_older_version_reads_the_copy_too(tree: Tree):
    """That version kept whole paths; a job told its sources from the ledger's folder, and shows what that was."""
    for name, start in (("a.jsonl", 0), ("sub/a.jsonl", 10)):
        tree.write(name, start)
    await tree.bring("a.jsonl", job="j")
    await tree.bring("sub/a.jsonl", job="j")
    as_of_then(tree.root)
    copy = tree.at(tree.root.parent / "copy")
    shutil.copytree(tree.root, copy.root)
    for path in tree.root.rglob("*.jsonl"):
        path.unlink()
    checked = await copy.verify("j")
    assert (checked.read, checked.findings) == (8, {"failed": 2, "invalid": 2})
    assert copy.ask("SELECT name, json_extract(spec, '$.path') FROM splits ORDER BY 1") == [
        ("a.jsonl", "a.jsonl"),
        ("sub/a.jsonl", "sub/a.jsonl"),
    ]
    assert (await copy.bring("sub/a.jsonl", job="j")).read == 8


def as_of_then(root: Path) -> None:
    """The ledger in this folder as the version before relative sources left it."""
    with sqlite3.connect(root / "scalesync.db") as db:
        db.execute("UPDATE jobs SET settings=json_remove(settings, '$.home')")
        db.execute(
            "UPDATE splits SET spec=json_set(spec, '$.path', ? || name), name=? || name", [f"{root}{os.sep}"] * 2
        )
        db.execute("DELETE FROM _sqlite_migrations WHERE name='m009_relative_sources'")
