"""What one run of an import must find in any ledger: the records of `ImportLedger`."""

from __future__ import annotations

from scalesync.model.rows import OtherRecord, RowOutcome, Verb
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
)


class ImportContract:
    """Derive, and give the fixture `ledgers`."""

    # --- intents and outcomes ----------------------------------------------------------------------

    async def test_an_admitted_record_is_known_after_a_kill(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        assert await admit(job, outs(3)) == [Verb.SEND] * 3
        await ledgers.die(spec())
        again = await open_import(ledgers, spec())
        assert dict(await again.peek(["k0", "k2", "nobody"])) == {
            "k0": (S.SENDING, CONTENT),
            "k2": (S.SENDING, CONTENT),
        }
        assert await admit(again, outs(3)) == [Verb.LOOK_UP] * 3

    async def test_the_intent_keeps_its_first_time(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        record = out("k")
        await job.admit([record], (), now_ms=1000)
        assert record.intent_ms == 1000
        await job.record([RowOutcome("k", S.PENDING, attempts=0)])
        (admission,) = await job.admit([record], (), now_ms=9000)
        assert (admission.verb, admission.intent_ms, record.intent_ms) == (Verb.SEND, 1000, 1000)

    async def test_admissions_say_what_is_new_and_whose_it_is(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        (first,) = await one.admit([out("k")], (), now_ms=1)
        (second,) = await one.admit([out("k")], (), now_ms=1)
        (third,) = await two.admit([out("k")], (), now_ms=1)
        assert [(a.new, a.home) for a in (first, second, third)] == [(True, True), (False, True), (False, False)]

    async def test_outcomes_are_known_after_a_kill(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await admit(job, outs(5))
        await job.record(
            [
                RowOutcome("k0", S.CREATED, ref="t0", status=200),
                RowOutcome("k1", S.ADOPTED, ref="t1"),
                RowOutcome("k2", S.CONFLICT, ref="t2", reason="differs", detail={"differences": {"a": [1, 2]}}),
                RowOutcome("k3", S.FAILED, status=400, reason="no"),
            ]
        )
        await ledgers.die(spec())
        again = await open_import(ledgers, spec())
        assert some(await again.counts()) == {"created": 1, "adopted": 1, "conflicts": 1, "failed": 1, "pending": 1}
        assert await admit(again, outs(5)) == [Verb.SKIP] * 4 + [Verb.LOOK_UP]

    async def test_the_last_of_several_outcomes_of_one_row_stands_and_all_attempts_count(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await admit(job, outs(3))
        await job.record(
            [
                RowOutcome("k0", S.PENDING, attempts=2),
                RowOutcome("k1", S.CREATED, ref="t1"),
                RowOutcome("k0", S.FAILED, reason="no", attempts=3),
                RowOutcome("k1", S.FAILED, reason="late"),
            ]
        )
        assert some(await job.counts()) == {"created": 1, "failed": 1, "pending": 1}

    async def test_settling_nothing_is_nothing(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await job.record([])
        assert some(await job.counts()) == {}

    async def test_a_task_that_is_known_is_never_unknown_again(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await admit(job, [out("k")])
        await job.record([RowOutcome("k", S.CREATED, ref="t")])
        for late in (S.PENDING, S.SENDING, S.FAILED, S.CONFLICT):
            await job.record([RowOutcome("k", late, reason="late")])
        assert some(await job.counts()) == {"created": 1}

    async def test_conflicts_are_looked_up_again_only_when_asked(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await admit(job, [out("k")])
        await job.record([RowOutcome("k", S.CONFLICT, ref="t", reason="differs")])
        assert await admit(job, [out("k")]) == [Verb.SKIP]
        assert await admit(job, [out("k")], recheck=True) == [Verb.LOOK_UP]

    async def test_a_change_after_creation_is_a_conflict_and_back(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await admit(job, [out("k")])
        await job.record([RowOutcome("k", S.ADOPTED, ref="t")])
        assert await admit(job, [out("k", CHANGED)]) == [Verb.SKIP]
        assert some(await job.counts()) == {"conflicts": 1}
        assert await admit(job, [out("k", CHANGED)]) == [Verb.SKIP]
        assert await admit(job, [out("k")]) == [Verb.SKIP]
        assert some(await job.counts()) == {"adopted": 1}

    async def test_many_records_in_one_go(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        many = outs(1700)
        assert await admit(job, many) == [Verb.SEND] * 1700
        assert len(await job.peek([record.key for record in many])) == 1700

    async def test_keys_are_texts_as_they_are(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        keys = ["a", "A", " a", "a ", "é", "e\u0301", "0", "00", "1", "1.0", "x\0y", "😀", "'; DROP TABLE rows; --"]
        assert await admit(job, [out(key, line=n) for n, key in enumerate(keys)]) == [Verb.SEND] * len(keys)
        assert set(await job.peek(keys)) == set(keys)

    # --- rows that several jobs share ---------------------------------------------------------------

    async def test_two_jobs_share_the_row_of_a_key(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, [out("k")])
        await one.record([RowOutcome("k", S.CREATED, ref="t")])
        assert await admit(two, [out("k")]) == [Verb.SKIP]
        assert some(await one.counts()) == some(await two.counts()) == {"created": 1}

    async def test_a_shared_row_counts_in_both_jobs_as_it_changes(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, [out("k")])
        await admit(two, [out("k")])
        await two.record([RowOutcome("k", S.FAILED, status=400, reason="no")])
        assert some(await one.counts()) == some(await two.counts()) == {"failed": 1}

    async def test_other_content_for_a_task_of_another_job_is_a_conflict_here_only(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, [out("k")])
        await one.record([RowOutcome("k", S.CREATED, ref="t")])
        await admit(two, [out("k", CHANGED)])
        assert some(await one.counts()) == {"created": 1}
        assert some(await two.counts()) == {"conflicts": 1}
        await admit(two, [out("k")])
        assert some(await two.counts()) == {"created": 1}

    async def test_a_shared_task_stays_the_other_jobs_when_the_record_at_home_changes(self, ledgers: Ledgers):
        one, two, three = [await open_import(ledgers, spec(name)) for name in ("one", "two", "three")]
        await admit(one, [out("k")])
        await one.record([RowOutcome("k", S.CREATED, ref="t")])
        await admit(two, [out("k")])
        await admit(one, [out("k", CHANGED)])
        await admit(three, [out("k", CHANGED)])
        assert some(await one.counts()) == some(await three.counts()) == {"conflicts": 1}
        assert some(await two.counts()) == {"created": 1}

    async def test_a_shared_row_that_another_record_took_over_is_a_conflict(self, ledgers: Ledgers):
        one, two, three = [await open_import(ledgers, spec(name)) for name in ("one", "two", "three")]
        await admit(one, [out("k")])
        await one.record([RowOutcome("k", S.CONFLICT, reason="differs", ref="t")])
        await admit(two, [out("k")])
        assert some(await two.counts()) == {"conflicts": 1}
        await admit(three, [out("k", CHANGED)])
        await three.record([RowOutcome("k", S.CREATED, ref="t", content=CHANGED)])
        assert some(await three.counts()) == {"created": 1}
        assert some(await one.counts()) == some(await two.counts()) == {"conflicts": 1}
        assert await admit(two, [out("k")]) == [Verb.SKIP]
        assert some(await two.counts()) == {"conflicts": 1}

    async def test_a_shared_record_that_moved_to_another_line_counts_once(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, outs(3))
        await one.record([RowOutcome(f"k{n}", S.CREATED, ref=f"t{n}") for n in range(3)])
        await admit(two, outs(3))
        await ledgers.die(spec("two"))
        again = await open_import(ledgers, spec("two"))
        await admit(again, [out("k1", line=1), out("k0", line=3)])
        assert some(await again.counts()) == {"created": 2}
        await admit(again, [out("k2", line=2), out("k0", CHANGED, line=4)])
        assert some(await again.counts()) == {"created": 2, "conflicts": 1}

    async def test_a_task_whose_record_changed_at_home_is_as_it_was_for_others(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, [out("k")])
        await one.record([RowOutcome("k", S.ADOPTED, ref="t")])
        await admit(two, [out("k")])
        await admit(one, [out("k", CHANGED)])
        assert await two.peek(["k"]) == {"k": (S.ADOPTED, CONTENT)}
        assert await one.peek(["k"]) == {"k": (S.CONFLICT, CONTENT)}

    async def test_a_row_whose_record_is_gone_is_taken_over_without_a_trace(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, outs(2))
        await one.record([RowOutcome(f"k{n}", S.FAILED, status=400, reason="no", content=CONTENT) for n in range(2)])
        await one.mark_gone(1, {"k0"}.__contains__)
        await admit(one, (), [OtherRecord(1, 2, R.INVALID, reason="is not valid JSON")])
        await admit(two, [out("k0", CHANGED), out("k1", CHANGED, line=2)])
        assert some(await one.counts()) == {"pending": 1, "invalid": 1}
        assert some(await two.counts()) == {"pending": 2}

    async def test_a_record_whose_place_was_given_away_is_left_to_the_next_reading(self, ledgers: Ledgers):
        """Lines moved: where this run met one record, an earlier one left another, and both rows are taken over."""
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, [out("old")])
        await one.record([RowOutcome("old", S.FAILED, status=400, reason="no", content=CONTENT)])
        await admit(one, [out("k")])
        await admit(two, [out("k", CHANGED)])
        await two.record([RowOutcome("k", S.CREATED, ref="t", content=CHANGED)])
        await admit(two, [out("old", CHANGED, line=2)])
        await one.record([RowOutcome("k", S.CONFLICT, ref="t", reason="differs", content=CONTENT)])
        assert some(await two.counts()) == {"created": 1, "pending": 1}

    async def test_a_job_that_takes_a_task_although_it_differs_takes_it_for_itself_alone(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, [out("k")])
        await one.record([RowOutcome("k", S.CONFLICT, reason="differs", ref="t", content=CONTENT)])
        await admit(two, [out("k", CHANGED)])
        detail = {"differences": {"a": {"record": 1, "task": 2}}}
        await two.record([RowOutcome("k", S.ADOPTED, ref="t", detail=detail, content=CHANGED)])
        assert some(await two.counts()) == {"adopted": 1}
        assert some(await one.counts()) == {"conflicts": 1}

    # --- counting ----------------------------------------------------------------------------------

    async def test_counts_add_up_over_all_kinds(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        other_records = [
            OtherRecord(1, 10, R.DUPLICATE, key="k0"),
            OtherRecord(1, 11, R.CLASH, key="k0", reason="other content"),
            OtherRecord(1, 12, R.INVALID, reason="no JSON", raw="{"),
            OtherRecord(1, 13, R.INVALID, reason="no JSON", raw="}"),
        ]
        await admit(job, outs(4), other_records)
        await job.record([RowOutcome("k0", S.CREATED, ref="t"), RowOutcome("k1", S.FAILED, reason="no")])
        counts = dict(await job.counts())
        assert counts.pop("gone") == 0
        assert some(counts) == {
            "created": 1, "failed": 1, "pending": 2, "duplicates": 1, "conflicts": 1, "invalid": 2,
        }  # fmt: skip
        assert sum(counts.values()) == 8

    async def test_the_same_place_listed_again_counts_once(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        for state in (R.INVALID, R.DUPLICATE):
            await job.admit([], [OtherRecord(1, 5, state, key="k", reason="x")], now_ms=1)
        assert some(await job.counts()) == {"duplicates": 1}

    async def test_a_place_that_was_fixed_is_no_longer_set_aside(self, ledgers: Ledgers):
        first = await open_import(ledgers, spec())
        await admit(
            first,
            [out("k0", line=1)],
            [OtherRecord(1, 2, R.INVALID, reason="x"), OtherRecord(1, 9, R.INVALID, reason="x")],
        )
        await finish(first)
        second = await open_import(ledgers, spec())
        await admit(second, [out("k0", line=1), out("k1", line=2), out("k2", line=3)])
        assert some(await second.counts()) == {"pending": 3, "invalid": 1}

    # --- what became of records --------------------------------------------------------------------

    async def test_rows_whose_records_vanished_are_flagged_and_cleared(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await admit(job, outs(4))
        assert await job.mark_gone(4, lambda key: True) == 0
        assert await job.mark_gone(2, lambda key: key in {"k0", "k1"}) == 2
        assert some(await job.counts()) == {"pending": 4, "gone": 2}
        assert await job.mark_gone(3, lambda key: key != "k0") == 1
        assert await job.mark_gone(4, lambda key: True) == 0
        assert some(await job.counts()) == {"pending": 4}

    async def test_rows_of_other_jobs_are_never_gone(self, ledgers: Ledgers):
        one, two = await open_import(ledgers, spec("one")), await open_import(ledgers, spec("two"))
        await admit(one, outs(3))
        await admit(two, [out("mine")])
        assert await two.mark_gone(0, lambda key: False) == 1
        assert some(await one.counts()) == {"pending": 3}

    async def test_failed_rows_are_reopened_by_choice(self, ledgers: Ledgers):
        job = await open_import(ledgers, spec())
        await admit(job, outs(4))
        await job.record(
            [
                RowOutcome("k0", S.FAILED, status=400, reason="a"),
                RowOutcome("k1", S.FAILED, status=422, reason="b"),
                RowOutcome("k2", S.CONFLICT, ref="t", reason="differs"),
                RowOutcome("k3", S.CREATED, ref="t"),
            ]
        )
        assert await admit(job, [out("k0")]) == [Verb.SKIP]
        assert await job.reopen(lambda key, status, reason: (key, status, reason) == ("k0", 400, "a")) == 1
        assert some(await job.counts()) == {"pending": 1, "failed": 1, "conflicts": 1, "created": 1}
        assert await admit(job, [out("k0"), out("k1")]) == [Verb.SEND, Verb.SKIP]

    async def test_a_shared_failure_is_reopened_from_either_job_but_no_others(self, ledgers: Ledgers):
        one, two, three = [await open_import(ledgers, spec(name)) for name in ("one", "two", "three")]
        await admit(one, [out("k")])
        await one.record([RowOutcome("k", S.FAILED, reason="no")])
        await admit(two, [out("k")])
        assert await three.reopen(lambda *_: True) == 0
        assert await two.reopen(lambda *_: True) == 1
        assert some(await one.counts()) == {"pending": 1}
