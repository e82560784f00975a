"""What any ledger must do with jobs, names and leases, whatever it is made of: `Ledger` and `JobLedger`."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace

import pytest

from scalesync.errors import JobRunning, LeaseLost, NameBound
from scalesync.model.jobs import Failure, JobSpec
from scalesync.model.row_views import Standing
from scalesync.model.rows import OtherRecord, RowOutcome, Verb
from scalesync.model.targets import RequestClass, Target
from tests.contract.ledgers import (
    CHANGED,
    CONTENT,
    ELSEWHERE,
    LIVE,
    OTHER_ACCOUNT,
    TEST,
    Ledgers,
    R,
    S,
    admit,
    finish,
    open_export,
    open_import,
    out,
    outs,
    some,
    spec,
    stored,
)


class LedgerContract:
    """Derive, and give the fixture `ledgers`."""

    # --- jobs and targets --------------------------------------------------------------------------

    @pytest.mark.parametrize("other", [TEST, ELSEWHERE, OTHER_ACCOUNT], ids=["mode", "host", "account"])
    async def test_targets_are_apart(self, ledgers: Ledgers, other: Target):
        here, there = await open_import(ledgers, spec()), await open_import(ledgers, spec(target=other, sources=["b"]))
        await admit(here, [out("k")])
        await here.record([RowOutcome("k", S.CREATED, ref="t")])
        assert await admit(there, [out("k")]) == [Verb.SEND]
        assert some(await there.counts()) == {"pending": 1}
        assert some(await here.counts()) == {"created": 1}

    async def test_a_name_is_bound_at_its_first_use(self, ledgers: Ledgers):
        await finish(await open_import(ledgers, spec(sources=["first"], batch="one")))
        with pytest.raises(NameBound) as refusal:
            await open_import(ledgers, spec(sources=["first"], batch="two"))
        assert "batch one" in str(refusal.value)
        assert "batch two" in str(refusal.value)
        await finish(await open_import(ledgers, spec(sources=["first"], batch="one")))

    async def test_sources_are_no_part_of_what_a_name_is_bound_to(self, ledgers: Ledgers):
        await finish(await open_import(ledgers, spec(sources=["first"])))
        await finish(await open_import(ledgers, spec(sources=["second"])))

    async def test_settings_are_no_part_of_what_a_name_is_bound_to(self, ledgers: Ledgers):
        await finish(await open_import(ledgers, spec()))
        changed = JobSpec("j", "import", LIVE, {"sources": ["a"]}, {"format": "csv"})
        await finish(await open_import(ledgers, changed))

    async def test_a_name_of_an_import_is_none_of_an_export(self, ledgers: Ledgers):
        await finish(await open_import(ledgers, spec()))
        with pytest.raises(NameBound, match="is an import of type"):
            await open_export(ledgers, JobSpec("j", "export", LIVE, {"out": "/out"}, {}))

    async def test_a_job_is_found_by_name_and_by_what_it_does(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec(batch="one"))
        assert not job.was_complete
        await finish(job)
        await finish(await open_import(ledgers, spec("other")))
        await finish(await open_export(ledgers, JobSpec("e", "export", LIVE, {"out": "/out"}, {})))
        ledger = ledgers.open()
        found = await ledger.find_job(LIVE, "j")
        assert found is not None
        assert (found.name, found.command, found.target, found.complete) == ("j", "import", LIVE, True)
        assert (found.identity, found.settings) == ({"sources": ["a"], "batch": "one"}, {"format": None})
        assert [one.name for one in await ledger.jobs_of(LIVE, "import")] == ["j", "other"]
        assert [one.name for one in await ledger.jobs_of(LIVE, "export")] == ["e"]
        assert await ledger.find_job(TEST, "j") is None
        assert list(await ledger.jobs_of(TEST, "import")) == []

    async def test_work_beside_a_job_leaves_its_settings_and_how_it_ended(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await job.finish(complete=True, exit_code=1, figures={}, message="one failed")
        (before,) = await ledgers.open().jobs()
        changed = JobSpec("j", "import", LIVE, {"sources": ["a"]}, {"format": "csv"})
        beside = await ledgers.open().open_import(changed, beside=True)
        assert beside.was_complete
        await beside.finish(complete=False, exit_code=0, figures={"findings": {}, "requests": 7})
        (row,) = await ledgers.open().jobs()
        assert row == replace(before, complete=False)
        assert (row.settings, row.exit_code, row.message) == ({"format": None}, 1, "one failed")
        assert [(one.exit_code, one.message) for one in await ledgers.open().stops(None)] == [(1, "one failed")]
        await finish(await open_import(ledgers, changed))
        (row,) = await ledgers.open().jobs()
        assert row.settings == {"format": "csv"}

    async def test_jobs_are_shown_with_counts_sources_and_how_they_ended(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        first, second = await job.register_sources([("/a", {"name": "a"}), ("/b", {"name": "b"})])
        await job.lose_sources([second])
        await admit(job, outs(2))
        await job.record([RowOutcome("k0", S.CREATED, ref="t")])
        (row,) = await ledgers.open().jobs()
        assert re.match(rf"process {os.getpid()} on ", row.running or "")
        assert (row.name, row.command, row.target, row.sources) == ("j", "import", LIVE, ("a",))
        assert some(row.counts) == {"created": 1, "pending": 1} == some(await job.counts())
        assert await ledgers.open().counts(await stored(ledgers, spec())) == await job.counts()
        assert (row.ended_at, row.exit_code) == (None, None)
        await job.finish(complete=False, exit_code=3, figures={}, message="stopped by Ctrl-C")
        (row,) = await ledgers.open().jobs()
        assert (row.running, row.exit_code, row.message, row.complete) == (None, 3, "stopped by Ctrl-C", False)
        assert row.started_at is not None
        assert row.ended_at is not None
        assert first == 1

    async def test_the_job_of_a_dead_program_is_not_running(self, ledgers: Ledgers):
        await open_import(ledgers, spec())
        await ledgers.die(spec())
        (row,) = await ledgers.open().jobs()
        assert (row.running, row.ended_at) == (None, None)

    async def test_only_jobs_that_stopped_are_stops_the_newest_first(self, ledgers: Ledgers):
        for name, complete, code, message in (
            *(("a", False, 3, "stopped"), ("b", True, 0, ""), ("c", False, 1, "1 record is pending")),
            *(("d", False, 0, "nothing wrong"), ("e", True, 1, "findings")),
        ):
            job = await open_import(ledgers, spec(name))
            await job.finish(complete=complete, exit_code=code, figures={}, message=message)
        await open_import(ledgers, spec("running"))
        ledger = ledgers.open()
        assert [(one.job, one.exit_code, one.message) for one in await ledger.stops(None)] == [
            *(("c", 1, "1 record is pending"), ("a", 3, "stopped")),
        ]
        assert [one.job for one in await ledger.stops("a")] == ["a"]
        assert list(await ledger.stops("b")) == []

    async def test_limits_are_remembered_for_each_target_and_class(self, ledgers: Ledgers):
        job, ledger = await open_import(ledgers, spec()), ledgers.open()
        assert await ledger.learned_limits(LIVE) == {}
        learned = {"version": 1, "rate": 40.0, "window_s": 0.0, "width": 9}
        await job.save_limits({RequestClass.CREATE: learned, RequestClass.LIST: {**learned, "rate": 7.0}})
        await job.save_limits({RequestClass.CREATE: {**learned, "rate": 41.0}})
        rates = {cls: value["rate"] for cls, value in (await ledger.learned_limits(LIVE)).items()}
        assert rates == {RequestClass.CREATE: 41.0, RequestClass.LIST: 7.0}
        assert await ledger.learned_limits(ELSEWHERE) == {}

    # --- records, without a run --------------------------------------------------------------------

    async def test_what_is_known_of_keys_is_reported_without_a_job(self, ledgers: Ledgers):
        job, ledger = await open_import(ledgers, spec()), ledgers.open()
        await admit(job, outs(2))
        assert await ledger.peek(LIVE, ["k0", "nobody"]) == {"k0": (S.SENDING, CONTENT)}
        assert await ledger.peek(ELSEWHERE, ["k0"]) == {}
        found = await stored(ledgers, spec())
        assert (await ledger.known(LIVE, found, ["k0"]))["k0"].home
        assert not (await ledger.known(LIVE, None, ["k0"]))["k0"].home
        assert await ledger.known(ELSEWHERE, None, ["k0"]) == {}

    async def test_rows_stand_as_they_count_and_as_they_would_if_their_record_were_gone(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await admit(job, [out("a"), out("b", line=2), out("c", line=1, source=2)])
        await job.record([RowOutcome("a", S.CREATED, ref="t"), RowOutcome("b", S.FAILED, reason="no")])
        ledger, found = ledgers.open(), await stored(ledgers, spec())
        made, failed, waiting = Standing("created", "created"), Standing("failed", None), Standing("pending", "pending")
        assert await ledger.homes(found) == {made: 1, failed: 1, waiting: 1}
        assert await ledger.homes(found, [1]) == {made: 1, failed: 1}
        await job.mark_gone(2, lambda key: key != "b")
        assert await ledger.homes(found) == {made: 1, Standing(None, None): 1, waiting: 1}

    async def test_failing_records_are_visited_with_their_places(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await one.register_sources([("/a.jsonl", {"name": "a.jsonl"})])
        clash = OtherRecord(1, 4, R.CLASH, key="k0", reason="other content", content=CHANGED)
        await admit(one, outs(3), [OtherRecord(1, 9, R.INVALID, reason="no JSON", raw="{"), clash])
        await one.record(
            [
                RowOutcome("k0", S.CREATED, ref="t"),
                RowOutcome("k1", S.FAILED, status=400, reason="no"),
                RowOutcome("k2", S.CONFLICT, ref="t2", reason="differs", detail={"differences": {"a": {}}}),
            ]
        )
        await admit(two, [out("z")])
        await two.record([RowOutcome("z", S.FAILED, reason="never")])
        ledger = ledgers.open()
        met: list[Failure] = []
        await ledger.visit_failures(met.append, job="one")
        told = {(one.state, one.unique_id, one.path, one.file, one.line, one.status, one.reason) for one in met}
        assert told == {
            ("failed", "k1", "/a.jsonl", "a.jsonl", 2, 400, "no"),
            ("conflict", "k2", "/a.jsonl", "a.jsonl", 3, None, "differs"),
            ("conflict", "k0", "/a.jsonl", "a.jsonl", 4, None, "other content"),
            ("invalid", None, "/a.jsonl", "a.jsonl", 9, None, "no JSON"),
        }
        by_line = {one.line: one for one in met}
        assert (by_line[4].earlier, by_line[4].repeat, by_line[9].raw) == ("a.jsonl:1", True, "{")
        assert json.loads(by_line[3].detail or "") == {"differences": {"a": {}}}
        found = await stored(ledgers, spec("two"))
        others: list[Failure] = []
        await ledger.visit_failures(others.append, number=found.id)
        assert [(one.job, one.unique_id) for one in others] == [("two", "z")]

    # --- the lease ---------------------------------------------------------------------------------

    async def test_a_second_run_of_a_job_is_refused_and_learns_who_has_it(self, ledgers: Ledgers):
        await open_import(ledgers, spec())
        with pytest.raises(JobRunning, match=rf"process {os.getpid()}\b") as refusal:
            await open_import(ledgers, spec())
        assert refusal.value.exit_code == 3
        assert "j is already running" in str(refusal.value)

    async def test_other_jobs_run_meanwhile(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, [out("a")])
        await admit(two, [out("b")])
        assert some(await one.counts()) == some(await two.counts()) == {"pending": 1}

    async def test_a_finished_run_gives_the_job_back(self, ledgers: Ledgers):
        await finish(await open_import(ledgers, spec()))
        await finish(await open_import(ledgers, spec()))

    async def test_the_job_of_a_dead_program_is_taken_over_at_once(self, ledgers: Ledgers):
        await open_import(ledgers, spec())
        await ledgers.die(spec())
        await finish(await open_import(ledgers, spec()))

    async def test_a_run_whose_lease_was_taken_over_writes_nothing_more(self, ledgers: Ledgers):
        slow = await open_import(ledgers, spec())
        await admit(slow, [out("k")])
        await ledgers.lapse(spec())
        fresh = await open_import(ledgers, spec())
        for write in (
            lambda: slow.record([RowOutcome("k", S.FAILED, reason="late")]),
            lambda: slow.admit([out("new")], (), now_ms=1),
            lambda: slow.register_sources([("x", {})]),
            lambda: slow.reopen(lambda key, status, reason: True),
            lambda: slow.mark_gone(0, lambda key: False),
            lambda: slow.finish(complete=True, exit_code=0, figures={}),
        ):
            with pytest.raises(LeaseLost, match="took over"):
                await write()
        assert some(await fresh.counts()) == {"pending": 1}
        assert await fresh.peek(["new"]) == {}
        await finish(fresh)

    async def test_a_lapsed_lease_that_nobody_took_is_carried_on(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await ledgers.lapse(spec())
        await admit(job, [out("k")])
        with pytest.raises(JobRunning):
            await open_import(ledgers, spec())
