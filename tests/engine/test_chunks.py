"""Chunks, commands and the rules of keys, each by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import pytest

from scalesync.engine.queue import ALONE_AFTER, FILL_S, WorkQueue
from scalesync.model.records import Outgoing
from scalesync.model.rows import RowState
from scalesync.ports.operation import Repeat
from tests.engine.test_promises import to_the_end
from tests.engine.world import LANDING_S, Fate, World, in_no_time

S = RowState


def records(count: int, size: int = 2, unclear: int = 0) -> list[Outgoing]:
    return [Outgoing(f"k{number}", b"c", b"x" * size, 1, 1, unclear=unclear) for number in range(count)]


def taken(work: Callable[[], Awaitable[Any]]) -> Any:
    return in_no_time(work)


def sizes(*groups: Sequence[Outgoing], most: int = 4, most_bytes: int = 100) -> list[int]:
    """How many records go in each request, when these are ready."""

    async def work() -> list[int]:
        queue = WorkQueue()
        for group in groups:
            await queue.put(group, ())
        found = []
        while chunk := await queue.take_chunk(most, most_bytes):
            found.append(len(chunk))
        return found

    return in_no_time(work)  # type: ignore[no-any-return]


# --- what goes in one request ----------------------------------------------------------------------


def test_a_chunk_holds_as_many_as_it_may():
    assert sizes(records(10)) == [4, 4, 2]


def test_a_chunk_holds_no_more_bytes_than_it_may():
    assert sizes(records(5, size=40)) == [2, 2, 1]


def test_a_record_that_is_too_large_goes_alone():
    assert sizes([*records(2), *records(1, size=1000), *records(2)]) == [2, 1, 2]


def test_a_record_that_was_unclear_often_goes_alone():
    assert sizes([*records(3), *records(2, unclear=ALONE_AFTER), *records(1)]) == [3, 1, 1, 1]


async def _filled(queue: WorkQueue, late: Sequence[Outgoing], after_s: float) -> tuple[list[Outgoing], float]:
    async def bring() -> None:
        await anyio.sleep(after_s)
        await queue.put(late, ())

    found: list[Outgoing] = []
    begun = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(bring)
        found = await queue.take_chunk(4, 100)
        lasted = anyio.current_time() - begun
    return found, lasted


@pytest.mark.parametrize(
    ("late", "after_s", "number", "lasted"),
    [(2, FILL_S / 2, 4, FILL_S / 2), (1, FILL_S / 2, 3, FILL_S), (2, FILL_S * 2, 2, FILL_S)],
    ids=["full", "not full", "too late"],
)
def test_a_chunk_waits_for_more_but_not_long(late: int, after_s: float, number: int, lasted: float):
    async def work() -> tuple[list[Outgoing], float]:
        queue = WorkQueue()
        await queue.put(records(2), ())
        return await _filled(queue, records(late), after_s)

    found, seconds = taken(work)
    assert (len(found), seconds) == (number, pytest.approx(lasted))


def test_a_queue_that_is_closed_while_a_chunk_waits_keeps_its_records():
    async def work() -> tuple[list[Outgoing], list[Outgoing]]:
        queue = WorkQueue()
        await queue.put(records(2), ())
        async with anyio.create_task_group() as group:

            async def close() -> None:
                queue.close()

            group.start_soon(close)
            found = await queue.take_chunk(4, 100)
        return found, queue.unsent()

    found, unsent = taken(work)
    assert (found, [record.key for record in unsent]) == ([], ["k0", "k1"])


# --- refusals --------------------------------------------------------------------------------------


def test_a_chunk_that_is_refused_whole_is_halved_until_the_bad_record_is_known():
    world = to_the_end(World(8, [], most=8, width=1, one_fate=True, bad=frozenset({"k5"}), names=False))
    world.check()
    assert world.service.sizes == [8, 4, 4, 2, 2, 1, 1]
    assert world.ledger.rows["k5"].reason == "there is a bad record"
    assert world.service.looks == 0, "nothing was carried out, and nothing is to be looked up"


def test_where_a_refused_chunk_may_be_carried_out_in_part_each_record_is_looked_up_and_goes_alone():
    world = to_the_end(World(4, [], width=1, bad=frozenset({"k3"}), names=False))
    world.check()
    assert world.service.sizes == [4, 1, 1], "two of the three good ones were made by the first request"
    assert world.service.looks >= 2


def test_records_that_the_platform_names_are_refused_and_the_others_made():
    world = to_the_end(World(5, [], most=5, width=1, bad=frozenset({"k1", "k4"})))
    world.check()
    assert world.service.sizes == [5]


def test_where_a_refusal_names_the_bad_record_the_others_go_again_at_once():
    world = to_the_end(World(5, [], most=5, width=1, one_fate=True, bad=frozenset({"k1"})))
    world.check()
    assert (world.service.sizes, world.service.looks) == ([5, 4], 0)


@pytest.mark.parametrize("how", ["throttled", "unavailable"])
def test_a_chunk_that_was_not_processed_goes_once_more_as_it_was(how: str):
    world = to_the_end(World(4, [Fate(how)] * 3, width=1))
    world.check()
    assert (world.service.sizes, world.service.looks) == ([4, 4, 4, 4], 0)


# --- landing windows -------------------------------------------------------------------------------


def test_nothing_is_sent_again_before_the_window_has_passed_and_two_looks_agree():
    world = World(1, [Fate("lost")], most=1)
    times: list[float] = []

    async def work() -> None:
        send, look = world.service.send, world.service.look_up

        async def timed_send(items: Sequence[Outgoing]) -> Any:
            times.append(world.now)
            return await send(items)

        async def timed_look(keys: Sequence[str], *more: Any, **how: Any) -> Any:
            times.append(-world.now)
            return await look(keys, *more, **how)

        world.service.send = timed_send  # type: ignore[method-assign]
        world.service.look_up = timed_look  # type: ignore[method-assign]
        await world.to_the_end()

    in_no_time(work)
    world.check()
    first, look, second, last = times
    assert first < -look < 5.0
    assert LANDING_S <= -second <= last


def test_a_window_that_began_in_an_earlier_run_is_not_begun_again():
    world = World(4, [Fate("lost")], width=1)

    async def work() -> float:
        world.kill_at = 15
        while await world.run():
            world.kill_at = world.steps + 1
        killed = world.now
        await world.to_the_end()
        return world.now - killed

    assert in_no_time(work) < LANDING_S + 10.0
    world.check()


def test_several_tasks_under_one_key_are_a_conflict_that_names_them_all():
    world = World(1, [Fate("late", LANDING_S + 1.0), Fate("late", 20.0)], most=1)
    to_the_end(world)
    row = world.ledger.rows["k0"]
    assert (row.state, row.reason) == (S.CONFLICT, "duplicate: 2 tasks have this key")
    assert row.detail == {"tasks": ["k0", "k0+1"]}


def test_what_must_be_done_once_is_reported_and_never_done_again():
    world = to_the_end(World(8, [Fate("lost"), Fate("late", 5.0)], width=1, repeat=Repeat.ONCE))
    assert (len(world.service.sizes), world.service.looks) == (2, 0)
    assert {world.state(key) for key in world.keys} == {S.SENDING}
    assert world.tally.exhausted == 8
    assert "not sent twice" in str(world.ledger.rows["k0"].reason)


@pytest.mark.parametrize("kill", range(1, 40))
def test_what_must_be_done_once_is_done_once_whenever_the_run_is_killed(kill: int):
    world = to_the_end(World(8, [Fate(), Fate("half")], width=1, repeat=Repeat.ONCE), [kill])
    made = world.service.tasks
    assert len(made) == len(set(made))
    assert all(key in made for key in world.keys if world.state(key) is S.CREATED)
    assert all(world.state(key) in {S.CREATED, S.SENDING} for key in world.keys)


def test_where_sending_again_is_safe_no_window_is_waited_for_and_no_request_is_kept():
    world = World(4, [Fate("lost")], width=1, repeat=Repeat.IDEMPOTENT, uses_commands=False)

    async def work() -> float:
        await world.to_the_end()
        return world.now

    assert in_no_time(work) < 5.0
    world.check()
    assert world.ledger.most_chunks == 0


# --- commands --------------------------------------------------------------------------------------


def test_a_command_is_polled_at_growing_intervals():
    world = World(4, [Fate("command", 60.0)], width=1)
    to_the_end(world)
    world.check()
    assert 15 <= len(world.service.polled) <= 25, "every 5 s at last, and more often at first"
    assert world.service.looks == 0


def test_a_command_that_names_no_tasks_is_looked_up():
    world = to_the_end(World(4, [Fate("command done", 1.0)], width=1))
    world.check()
    assert (world.service.sizes, world.service.looks) == ([4], 2)


def test_a_command_that_was_refused_goes_in_halves():
    world = to_the_end(World(4, [Fate("command refused", 1.0)], width=1))
    world.check()
    assert world.service.sizes == [4, 2, 2]


def test_a_run_stops_where_a_command_of_an_earlier_run_does_not_end():
    world = World(4, [Fate("command", 1e9)], width=1)

    async def work() -> None:
        world.kill_at = 30
        await world.run()
        assert any(command for _, _, command in world.ledger.chunks.values())
        world.kill_at = None
        assert await world.run()

    in_no_time(work)
    assert "still works on command c0" in str(world.stopped)
    assert world.unclear == world.keys


def test_a_command_that_can_no_longer_be_polled_may_still_take_effect():
    world = World(4, [Fate("command", 60.0)], width=1)

    async def work() -> None:
        world.kill_at = 16
        await world.run()
        assert world.now < 10.0
        assert any(command for _, _, command in world.ledger.chunks.values())
        world.service.uses_commands = False
        await world.to_the_end()

    in_no_time(work)
    world.check()
