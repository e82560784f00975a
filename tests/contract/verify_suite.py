"""What a check of a job must find in any ledger, and may change there: `VerifyLedger`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scalesync.errors import LeaseLost
from scalesync.model.row_views import Held, Turn
from scalesync.model.rows import OtherRecord, RowOutcome, Verb
from scalesync.ports.import_ledger import ImportLedger
from tests.contract.ledgers import (
    CHANGED,
    CONTENT,
    Ledgers,
    R,
    S,
    admit,
    finish,
    open_import,
    out,
    outs,
    some,
    spec,
    stored,
)

DEAD = {"differences": {"status": {"record": None, "task": "error"}}}


async def made(job: ImportLedger, count: int) -> None:
    """Tasks `t0`, `t1`, ... of the records `k0`, `k1`, ..."""
    await admit(job, outs(count))
    await job.record([RowOutcome(f"k{n}", S.CREATED, ref=f"t{n}", status=200) for n in range(count)])


async def row_of(job: ImportLedger, key: str) -> Held:
    return (await job.checks.held([key]))[key]


class VerifyContract:
    """Derive, and give the fixture `ledgers`."""

    # --- reading -----------------------------------------------------------------------------------

    async def test_a_row_is_held_with_all_that_a_check_compares(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, [out("k", source=2, line=7)], now_ms=55)
        await one.record([RowOutcome("k", S.CONFLICT, ref="t", reason="in error", detail=DEAD)])
        row = await row_of(one, "k")
        assert (row.key, row.state, row.ref, row.content, row.intent_ms) == ("k", S.CONFLICT, "t", CONTENT, 55)
        assert (row.reason, row.was, row.turned, row.dead) == ("in error", None, None, "error")
        assert (row.home, row.source, row.line, row.gone, row.ours) == (True, 2, 7, False, False)
        assert not (await row_of(two, "k")).home
        assert await two.checks.held(["nobody"]) == {}

    async def test_pages_hold_every_row_once_those_of_others_at_this_jobs_places(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await made(one, 3)
        await admit(two, [out(f"own{n}", line=n + 1) for n in range(5)])
        await admit(two, [out("k0", line=20), out("k1", CHANGED, line=21), out("k2", line=22)])
        pages = [page async for page in two.checks.pages(2)]
        assert all(1 <= len(page) <= 2 for page in pages)
        met = [(row.key, row.home, row.line) for page in pages for row in page]
        assert met == [
            *((f"own{n}", True, n + 1) for n in range(5)),
            *(("k0", False, 20), ("k1", False, 21), ("k2", False, 22)),
        ]
        reading = ledgers.open().checks(await stored(ledgers, spec("two")))
        assert [page async for page in reading.pages(2)] == pages

    async def test_records_that_wait_and_failed_ones_are_counted(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, outs(6))
        await one.record(
            [
                RowOutcome("k0", S.CREATED, ref="t0"),
                RowOutcome("k1", S.PENDING),
                RowOutcome("k2", S.FAILED, status=400, reason="no"),
                RowOutcome("k3", S.CONFLICT, ref="t3", reason="in error", detail=DEAD),
                RowOutcome("k4", S.CONFLICT, ref="t4", reason="differs"),
            ]
        )
        await admit(two, [out("k2"), out("k5", line=2)])
        assert await one.checks.waiting(()) == 2, "pending, and sending"
        assert await one.checks.waiting({"error"}) == 3
        assert await two.checks.waiting({"error"}) == 1
        assert await one.checks.failed(lambda key, status, reason: (key, status, reason) == ("k2", 400, "no")) == 1
        assert await two.checks.failed(lambda *_: True) == 1
        assert await one.checks.failed(lambda *_: False) == 0
        await one.mark_gone(4, lambda key: key not in {"k1", "k2", "k5"})
        assert (await one.checks.waiting(()), await one.checks.gone_in_doubt()) == (0, 1)
        assert await one.checks.failed(lambda *_: True) == 0

    async def test_a_check_without_the_lease_reads_and_may_not_write(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await made(job, 1)
        reading = ledgers.open().checks(await stored(ledgers, spec()))
        assert (job.checks.writable, reading.writable) == (True, False)
        (row,) = (await reading.held(["k0"])).values()
        with pytest.raises(AssertionError, match="writes nothing"):
            await reading.turn([Turn(row, "error")])
        assert await row_of(job, "k0") == row

    # --- changes -----------------------------------------------------------------------------------

    @pytest.mark.parametrize("state", [S.CREATED, S.ADOPTED])
    async def test_a_task_that_died_is_a_conflict_until_it_lives_again(self, ledgers: Ledgers, state):
        job = await open_import(ledgers, spec())
        await admit(job, outs(1))
        await job.record([RowOutcome("k0", state, ref="t0")])
        before = await row_of(job, "k0")
        assert await job.checks.turn([Turn(before, "error", "the task turned to error: no file", 404)]) == 1
        dead = await row_of(job, "k0")
        assert (dead.state, dead.was, dead.turned, dead.dead, dead.ours) == (S.CONFLICT, state, "error", "error", True)
        assert dead.reason == "the task turned to error: no file"
        assert await job.checks.turn([Turn(before, "error"), Turn(dead, "error")]) == 0, "known, or moved on"
        assert some(await job.counts()) == {"conflicts": 1}
        assert await job.checks.turn([Turn(dead, None)]) == 1
        assert replace(await row_of(job, "k0"), reason=None) == replace(before, reason=None)

    async def test_a_task_id_is_corrected_where_the_row_is_as_it_was_seen(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await made(job, 2)
        assert await job.checks.correct([("k0", "t0", "other"), ("k1", "wrong", "other"), ("nobody", None, "x")]) == 1
        assert ((await row_of(job, "k0")).ref, (await row_of(job, "k1")).ref) == ("other", "t1")

    async def test_a_row_in_doubt_is_looked_up_by_the_next_import(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await made(job, 2)
        assert await job.checks.doubt([("k0", "created", "t0"), ("k1", "adopted", "t1")]) == 1
        row = await row_of(job, "k0")
        assert (row.state, row.ref, row.reason, row.content) == (S.SENDING, None, None, CONTENT)
        assert await admit(job, outs(2)) == [Verb.LOOK_UP, Verb.SKIP]

    async def test_records_whose_rows_are_lost_are_taken_in_as_the_server_tells(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await made(job, 1)
        records = [out("k0", CHANGED, line=1), out("a", line=5), out("b", line=6)]
        records[1].intent_ms = 99
        ends = [
            RowOutcome("k0", S.PENDING),
            RowOutcome("a", S.ADOPTED, ref="ta", detail={"not_comparable": ["x"]}),
            RowOutcome("b", S.PENDING),
        ]
        invalid = OtherRecord(1, 7, R.INVALID, reason="x")
        await job.checks.record(list(zip(records, ends, strict=True)), [invalid])
        assert (await row_of(job, "k0")).content == CONTENT, "a row that is there stays as it is"
        row = await row_of(job, "a")
        assert (row.state, row.ref, row.intent_ms, row.source, row.line, row.home) == (S.ADOPTED, "ta", 99, 1, 5, True)
        assert some(await job.counts()) == {"created": 1, "adopted": 1, "pending": 1, "invalid": 1}

    async def test_a_rebuild_is_under_way_from_its_beginning_to_its_end(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        assert await job.checks.rebuilding(), "nothing was done for the job yet"
        await job.checks.begin_rebuild()
        await job.register_sources([("a", {})])
        await job.checks.begin_rebuild()
        await ledgers.die(spec())
        again = await open_import(ledgers, spec())
        assert await again.checks.rebuilding()
        await again.checks.end_rebuild()
        assert not await again.checks.rebuilding()
        await finish(again)
        other = await open_import(ledgers, spec("other"))
        await other.register_sources([("a", {})])
        assert not await other.checks.rebuilding()

    async def test_a_check_whose_lease_was_taken_over_changes_nothing_more(self, ledgers: Ledgers):
        slow = await open_import(ledgers, spec())
        await made(slow, 1)
        row = await row_of(slow, "k0")
        await ledgers.lapse(spec())
        fresh = await open_import(ledgers, spec())
        for write in (
            lambda: slow.checks.turn([Turn(row, "error")]),
            lambda: slow.checks.correct([("k0", "t0", "other")]),
            lambda: slow.checks.doubt([("k0", "created", "t0")]),
            lambda: slow.checks.record([(out("new"), RowOutcome("new", S.PENDING))], ()),
            slow.checks.begin_rebuild,
            slow.checks.end_rebuild,
        ):
            with pytest.raises(LeaseLost, match="took over"):
                await write()
        assert await row_of(fresh, "k0") == row
        assert await fresh.checks.held(["new"]) == {}
