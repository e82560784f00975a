"""What is durable before what: intents before their requests, data files before the manifest that names them."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scalesync.flows.exports.run import run_export
from scalesync.flows.imports.run import run_import
from scalesync.flows.runtime.options import ExportOptions, ImportOptions
from scalesync.ledger.sqlite.connection import open_ledger
from scalesync.ledger.sqlite.exports.export_store import ExportStore
from scalesync.model.exports import Commit
from scalesync.sandbox import FaultRule, Sandbox
from scalesync.sandbox.core.wire.messages import Call, Reply
from tests.conftest import FAST, KIND, PROJECT, letter
from tests.faults.killer import VIDEO, VIDEOS


def spy_on(sandbox: Sandbox, look: Callable[[Call, str], None]) -> None:
    """Call `look` with every request of the API before the sandbox acts on it."""
    plain = sandbox.engine.api

    def api(call: Call, kind: str, authorization: str | None) -> Reply:
        look(call, kind)
        return plain(call, kind, authorization)

    sandbox.engine.api = api  # type: ignore[method-assign]


def asked(ledger: Path, query: str, *given: Any) -> Any:
    """One value, as any other process would read it now: only what was committed."""
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        row = db.execute(query, given).fetchone()
    return None if row is None else row[0]


async def test_the_intent_is_committed_before_any_create_of_its_record_leaves(
    make_sandbox, settings_for, write_records, notebook, tmp_path
):
    faults = [
        FaultRule(kind="error", on="create", share=0.2, after_write=True),
        FaultRule(kind="reset", on="create", share=0.2),
    ]
    sandbox = await make_sandbox(faults)
    states: list[str | None] = []

    def look(call: Call, kind: str) -> None:
        if kind == "create":
            key = json.loads(call.body)["unique_id"]
            states.append(asked(tmp_path / "ledger.db", "SELECT state FROM rows WHERE unique_id=?", key))

    spy_on(sandbox, look)
    options = ImportOptions(sources=(str(write_records(300)),), type=KIND, project=PROJECT)
    summary = await run_import(options, settings_for(sandbox, rate="2000"), notebook, limits=FAST, signals=False)
    assert (summary.created, summary.exit_code) == (300, 0)
    assert len(states) >= 300
    assert set(states) == {"sending"}


async def test_a_reclaim_stands_in_the_ledger_before_the_id_is_cleared_and_after_it(
    make_sandbox, settings_for, write_records, notebook, tmp_path
):
    sandbox = await make_sandbox()
    options = ImportOptions(sources=(str(write_records(2)),), type=KIND, project=PROJECT)
    other = settings_for(sandbox, ledger=tmp_path / "other.db")
    await run_import(options, other, notebook, limits=FAST, signals=False)
    world = sandbox.store.world("live")
    for task in list(world.documents()):
        sandbox.engine.api(Call("POST", f"/task/{task['task_id']}/cancel"), "mutate", "Bearer live_k")
    counted = "SELECT count(*) FROM events WHERE unique_id IS NOT NULL AND event LIKE 'reclaim%'"
    before: list[int] = []

    def look(call: Call, kind: str) -> None:
        if call.method == "DELETE":
            before.append(asked(tmp_path / "ledger.db", counted))

    spy_on(sandbox, look)
    options = ImportOptions(sources=options.sources, type=KIND, project=PROJECT, reclaim=frozenset({"canceled"}))
    summary = await run_import(options, settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert (summary.created, world.count("pending"), world.count("canceled")) == (2, 2, 2)
    assert len(before) == 2
    assert all(number >= 1 for number in before)
    assert asked(tmp_path / "ledger.db", counted) >= 4


def test_the_ledger_waits_for_the_disk_at_every_commit(tmp_path: Path) -> None:
    with closing(open_ledger(tmp_path / "ledger.db", create=True, note=lambda _: None)) as db:
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2


@dataclass
class Trace:
    """fsyncs with the size of the file at that moment, and renames, in order."""

    events: list[tuple[str, int, int, str]] = field(default_factory=list)

    def synced(self, inode: int, size: int | None = None, *, since: int = 0, until: int | None = None) -> bool:
        """Whether the file, or folder, was made durable in that stretch; size: at the least so many bytes of it."""
        return any(
            what == "sync" and of == inode and (size is None or length >= size)
            for what, of, length, _ in self.events[since:until]
        )

    def durable_lines(self, path: Path) -> int:
        """How many lines of a file a power cut would leave."""
        inode = path.stat().st_ino
        lengths = [length for what, of, length, _ in self.events if (what, of) == ("sync", inode)]
        return path.read_bytes()[: max(lengths, default=0)].count(b"\n")

    def renamed(self, path: Path) -> int:
        """Where a file got its name."""
        named = ("rename", str(path))
        (place,) = [number for number, event in enumerate(self.events) if (event[0], event[3]) == named]
        return place


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch) -> Trace:
    kept = Trace()

    def sync(plain: Callable[[int], None]) -> Callable[[int], None]:
        def traced(handle: int) -> None:
            plain(handle)
            facts = os.fstat(handle)
            kept.events.append(("sync", facts.st_ino, facts.st_size, ""))

        return traced

    def rename(plain: Callable[..., None]) -> Callable[..., None]:
        def traced(source: Any, target: Any) -> None:
            inode = os.stat(source).st_ino
            plain(source, target)
            kept.events.append(("rename", inode, 0, str(target)))

        return traced

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, sync(getattr(os, name)))
    for name in ("rename", "replace"):
        monkeypatch.setattr(os, name, rename(getattr(os, name)))
    return kept


async def test_files_and_their_names_are_durable_before_the_manifest_names_them(
    trace, make_sandbox, settings_for, notebook, tmp_path
):
    sandbox = await make_sandbox(result_bytes=5000)
    sandbox.store.world("test").add_project(VIDEOS, "videoannotation")
    for number in range(30):
        body = json.dumps(VIDEO | {"unique_id": f"v{number}", "project": VIDEOS}).encode()
        assert sandbox.engine.api(Call("POST", "/task/videoannotation", body), "create", "Bearer test_k").status == 200
    out = tmp_path / "out"
    options = ExportOptions(out=out, download_responses=True, page_size=10)
    summary = await run_export(options, settings_for(sandbox, key="test_k"), notebook, signals=False)
    assert (summary.exit_code, summary.tasks, summary.responses_downloaded) == (0, 30, 30)
    manifest = json.loads((out / "manifest.json").read_bytes())
    index = manifest["responses"]["files"]
    listed = {out / entry["path"] for entry in [*manifest["files"], *index]}
    for entry in index:
        listed |= {out / json.loads(line)["path"] for line in (out / entry["path"]).read_bytes().splitlines()}
    assert len(listed) == 32
    assert_durable_before_the_commit(trace, out, listed)


async def test_the_lines_of_a_page_are_durable_before_the_cursor_behind_it(
    trace, make_sandbox, settings_for, notebook, tmp_path, monkeypatch
):
    sandbox = await make_sandbox()
    for number in range(45):
        body = json.dumps(letter(number) | {"project": PROJECT}).encode()
        assert sandbox.engine.api(Call("POST", f"/task/{KIND}", body), "create", "Bearer test_k").status == 200
    out, taken, seen = tmp_path / "out", dict[int, int](), list[tuple[int, int]]()
    plain = ExportStore.commit

    async def commit(store: ExportStore, step: Commit) -> None:
        taken.update({number: state["inside"] for number, state in step.partitions.items()})
        files = [*out.glob(".part-*"), *out.glob("tasks/*")]
        seen.append((sum(taken.values()), sum(map(trace.durable_lines, files))))
        await plain(store, step)

    monkeypatch.setattr(ExportStore, "commit", commit)
    options = ExportOptions(out=out, page_size=10)
    await run_export(options, settings_for(sandbox, key="test_k"), notebook, signals=False)
    assert (len(seen) > 2, seen[-1]) == (True, (45, 45))
    assert all(cursor <= lines for cursor, lines in seen), seen


async def test_the_folder_of_the_data_files_is_durable_before_the_manifest_names_what_is_in_it(
    trace, make_sandbox, settings_for, notebook, tmp_path
):
    """Without result files nothing else brings the name of the folder to the disk."""
    sandbox = await make_sandbox()
    body = json.dumps(letter(1) | {"project": PROJECT}).encode()
    assert sandbox.engine.api(Call("POST", f"/task/{KIND}", body), "create", "Bearer test_k").status == 200
    out = tmp_path / "out"
    await run_export(ExportOptions(out=out), settings_for(sandbox, key="test_k"), notebook, signals=False)
    listed = {out / entry["path"] for entry in json.loads((out / "manifest.json").read_bytes())["files"]}
    assert {path.parent for path in listed} == {out / "tasks"}
    assert_durable_before_the_commit(trace, out, listed)


def assert_durable_before_the_commit(trace: Trace, out: Path, listed: set[Path]) -> None:
    """Each of the files was durable before it was named, and its name before the manifest's."""
    commit = trace.renamed(out / "manifest.json")
    for path in listed:
        facts, named = path.stat(), trace.renamed(path)
        assert named < commit
        assert trace.synced(facts.st_ino, facts.st_size, until=named), f"{path.name} was named before it was durable"
        assert trace.synced(path.parent.stat().st_ino, since=named, until=commit), f"{path.name} can lose its name"
        if path.parent != out:
            above = path.parent.parent
            assert trace.synced(above.stat().st_ino, until=commit), f"{path.parent.name} can lose its name"
    facts = (out / "manifest.json").stat()
    assert trace.synced(facts.st_ino, facts.st_size, until=commit), "the manifest was named before it was durable"
    assert trace.synced(out.stat().st_ino, since=commit), "the commit itself is not durable"
