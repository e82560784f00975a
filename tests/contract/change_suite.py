"""What any ledger must do with the changes of a job of `apply`: `ChangeLedger`."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from scalesync.errors import LeaseLost, NameBound
from scalesync.model.changes import Change, ChangeOutcome, ChangeState, StoredChange
from scalesync.model.jobs import Failure, JobSpec
from scalesync.model.rows import OtherRecord, RecordState
from scalesync.ports.change_ledger import ChangeLedger
from tests.contract.ledgers import LIVE, Ledgers, finish, open_changes, open_import, some, spec, stored

C = ChangeState


def apply(name: str = "a", change: str = "tags add", **identity: Any) -> JobSpec:
    return JobSpec(
        name,
        "apply",
        LIVE,
        {"change": change, "arguments": {"tags": ["x"]}, "of": {"tasks": ["t.csv"]}, **identity},
        {"tags": "x"},
    )


def change(ref: str, line: int = 1, tag: str = "x", **more: Any) -> Change:
    given = {"key": None, "source": 0, **more}
    return Change(ref, given.pop("key"), {"tags": [tag]}, given.pop("source"), line, **given)


def end(ref: str, state: ChangeState, **more: Any) -> ChangeOutcome:
    return ChangeOutcome(ref, state, **{"attempts": 1, **more})


async def refs(job: ChangeLedger, *states: ChangeState) -> list[str]:
    return [one.change.ref for one in await job.pages(states, "", 99)]


async def sent(job: ChangeLedger, *ends: ChangeOutcome) -> None:
    """Collect, send and settle these."""
    await job.collect([change(one.ref, line) for line, one in enumerate(ends, 1)])
    await job.intend([one.ref for one in ends])
    await job.record(ends)


ALL = [end(state.value, state, reason=f"is {state}") for state in C if state is not C.SENDING]


class ChangeContract:
    """Derive, and give the fixture `ledgers`."""

    async def test_changes_come_back_as_they_were_collected_by_ref(self, ledgers: Ledgers):
        job = await open_changes(ledgers, apply())
        deep = Change("b", "key-b", {"n": 2**70, "z": {"ü": [None, 1.5]}, "a": True}, 3, 7, {"tags": []})
        assert await job.collect([deep, change("c"), change("a")]) == 0
        await ledgers.die(apply())
        again = await open_changes(ledgers, apply())
        assert list(await again.waiting("", 9)) == [
            StoredChange(one, C.PENDING) for one in (change("a"), deep, change("c"))
        ]
        assert [one.change.ref for one in await again.waiting("a", 1)] == ["b"]
        assert list(await again.waiting("c", 9)) == []

    async def test_of_several_rows_for_a_task_the_last_one_counts(self, ledgers: Ledgers):
        job = await open_changes(ledgers, apply())
        assert await job.collect([change("a", 1, "1"), change("b", 2), change("a", 3, "3")]) == 1
        last = change("a", 5, "5", key="k", expected={"tags": []})
        assert await job.collect([change("b", 4), last]) == 2
        assert [one.change for one in await job.waiting("", 9)] == [last, change("b", 4)]
        assert some(await job.counts()) == {"pending": 2}

    async def test_a_page_of_many_rows_is_collected_whole(self, ledgers: Ledgers):
        job = await open_changes(ledgers, apply())
        many = [change(f"t{number:04}", number) for number in range(1337)]
        assert await job.collect(many) == 0
        assert await job.collect(many[300:]) == 1037
        await job.intend([one.ref for one in many[:1200]])
        assert some(await job.counts()) == {"pending": 137, "sending": 1200}
        met: list[StoredChange] = []
        while page := await job.waiting(met[-1].change.ref if met else "", 100):
            met += page
        assert [one.change for one in met] == many

    async def test_a_row_that_asks_for_something_else_replaces_what_is_finished(self, ledgers: Ledgers):
        job = await open_changes(ledgers, apply())
        await sent(job, *ALL, end("sending", C.SENDING))
        await job.finish(complete=False, exit_code=3, figures={})
        later = await open_changes(ledgers, apply())
        assert await later.collect([change(one.value, 50, "new") for one in C]) == 0
        assert some(await later.counts()) == dict.fromkeys((one.value for one in C), 1)
        assert await later.collected({}) == 2
        found = {one.change.ref: one for one in await later.pages(list(C), "", 9)}
        new = {ref for ref, one in found.items() if one.change.arguments == {"tags": ["new"]}}
        assert new == {"pending", "failed", "applied", "unchanged"}
        assert {ref: found[ref] for ref in new} == {ref: StoredChange(change(ref, 50, "new"), C.PENDING) for ref in new}
        assert {ref for ref, one in found.items() if one.state.value == ref} == {"pending", "sending", "unclear"}

    async def test_a_change_that_is_asked_for_again_stands_in_its_new_place(self, ledgers: Ledgers):
        job = await open_changes(ledgers, apply())
        await sent(job, *ALL)
        await job.finish(complete=False, exit_code=3, figures={})
        later = await open_changes(ledgers, apply())
        assert await later.collect([change(one.ref, 70, source=2) for one in ALL]) == 0
        found = await later.pages(list(C), "", 9)
        assert {(one.change.source, one.change.line) for one in found} == {(2, 70)}
        assert await later.collected({}) == 0
        assert await later.pages(list(C), "", 9) == found
        assert {one.change.ref for one in found if one.state.value == one.change.ref} == {one.ref for one in ALL}

    async def test_an_earlier_row_for_a_task_does_not_bring_back_what_the_last_one_did(self, ledgers: Ledgers):
        job = await open_changes(ledgers, apply())
        both = [change("a", 1, "first"), change("a", 2, "last")]
        for collection in range(3):
            assert [await job.collect([row]) for row in both] == [0, 1]
            assert await job.collected({}) == 0
            await job.intend(["a"])
            await job.record([end("a", C.FAILED if collection == 0 else C.APPLIED, reason="no")])
            wanted = StoredChange(both[1], C.FAILED, 1, None, "no")
            assert list(await job.pages([C.FAILED], "", 9)) == [wanted]
            await job.finish(complete=True, exit_code=1, figures={})
            job = await open_changes(ledgers, apply())
            await job.clear()

    async def test_a_collection_that_was_broken_off_leaves_nothing_asked(self, ledgers: Ledgers):
        job = await open_changes(ledgers, apply())
        await sent(job, *ALL)
        await job.collect([change(one.ref, tag="other") for one in ALL])
        await ledgers.die(apply())
        again = await open_changes(ledgers, apply())
        await again.clear()
        assert await again.collected({}) == 0
        assert some(await again.counts()) == dict.fromkeys(("applied", "failed", "unchanged", "unclear"), 1)

    async def test_doubles_are_those_of_this_collection(self, ledgers: Ledgers):
        job = await open_changes(ledgers, apply())
        await job.collect([change("a"), change("b")])
        await job.intend(["a"])
        await job.finish(complete=False, exit_code=3, figures={})
        later = await open_changes(ledgers, apply())
        assert await later.collect([change("a"), change("b")]) == 0
        assert await later.collect([change("a"), change("b")]) == 2

    async def test_a_collection_is_finished_or_begun_again(self, ledgers: Ledgers):
        job = await open_changes(ledgers, apply())
        await job.register_sources([("/t.csv", {"name": "t.csv"})])
        assert await job.collection() is None
        await sent(job, end("done", C.APPLIED), end("bad", C.FAILED, reason="no"))
        unusable = OtherRecord(1, 9, RecordState.INVALID, reason="no task_id", raw="x")
        await job.collect([change("waits"), change("doubt")])
        await job.set_aside([unusable])
        await job.intend(["doubt"])
        assert await job.collection() is None
        await job.collected({"read": 5, "duplicates": 0})
        await job.collected({"read": 6, "duplicates": 1})
        assert await job.collection() == {"read": 6, "duplicates": 1}
        assert some(await job.counts()) == {"applied": 1, "failed": 1, "pending": 1, "sending": 1, "invalid": 1}
        await ledgers.die(apply())
        again = await open_changes(ledgers, apply())
        assert await again.collection() == {"read": 6, "duplicates": 1}
        await again.clear()
        assert await again.collection() is None
        assert some(await again.counts()) == {"applied": 1, "failed": 1, "sending": 1}
        known, new = await again.register_sources([("/t.csv", {}), ("/u.csv", {})])
        assert known == 1 < new

    async def test_only_pending_changes_may_leave(self, ledgers: Ledgers):
        job = await open_changes(ledgers, apply())
        await sent(job, *ALL)
        await job.intend([one.ref for one in ALL] + ["nobody"])
        assert await refs(job, C.SENDING) == ["pending"]
        assert some(await job.counts()) == dict.fromkeys(("applied", "failed", "sending", "unchanged", "unclear"), 1)

    @pytest.mark.parametrize("announced", [True, False])
    async def test_an_outcome_is_kept_with_its_reason_and_requests_add_up(self, ledgers: Ledgers, announced: bool):
        job = await open_changes(ledgers, apply())
        await job.collect([change("a")])
        if announced:
            await job.intend(["a"])
        await job.record([end("a", C.PENDING, status=429, reason="too many", attempts=3)])
        assert list(await job.waiting("", 9)) == [StoredChange(change("a"), C.PENDING, 3, 429, "too many")]
        await job.record([end("a", C.FAILED, status=404, reason="no such task", attempts=2)])
        assert list(await job.waiting("", 9)) == []
        assert list(await job.pages([C.FAILED], "", 9)) == [StoredChange(change("a"), C.FAILED, 5, 404, "no such task")]

    @pytest.mark.parametrize("first", [one for one in ALL if one.state is not C.PENDING], ids=lambda one: one.ref)
    async def test_the_first_end_of_a_change_counts(self, ledgers: Ledgers, first: ChangeOutcome):
        job = await open_changes(ledgers, apply())
        await sent(job, first)
        kept = await job.pages(list(C), "", 9)
        await job.record([end(first.ref, state, reason="late", event="late") for state in C])
        assert await job.pages(list(C), "", 9) == kept

    async def test_failed_changes_are_taken_up_again_as_wanted(self, ledgers: Ledgers):
        job = await open_changes(ledgers, apply())
        await sent(job, *ALL)
        many = [end(f"t{number:04}", C.FAILED, status=number % 2, reason="no") for number in range(2500)]
        await sent(job, *many)
        asked: list[tuple[str, int | None, str]] = []

        def wanted(ref: str, status: int | None, reason: str) -> bool:
            asked.append((ref, status, reason))
            return status == 1

        assert await job.reopen(wanted) == 1250
        assert asked == [("failed", None, "is failed"), *((one.ref, one.status, "no") for one in many)]
        counts = await job.counts()
        assert (counts["failed"], counts["pending"]) == (1251, 1251)
        assert (await job.waiting("t", 1))[0].attempts == 1

    async def test_jobs_are_apart(self, ledgers: Ledgers):
        one, two = await open_changes(ledgers, apply("one")), await open_changes(ledgers, apply("two"))
        await sent(one, end("a", C.APPLIED))
        assert await two.collect([change("a")]) == 0
        await two.clear()
        await one.collected({"read": 1})
        assert await two.collection() is None
        assert some(await one.counts()) == {"applied": 1}
        assert some(await two.counts()) == {}
        assert set(await two.counts()) == {*(state.value for state in C), "invalid"}

    async def test_a_name_is_bound_to_its_change_and_arguments_but_not_to_the_tasks(self, ledgers: Ledgers):
        await finish(await open_changes(ledgers, apply()))
        await finish(await open_changes(ledgers, apply(of={"tasks": ["other.csv"]})))
        told = 'job a is scalesync apply tags add tags=["x"], and not scalesync apply'
        with pytest.raises(NameBound, match=re.escape(f"{told} cancel; choose another --name for this")):
            await open_changes(ledgers, apply(change="cancel", arguments={}))
        with pytest.raises(NameBound, match=re.escape(f'{told} tags add tags=["y"];')):
            await open_changes(ledgers, apply(arguments={"tags": ["y"]}))
        with pytest.raises(NameBound, match=re.escape('is scalesync apply tags add tags=["x"], and not an import')):
            await open_import(ledgers, spec("a"))

    async def test_a_run_whose_lease_was_taken_over_writes_nothing_more(self, ledgers: Ledgers):
        slow = await open_changes(ledgers, apply())
        await slow.collect([change("a"), change("b")])
        await slow.intend(["a"])
        await ledgers.lapse(apply())
        fresh = await open_changes(ledgers, apply())
        for write in (
            lambda: slow.collect([change("late")]),
            lambda: slow.set_aside([OtherRecord(1, 1, RecordState.INVALID)]),
            lambda: slow.collected({"read": 1}),
            slow.clear,
            lambda: slow.intend(["b"]),
            lambda: slow.record([end("a", C.APPLIED)]),
            lambda: slow.reopen(lambda ref, status, reason: True),
            lambda: slow.register_sources([("late", {})]),
            slow.heartbeat,
        ):
            with pytest.raises(LeaseLost, match="took over"):
                await write()
        assert some(await fresh.counts()) == {"pending": 1, "sending": 1}
        assert await fresh.collection() is None
        await finish(fresh)

    # --- for people ----------------------------------------------------------------------------

    async def test_a_job_is_shown_with_what_became_of_its_changes(self, ledgers: Ledgers):
        job = await open_changes(ledgers, apply())
        await job.register_sources([("/t.csv", {"name": "t.csv"})])
        await sent(job, *ALL, end("sending", C.SENDING))
        await job.set_aside([OtherRecord(1, 9, RecordState.INVALID, reason="no task_id")])
        (row,) = await ledgers.open().jobs()
        assert (row.command, row.sources, row.complete) == ("apply", ("t.csv",), False)
        shown = {"pending": 2, **dict.fromkeys(("applied", "unchanged", "failed", "unclear", "invalid"), 1)}
        assert dict(row.counts) == {**shown, "duplicates": 0}
        await job.collected({"read": 8, "duplicates": 1, "mark": 77})
        assert await ledgers.open().counts(await stored(ledgers, apply())) == {**shown, "duplicates": 1}
        await job.finish(complete=False, exit_code=3, figures={"requests": 7}, message="stopped by Ctrl-C")
        (row,) = await ledgers.open().jobs()
        assert (row.exit_code, row.message, row.settings) == (3, "stopped by Ctrl-C", {"tags": "x"})
        assert [one.job for one in await ledgers.open().stops(None)] == ["a"]

    async def test_failing_changes_are_visited_with_their_places(self, ledgers: Ledgers):
        one, two = await open_changes(ledgers, apply("one")), await open_changes(ledgers, apply("two", subject="batch"))
        (source,) = await one.register_sources([("/t.csv", {"name": "t.csv"})])
        await one.collect([change(each.ref, 3 + at, key="k", source=source) for at, each in enumerate(ALL)])
        await one.record([each._replace(status=400) for each in ALL])
        await one.set_aside([OtherRecord(source, 9, RecordState.INVALID, reason="no task_id", raw="x")])
        await one.collected({})
        await two.collect([change("monday", 8)])
        await two.record([end("monday", C.FAILED)])
        await two.set_aside([OtherRecord(0, 9, RecordState.INVALID, reason="no such batch")])
        await two.collected({})
        met: list[Failure] = []
        await ledgers.open().visit_failures(met.append, job="one")
        assert {(each.state, each.unique_id, each.task_id, each.file, each.line, each.reason) for each in met} == {
            ("failed", "k", "failed", "t.csv", 6, "is failed"),
            ("unclear", "k", "unclear", "t.csv", 7, "is unclear"),
            ("invalid", None, None, "t.csv", 9, "no task_id"),
        }
        assert {each.status for each in met if each.state != "invalid"} == {400}
        found = await stored(ledgers, apply("two"))
        others: list[Failure] = []
        await ledgers.open().visit_failures(others.append, number=found.id)
        batch, odd = others if others[0].state == "failed" else reversed(others)
        assert (odd.path, odd.file, odd.line, odd.reason) == ("", "", 9, "no such batch")
        assert (batch.job, batch.task_id, batch.path, batch.file, batch.line) == ("two", None, "", "", 8)
        assert (batch.reason, json.loads(batch.detail or "")) == ("failed", {"batch": "monday"})
