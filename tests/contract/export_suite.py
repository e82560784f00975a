"""What one run of an export or a backfill must find in any ledger: `ExportLedger`."""

from __future__ import annotations

import pytest

from scalesync.errors import LeaseLost
from scalesync.model.exports import Commit, StoredRun, Version, WindowRow
from scalesync.model.jobs import JobSpec
from scalesync.model.records import JsonObject
from tests.contract.ledgers import LIVE, Ledgers, finish, open_export


def export(name: str = "e", command: str = "export") -> JobSpec:
    return JobSpec(name, command, LIVE, {"out": f"/{name}"}, {"format": "jsonl"})


def part(number: int, *, done: bool = False) -> JsonObject:
    return {"number": number, "done": done, "cursor": f"c{number}"}


def entry(path: str, rows: int = 1) -> JsonObject:
    return {"path": path, "rows": rows, "bytes": 10 * rows}


class ExportContract:
    """Derive, and give the fixture `ledgers`."""

    async def test_a_run_is_found_as_its_last_step_left_it(self, ledgers: Ledgers):
        job = await open_export(ledgers, export())
        assert await job.stored_run() is None
        await job.begin_run("2026-01-01T00:00:00Z", {"form": {"a": 1}})
        assert await job.stored_run() == StoredRun({"form": {"a": 1}}, {}, [], done=False)
        await job.commit(Commit(partitions={2: part(2), 1: part(1)}, plan={"stored": 1}))
        await job.commit(Commit(partitions={1: part(1, done=True)}, plan={"stored": 2}))
        await ledgers.die(export())
        again = await open_export(ledgers, export())
        kept = StoredRun({"form": {"a": 1}}, {"stored": 2}, [part(1, done=True), part(2)], done=False)
        assert await again.stored_run() == kept
        await again.end_run()
        assert (await again.stored_run()) == StoredRun(kept.plan, kept.progress, kept.partitions, done=True)

    async def test_a_new_run_forgets_partitions_and_files_and_keeps_versions(self, ledgers: Ledgers):
        job = await open_export(ledgers, export())
        await job.begin_run("one", {"run": 1})
        await job.commit(Commit(partitions={1: part(1)}, files={"a": ("tasks", entry("a"))}))
        await job.commit(Commit(versions={"t": Version(5, matched=True)}))
        await job.begin_run("two", {"run": 2})
        assert await job.stored_run() == StoredRun({"run": 2}, {}, [], done=False)
        assert list(await job.files("tasks")) == []
        assert await job.versions(["t"]) == {"t": Version(5, matched=True)}

    async def test_files_are_listed_by_kind_and_path_as_they_were_written_last(self, ledgers: Ledgers):
        job = await open_export(ledgers, export())
        await job.begin_run("one", {})
        await job.commit(Commit(files={"b": ("tasks", entry("b")), "open": ("tasks:open", {"name": "open"})}))
        await job.commit(Commit(files={"a": ("tasks", entry("a")), "l": ("left", entry("l"))}))
        await job.commit(Commit(files={"open": ("tasks", entry("open", 3))}))
        assert list(await job.files("tasks")) == [entry("a"), entry("b"), entry("open", 3)]
        assert list(await job.files("tasks:open")) == []
        assert list(await job.files("left")) == [entry("l")]
        (row,) = await ledgers.open().jobs()
        assert dict(row.counts) == {"tasks": 5, "files": 3, "bytes": 50}

    async def test_versions_are_remembered_for_each_job(self, ledgers: Ledgers):
        one, two = await open_export(ledgers, export("one")), await open_export(ledgers, export("two"))
        await one.commit(Commit(versions={"a": Version(5, matched=True), "b": Version(6, matched=False)}))
        await one.commit(Commit(versions={"a": Version(9, matched=False)}))
        many = [f"t{number}" for number in range(1200)]
        await two.commit(Commit(versions={key: Version(n, matched=True) for n, key in enumerate(many)}))
        assert await one.versions(["a", "b", "c"]) == {"a": Version(9, matched=False), "b": Version(6, matched=False)}
        assert len(await two.versions([*many, "a"])) == 1200
        await one.forget_versions()
        assert await one.versions(["a", "b"]) == {}
        assert len(await two.versions(many)) == 1200

    async def test_deliveries_of_parts_are_remembered_for_each_job_over_its_runs(self, ledgers: Ledgers):
        one, two = await open_export(ledgers, export("one")), await open_export(ledgers, export("two"))
        await one.commit(Commit(parts={"a": {"boxes": "2026-01-01", "lanes": "x"}, "b": {"boxes": "y"}}))
        await one.commit(Commit(parts={"a": {"boxes": "2026-01-02"}}))
        many = [f"t{number}" for number in range(1200)]
        await two.commit(Commit(parts={key: {"boxes": key} for key in many}))
        await one.begin_run("one", {"run": 1})
        assert await one.parts(["a", "c"]) == {"a": {"boxes": "2026-01-02", "lanes": "x"}}
        assert len(await two.parts([*many, "a"])) == 1200
        await one.forget_parts()
        assert await one.parts(["a", "b"]) == {}
        assert len(await two.parts(many)) == 1200

    async def test_update_times_cut_the_versions_into_groups_that_can_be_counted(self, ledgers: Ledgers):
        job = await open_export(ledgers, export())
        assert list(await job.updated_marks(10)) == []
        await job.commit(Commit(versions={f"t{n}": Version(100 + n, matched=True) for n in range(25)}))
        assert list(await job.updated_marks(10)) == [100, 110, 120]
        assert await job.count_updated(100, 110) == 10
        assert await job.count_updated(120, 999) == 5
        assert await job.count_updated(0, 100) == 0

    async def test_the_windows_of_a_backfill_are_shown_with_the_job(self, ledgers: Ledgers):
        job = await open_export(ledgers, export("b", "backfill"))
        figures = {"tasks": 3, "files": 1, "bytes": 30}
        await job.replace_windows([WindowRow("gone", "x", "pending")])
        await job.replace_windows([WindowRow("2", "3", "pending"), WindowRow("1", "2", "done", figures)])
        await job.update_window(WindowRow("2", "3", "open", {"tasks": 1}))
        await job.begin_run("one", {})
        (row,) = await ledgers.open().jobs()
        assert row.windows == (
            {"start": "1", "end": "2", "state": "done", **figures},
            {"start": "2", "end": "3", "state": "open", "tasks": 1},
        )
        assert dict(row.counts) == {"tasks": 4, "files": 1, "bytes": 30}

    async def test_a_run_whose_lease_was_taken_over_writes_nothing_more(self, ledgers: Ledgers):
        slow = await open_export(ledgers, export())
        await slow.begin_run("one", {"run": 1})
        await ledgers.lapse(export())
        fresh = await open_export(ledgers, export())
        for write in (
            lambda: slow.begin_run("late", {"run": 9}),
            slow.end_run,
            lambda: slow.commit(Commit(partitions={1: part(1)}, versions={"t": Version(1, matched=True)})),
            lambda: slow.commit(Commit(parts={"t": {"boxes": "late"}})),
            slow.forget_versions,
            slow.forget_parts,
            lambda: slow.replace_windows([WindowRow("1", "2", "done")]),
            lambda: slow.update_window(WindowRow("1", "2", "done")),
            slow.heartbeat,
        ):
            with pytest.raises(LeaseLost, match="took over"):
                await write()
        assert await fresh.stored_run() == StoredRun({"run": 1}, {}, [], done=False)
        assert await fresh.versions(["t"]) == {}
        assert await fresh.parts(["t"]) == {}
        await finish(fresh)
