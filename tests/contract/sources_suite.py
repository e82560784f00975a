"""What one run of an import must find in any ledger: the sources of `ImportLedger`, and what it leaves for others."""

from __future__ import annotations

from scalesync.model.jobs import SourceCursor
from scalesync.model.records import Checkpoint
from scalesync.model.row_views import Doubtful, LookedUp
from scalesync.model.rows import Gone, OtherRecord, RecordState, RowOutcome
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


class SourcesContract:
    """Derive, and give the fixture `ledgers`."""

    # --- sources -----------------------------------------------------------------------------------

    async def test_splits_keep_their_numbers_from_run_to_run(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        assert list(await job.register_sources([("a", {"size": 1}), ("b", {})])) == [1, 2]
        await finish(job)
        again = await open_import(ledgers, spec())
        assert list(await again.register_sources([("0", {}), ("b", {}), ("a", {"size": 2})])) == [3, 2, 1]

    async def test_splits_of_jobs_and_kinds_are_apart(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        assert list(await one.register_sources([("a", {})])) == [1]
        assert list(await two.register_sources([("a", {})])) == [1]
        await one.checks.begin_rebuild()
        other, same = await one.register_sources([("rebuild", {}), ("a", {})])
        assert same == 1 != other
        assert [split.name for split in await one.source_splits()] == ["a", "rebuild"]

    async def test_a_source_is_open_then_read_then_gone(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        facts = {"path": "/a", "size": 3, "name": "a"}
        first, second = await job.register_sources([("/a", facts), ("/b", {})])
        assert [split.state for split in await job.source_splits()] == ["open", "open"]
        await job.close_sources([(first, {**facts, "size": 4}, SourceCursor("settings")), (second, {}, None)])
        one, other = await job.source_splits()
        assert (one.number, one.name, one.spec, one.state) == (first, "/a", {**facts, "size": 4}, "read")
        assert (one.shaping, other.shaping, one.is_gone) == ("settings", None, False)
        await job.lose_sources([first])
        assert [split.is_gone for split in await job.source_splits()] == [True, False]
        assert [split.number for split in await job.source_splits(but={first})] == [second]
        assert [split.state for split in await ledgers.open().source_splits(await stored(ledgers, spec()))] == [
            "gone",
            "read",
        ]

    async def test_a_record_met_in_another_source_stays_a_copy_where_this_run_does_not_read(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await admit(job, [out("k", source=1, line=5)])
        job.reads({2})
        await admit(job, [out("k", source=2, line=1)])
        assert some(await job.counts()) == {"pending": 1, "duplicates": 1}
        assert await job.mark_gone(0, lambda key: False, {2}) == 0, "its copy stands in the other source"
        assert some(await job.counts()) == {"pending": 1}

    # --- checkpoints -----------------------------------------------------------------------------

    async def test_checkpoints_are_found_under_the_settings_that_they_were_made_with(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        first, second, third = await job.register_sources([("a", {}), ("b", {}), ("c", {})])
        marks = ((Checkpoint(2, "two"), 1), (Checkpoint(9, "nine"), 7))
        await job.checkpoints.keep(first, SourceCursor("now", marks[:1]))
        await job.checkpoints.keep(first, SourceCursor("now", marks))
        await job.close_sources([(second, {}, SourceCursor("then", marks)), (third, {}, SourceCursor("now"))])
        await finish(job)
        again = await open_import(ledgers, spec())
        assert await again.checkpoints.marked("now") == {first}
        assert await again.checkpoints.marked("then") == {second}
        assert tuple(await again.checkpoints.load(first)) == marks

    async def test_the_first_line_that_wants_something_is_reported(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await admit(job, outs(5), [OtherRecord(1, 9, R.INVALID, reason="x"), OtherRecord(2, 1, R.CLASH, key="k0")])
        ends = [S.CREATED, S.ADOPTED, S.FAILED, S.CONFLICT, S.PENDING]
        await job.record([RowOutcome(f"k{n}", state, reason="no") for n, state in enumerate(ends)])
        assert await job.checkpoints.first_open_line(1) == 5
        assert await job.checkpoints.first_open_line(2) == 1, "what a clash holds was not kept"
        await job.record([RowOutcome("k4", S.CREATED, ref="t")])
        assert await job.checkpoints.first_open_line(1) is None
        await admit(job, [out("k1", CHANGED, line=2)])
        assert await job.checkpoints.first_open_line(1) == 2

    async def test_a_repeat_is_asked_about_with_the_record_above_it(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await admit(
            job,
            [out("k", line=2)],
            [
                OtherRecord(1, 1, R.CLASH, key="k", content=CHANGED),
                OtherRecord(1, 3, R.DUPLICATE, key="k", content=CONTENT),
                OtherRecord(1, 4, R.INVALID, reason="x"),
            ],
        )
        asked = []

        def repeats(state: RecordState, key: str, content: bytes, first: bytes | None) -> bool:
            asked.append((state, key, content, first))
            return state is R.CLASH

        assert await job.checkpoints.first_alone(1, repeats) == 3
        assert asked == [(R.CLASH, "k", CHANGED, None), (R.DUPLICATE, "k", CONTENT, CONTENT)]
        assert await job.checkpoints.first_alone(1, lambda *_: True) is None

    async def test_the_rows_up_to_a_line_are_visited_where_all_of_them_are_there(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await admit(job, outs(4))
        seen: dict[str, bytes] = {}
        assert not await job.checkpoints.visit(1, 3, 2, seen.__setitem__)
        assert seen == {}
        assert await job.checkpoints.visit(1, 3, 3, seen.__setitem__)
        assert seen == {f"k{n}": CONTENT for n in range(3)}

    async def test_other_records_before_a_checkpoint_stay_although_this_run_did_not_meet_it(self, ledgers: Ledgers):
        first = await open_import(ledgers, spec())
        await admit(first, [], [OtherRecord(1, line, R.INVALID, reason="x") for line in (1, 2, 8)])
        await admit(first, [], [OtherRecord(1, 3, R.DUPLICATE, key="k")])
        await finish(first)
        second = await open_import(ledgers, spec())
        assert await second.checkpoints.keep_other_records(1, 3) == (3, 2)
        await second.drop_stale_other_records({1})
        assert some(await second.counts()) == {"invalid": 2, "duplicates": 1}

    # --- records that are in no source any more ----------------------------------------------------

    async def test_rows_that_are_gone_and_in_doubt_are_concluded_by_what_the_server_said(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await admit(job, outs(5), now_ms=77)
        await job.record([RowOutcome("k4", S.CREATED, ref="t4")])
        assert await job.mark_gone(0, lambda key: False) == 5
        assert await job.gone_rows.waiting() == 4
        first = await job.gone_rows.doubtful("", 3)
        assert first == [Doubtful("k0", 77, CONTENT), Doubtful("k1", 77, CONTENT), Doubtful("k2", 77, CONTENT)]
        assert await job.gone_rows.doubtful("k2", 3) == [Doubtful("k3", 77, CONTENT)]
        await job.mark_gone(1, lambda key: key == "k3")
        told = [LookedUp("k0", Gone.ABSENT), LookedUp("k1", Gone.CREATED, "t1"), LookedUp("k2", Gone.ADOPTED, "t2")]
        await job.gone_rows.conclude([*told, LookedUp("k3", Gone.ABSENT)])
        assert await job.gone_rows.waiting() == 0
        assert some(await job.counts()) == {"created": 2, "adopted": 1, "pending": 1, "gone": 4}

    # --- what a run leaves for the next ------------------------------------------------------------

    async def test_fields_that_the_platform_rewrites_are_remembered_for_the_job(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await one.add_unechoed_fields(["a", "b"])
        await one.add_unechoed_fields(["b", "c"])
        assert await one.unechoed_fields() == {"a", "b", "c"}
        assert await two.unechoed_fields() == frozenset()

    async def test_what_is_known_of_a_key_names_whose_it_is(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, [out("k", source=3, line=8)], now_ms=55)
        await one.record([RowOutcome("k", S.CREATED, ref="t")])
        mine, theirs = (await one.known(["k", "nobody"])), await two.known(["k"])
        assert set(mine) == {"k"}
        row = mine["k"]
        assert (row.state, row.content, row.intent_ms, row.home, row.place, row.ref) == (
            *(S.CREATED, CONTENT, 55, True, (3, 8), "t"),
        )
        assert theirs["k"].home is False

    # --- other jobs of the target ------------------------------------------------------------------

    async def test_a_batch_is_owed_what_another_job_has_not_in(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        numbers = [(await job.register_sources([("a", {})]))[0] for job in (one, two)]
        await admit(one, [out("a", CONTENT + b"batch")])
        await admit(two, [out("b", CONTENT + b"batch"), out("c", CONTENT + b"other", line=2)])
        await two.record([RowOutcome("c", S.CREATED, ref="t", content=CONTENT + b"other")])
        (running,) = (await one.feeders({"batch"}, numbers[:1]))["batch"]
        assert (running.job, running.out, running.running, running.unread) == ("two", 1, True, True)
        await two.record([RowOutcome("b", S.CREATED, ref="t", content=CONTENT + b"batch")])
        await finish(two)
        (unread,) = (await one.feeders({"batch"}, numbers[:1]))["batch"]
        assert (unread.out, unread.running, unread.unread) == (0, False, True)
        again = await open_import(ledgers, spec("two"))
        await again.close_sources([(numbers[1], {}, None)])
        await finish(again)
        assert await one.feeders({"batch"}, numbers[:1]) == {}
        (own,) = (await one.feeders({"batch"}, []))["batch"]
        assert (own.job, own.out) == ("one", 1), "of a source that this run did not read"

    async def test_the_jobs_beside_made_tasks_of_this_ones_records(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, outs(3))
        await one.record([RowOutcome(f"k{n}", S.CREATED, ref=f"t{n}") for n in range(2)])
        await admit(two, outs(3))
        assert list(await two.jobs_beside()) == [("one", {"format": None}, 2)]
        assert list(await one.jobs_beside()) == []
