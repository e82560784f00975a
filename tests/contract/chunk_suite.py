"""What any ledger must do with requests under way: `ImportLedger.chunks`."""

from __future__ import annotations

import pytest

from scalesync.errors import JobRunning, LeaseLost
from scalesync.model.chunks import OpenChunk
from scalesync.model.jobs import JobSpec
from scalesync.model.rows import RowOutcome
from scalesync.ports.import_ledger import ImportLedger
from tests.contract.ledgers import ELSEWHERE, Ledgers, S, admit, finish, outs, spec

CREATED = [RowOutcome(f"k{number}", S.CREATED, ref=f"t{number}") for number in range(3)]


async def alone(ledgers: Ledgers, job: JobSpec) -> ImportLedger:
    return await ledgers.open().open_import(job, alone=True)


def shown(chunks: object) -> list[tuple[int, list[str], str | None]]:
    assert isinstance(chunks, list)
    assert all(isinstance(chunk, OpenChunk) and 0.0 <= chunk.age_s < 60.0 for chunk in chunks)
    return [(chunk.number, list(chunk.keys), chunk.command) for chunk in chunks]


class ChunkContract:
    """Derive, and give the fixture `ledgers`."""

    async def test_a_request_is_known_after_a_kill_as_long_as_a_record_of_it_is_in_doubt(self, ledgers: Ledgers):
        job = await alone(ledgers, spec())
        await admit(job, outs(3))
        number = await job.chunks.begin(["k0", "k1"])
        await ledgers.die(spec())
        again = await alone(ledgers, spec())
        assert shown(await again.chunks.open()) == [(number, ["k0", "k1"], None)]
        await again.record(CREATED[:1])
        await finish(again)
        third = await alone(ledgers, spec())
        assert shown(await third.chunks.open()) == [(number, ["k0", "k1"], None)]
        await third.record(CREATED[1:2])
        await finish(third)
        assert shown(await (await alone(ledgers, spec())).chunks.open()) == []

    async def test_a_command_is_known_after_a_kill_until_it_was_polled_to_its_end(self, ledgers: Ledgers):
        job = await alone(ledgers, spec())
        await admit(job, outs(3))
        number = await job.chunks.begin(["k0"])
        await job.chunks.accepted(number, "c7")
        await ledgers.die(spec())
        again = await alone(ledgers, spec())
        assert shown(await again.chunks.open()) == [(number, ["k0"], "c7")]
        again.chunks.give_up(number)
        await again.record(CREATED[2:])
        await ledgers.die(spec())
        assert shown(await (await alone(ledgers, spec())).chunks.open()) == [(number, ["k0"], None)]

    async def test_what_is_closed_is_forgotten_with_the_outcomes_and_not_before(self, ledgers: Ledgers):
        job = await alone(ledgers, spec())
        await admit(job, outs(3))
        first, second = await job.chunks.begin(["k0"]), await job.chunks.begin(["k1"])
        assert first != second
        job.chunks.close(first)
        third = await job.chunks.begin(["k2"])
        await ledgers.die(spec())
        left = await (await alone(ledgers, spec())).chunks.open()
        assert [one for one, _, _ in shown(left)] == [first, second, third]
        await ledgers.die(spec())
        last = await alone(ledgers, spec())
        last.chunks.close(first)
        await last.record(CREATED[2:])
        assert [one for one, _, _ in shown(await last.chunks.open())] == [second]

    async def test_the_age_counts_from_when_nobody_waited_any_more(self, ledgers: Ledgers):
        job = await alone(ledgers, spec())
        await admit(job, outs(2))
        number = await job.chunks.begin(["k0"])
        (first,) = await job.chunks.open()
        (later,) = await job.chunks.open()
        assert (first.number, first.age_s) == (number, 0.0), "the run may have been killed a moment ago"
        assert later.age_s >= first.age_s

    async def test_a_run_that_ends_leaves_only_what_is_in_doubt(self, ledgers: Ledgers):
        job = await alone(ledgers, spec())
        await admit(job, outs(2))
        done, doubtful = await job.chunks.begin(["k0"]), await job.chunks.begin(["k1"])
        await job.record(CREATED[:1])
        await job.chunks.end()
        await finish(job)
        assert done != doubtful
        assert shown(await (await alone(ledgers, spec())).chunks.open()) == [(doubtful, ["k1"], None)]

    async def test_a_run_that_is_alone_sees_the_requests_of_all_jobs_of_its_target(self, ledgers: Ledgers):
        one = await alone(ledgers, spec("one"))
        await admit(one, outs(1))
        number = await one.chunks.begin(["k0"])
        await ledgers.die(spec("one"))
        two = await alone(ledgers, spec("two"))
        assert shown(await two.chunks.open()) == [(number, ["k0"], None)]
        elsewhere = await alone(ledgers, spec("one", ELSEWHERE))
        assert shown(await elsewhere.chunks.open()) == []

    async def test_a_run_beside_others_sees_its_own_requests(self, ledgers: Ledgers):
        one, two = await ledgers.open().open_import(spec("one")), await ledgers.open().open_import(spec("two"))
        await admit(one, outs(1))
        number = await one.chunks.begin(["k0"])
        assert shown(await two.chunks.open()) == []
        assert shown(await one.chunks.open()) == [(number, ["k0"], None)]

    async def test_only_one_import_of_a_target_runs_where_it_must_be_alone(self, ledgers: Ledgers):
        one = await alone(ledgers, spec("one"))
        with pytest.raises(JobRunning, match="job one is running on the same target"):
            await alone(ledgers, spec("two"))
        await finish(await alone(ledgers, spec("two", ELSEWHERE)))
        await finish(one)
        await finish(await alone(ledgers, spec("two")))

    async def test_one_that_was_killed_holds_nobody_up(self, ledgers: Ledgers):
        await alone(ledgers, spec("one"))
        await ledgers.die(spec("one"))
        await finish(await alone(ledgers, spec("two")))

    async def test_a_run_that_lost_its_lease_begins_no_request(self, ledgers: Ledgers):
        slow = await alone(ledgers, spec())
        await admit(slow, outs(1))
        await ledgers.lapse(spec())
        await alone(ledgers, spec())
        with pytest.raises(LeaseLost):
            await slow.chunks.begin(["k0"])
