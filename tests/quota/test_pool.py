"""A process's slots, in many runs of one loop whose time jumps: the pool and the gate in front of it."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.model.targets import RequestClass
from scalesync.pacing.limiter import Rate
from tests.draws import draws
from tests.unit.test_engine_limiter import JumpingLoop, most_in_a_window, run

from .several_runs import Memory, Process, process, together

CREATE, LIST = RequestClass.CREATE, RequestClass.LIST


@settings(max_examples=draws(15), deadline=None)
@given(
    st.sampled_from([Rate(30), Rate(7, 0.5), Rate(200), Rate(240, 60), Rate(0.5)]),
    st.integers(1, 8),
    st.integers(0, 2),
    st.sampled_from([0.0, 0.3]),
    st.integers(0, 1000),
)
def test_no_window_over_all_processes_holds_more_than_the_rate(
    rate: Rate, count: int, killed: int, slow: float, seed: int
) -> None:
    """Some are killed and some end; connections are slow, the store and the timers are late."""
    rng = random.Random(seed)
    seconds = 6 * rate.window[1] if rate.period_s < 10 else 40

    async def main(loop: JumpingLoop) -> list[Process]:
        store = Memory(lambda: rng.uniform(0, 0.02))
        processes = [process(loop, store, {CREATE: rate}, seed=seed + place) for place in range(count)]
        for one in processes:
            one.work(rng.choice([12, 40]), slow=slow)
            await asyncio.sleep(rng.uniform(0, 0.3))
        for one in processes[:killed]:
            await asyncio.sleep(rng.uniform(0, seconds / 3))
            await (one.kill() if rng.random() < 0.7 else one.end())
        await asyncio.sleep(seconds)
        for one in processes:
            await one.end()
            assert one.notes == []
        return processes

    moments = together(run(main, lambda: rng.uniform(0, 0.003)))
    count_, window_s = rate.window
    assert most_in_a_window(moments, window_s) <= count_
    if count > killed and not slow:
        assert len(moments) >= 0.9 * rate.per_second * seconds - 4


@pytest.mark.parametrize(("rate", "count", "used"), [(30, 1, 0.99), (3000, 1, 0.97), (30, 8, 0.97), (1000, 8, 0.97)])
def test_the_limit_is_used_by_one_and_by_eight(rate: float, count: int, used: float) -> None:
    rng = random.Random(5)
    seconds = 30 if rate < 100 else 4

    async def main(loop: JumpingLoop) -> tuple[list[Process], Memory]:
        store = Memory(lambda: rng.uniform(0, 0.002))
        processes = [process(loop, store, {CREATE: Rate(rate)}, seed=place) for place in range(count)]
        for one in processes:
            one.work(max(8, int(rate / 10)))
        await asyncio.sleep(seconds)
        for one in processes:
            await one.end()
        return processes, store

    processes, store = run(main, lambda: rng.uniform(0, 0.002))
    moments = together(processes)
    assert most_in_a_window(moments, 1.0) <= rate
    assert len(moments) >= used * rate * seconds
    shares = [len(one.moments[CREATE]) for one in processes]
    assert min(shares) >= 0.7 * max(shares), shares
    assert store.calls <= min(1.1 * len(moments), 45 * count * seconds), "a call to the store covers many attempts"


def test_one_that_has_little_to_do_takes_little_from_the_others() -> None:
    async def main(loop: JumpingLoop) -> list[Process]:
        store = Memory()
        busy, seldom = (process(loop, store, {CREATE: Rate(30)}, seed=place) for place in range(2))
        busy.work(20)
        for _ in range(30):
            await asyncio.sleep(0.6)
            await seldom.attempt()
        await busy.end()
        await seldom.end()
        return [busy, seldom]

    busy, seldom = run(main)
    assert len(seldom.moments[CREATE]) == 30
    seconds = busy.moments[CREATE][-1] - 1000
    assert len(busy.moments[CREATE]) + 30 >= 0.97 * 30 * seconds


def test_who_has_nothing_to_do_any_more_holds_nothing() -> None:
    async def main(loop: JumpingLoop) -> None:
        store = Memory()
        first, second = (process(loop, store, {CREATE: Rate(30)}, seed=place) for place in range(2))
        first.work(20)
        await asyncio.sleep(3)
        await first.stop()
        await asyncio.sleep(0.5)
        second.work(20)
        await asyncio.sleep(10)
        await second.stop()
        moments = second.moments[CREATE]
        assert len(moments) >= 0.97 * 30 * (loop.time() - moments[0])
        assert most_in_a_window(together([first, second]), 1.0) <= 30

    run(main)


def test_classes_have_their_own_slots_and_share_what_is_set_for_all() -> None:
    async def main(loop: JumpingLoop) -> list[Process]:
        store = Memory()
        processes = [process(loop, store, {CREATE: Rate(20)}, Rate(50), seed=place) for place in range(3)]
        for one in processes:
            one.work(10, CREATE)
            one.work(10, LIST)
        await asyncio.sleep(20)
        for one in processes:
            await one.end()
        return processes

    processes = run(main)
    creates, lists = together(processes, CREATE), together(processes, LIST)
    assert most_in_a_window(creates, 1.0) <= 20
    assert most_in_a_window(sorted(creates + lists), 1.0) <= 50
    assert len(creates) + len(lists) >= 0.95 * 50 * 20
    assert len(creates) >= 0.8 * 20 * 20


def test_a_slot_that_closes_while_the_connection_is_made_is_replaced() -> None:
    async def main(loop: JumpingLoop) -> None:
        one = process(loop, Memory(), {CREATE: Rate(2)})
        await one.attempt(CREATE, 3.0)
        one.work(10, slow=0.5)
        await asyncio.sleep(10)
        await one.end()
        assert len(one.moments[CREATE]) >= 15
        assert most_in_a_window(one.moments[CREATE], 1.0) <= 2

    run(main)


def test_who_has_its_connection_goes_before_those_that_have_none() -> None:
    async def main(loop: JumpingLoop) -> None:
        store = Memory()
        one, other = (process(loop, store, {CREATE: Rate(1)}, seed=place) for place in range(2))
        pool = one.pool
        await pool.acquire(CREATE)
        await asyncio.sleep(0.5)
        await other.attempt()
        newcomer = loop.create_task(pool.acquire(CREATE))
        await asyncio.sleep(0.1)
        assert await pool.handover(CREATE)
        assert 1.5 < loop.time() - 1000 < 1.7
        await asyncio.sleep(0.1)
        assert not newcomer.done()
        await newcomer
        pool.close()
        await other.end()

    run(main)


def test_a_slot_that_nobody_waits_for_any_more_goes_to_another_process() -> None:
    async def main(loop: JumpingLoop) -> None:
        store = Memory()
        one, other = (process(loop, store, {CREATE: Rate(1)}, seed=place) for place in range(2))
        await one.attempt()
        waiting = loop.create_task(one.pool.acquire(CREATE))
        await asyncio.sleep(0.95)
        waiting.cancel()
        await asyncio.sleep(0.25)
        await other.attempt()
        assert other.moments[CREATE][0] - 1000 <= 1.3
        await one.end()
        await other.end()

    run(main)


def test_a_hold_of_the_pace_holds_those_who_wait_for_a_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two slots a second for 20 attempts, which are all past nothing: the hold comes before their pace does."""

    async def main(loop: JumpingLoop) -> None:
        store = Memory()
        one, other = (process(loop, store, {CREATE: Rate(4)}, seed=place) for place in range(2))
        free, until = one.pace.acquire, 0.0

        async def acquire(cls: RequestClass) -> None:
            await free(cls)
            await asyncio.sleep(max(0.0, until - loop.time()))

        monkeypatch.setattr(one.pace, "acquire", acquire)
        other.work(10)
        one.work(20)
        await asyncio.sleep(3)
        told = loop.time()
        until = told + 20
        await asyncio.sleep(25)
        assert len([at for at in one.moments[CREATE] if told < at < told + 20]) <= 1
        assert len([at for at in one.moments[CREATE] if at > told + 20]) >= 8
        await one.end()
        await other.end()

    run(main)


def test_who_gives_up_while_waiting_uses_nothing_up() -> None:
    async def main(loop: JumpingLoop) -> None:
        one = process(loop, Memory(), {CREATE: Rate(1)})
        await one.attempt()
        waiting = [loop.create_task(one.attempt()) for _ in range(20)]
        await asyncio.sleep(0.7)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await one.attempt()
        assert one.moments[CREATE][1] - one.moments[CREATE][0] <= 1.1
        await one.end()

    run(main)


@pytest.mark.parametrize("from_the_start", [True, False])
def test_without_the_shelf_a_process_keeps_the_rate_by_itself_and_says_so_once(from_the_start: bool) -> None:
    async def main(loop: JumpingLoop) -> None:
        store = Memory(broken=from_the_start)
        one = process(loop, store, {CREATE: Rate(10)}, Rate(40))
        one.work(10, slow=0.1)
        one.work(5, LIST)
        await asyncio.sleep(3)
        store.broken = True
        await asyncio.sleep(5)
        await one.end()
        assert one.notes == ["the store fell down"]
        assert most_in_a_window(one.moments[CREATE], 1.0) <= 10
        assert most_in_a_window(sorted(together([one]) + one.moments[LIST]), 1.0) <= 40
        assert len(one.moments[CREATE]) >= 0.95 * 10 * 8 - 3

    run(main)


def test_a_pause_of_the_whole_process_lets_nothing_through_too_early() -> None:
    """A suspended process wakes with slots that have closed: none of them is used."""

    async def main(loop: JumpingLoop) -> None:
        store = Memory()
        one, other = (process(loop, store, {CREATE: Rate(20)}, seed=place) for place in range(2))
        one.work(10)
        other.work(10)
        for _ in range(10):
            await asyncio.sleep(0.7)
            loop.now += 0.4
        store.frozen = True
        await asyncio.sleep(1.5)
        store.frozen = False
        await asyncio.sleep(3)
        await one.end()
        await other.end()
        assert most_in_a_window(together([one, other]), 1.0) <= 20
        assert len(together([one, other])) > 100

    run(main)
