"""The count at the socket: exact, whatever came before it, alone and behind the pace. Time jumps instead of passing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.flows.runtime.gate import RequestGate
from scalesync.model.targets import RequestClass
from scalesync.pacing.handover import Handovers
from scalesync.pacing.limiter import Rate
from scalesync.pacing.pace import Pace
from tests.draws import draws
from tests.unit.test_engine_limiter import JumpingLoop, most_in_a_window, run

CREATE, LIST, MUTATE = RequestClass.CREATE, RequestClass.LIST, RequestClass.MUTATE
Moments = dict[RequestClass, list[float]]


def over(moments: Moments, rates: dict[RequestClass, Rate | None], rate_all: Rate | None) -> list[str]:
    """Which limit some window breaks; empty when all are kept."""
    everything = sorted(moment for one in moments.values() for moment in one)
    limits = [(str(cls), rate, moments[cls]) for cls, rate in rates.items() if rate] + [("all", rate_all, everything)]
    found = []
    for name, rate, counted in limits:
        if rate is not None and (most := most_in_a_window(counted, rate.window[1])) > rate.window[0]:
            found.append(f"{name}: {most} in a window of {rate}")
    return found


def none_yet() -> Moments:
    return {cls: [] for cls in RequestClass}


@dataclass
class Street:
    """Attempts on their way through a gate, with the moments of their hand-overs."""

    loop: JumpingLoop
    gate: RequestGate
    rng: random.Random
    moments: Moments = field(default_factory=none_yet)

    async def attempt(self, cls: RequestClass, connect_s: float) -> None:
        await self.gate.acquire(cls)
        try:
            if connect_s:
                await asyncio.sleep(connect_s)
            await self.gate.handover(cls)
            self.moments[cls].append(self.loop.time())
            await asyncio.sleep(self.rng.expovariate(50))
            self.gate.answered(cls, 200, 0.02, None)
        finally:
            self.gate.release()


def street(loop: JumpingLoop, rates: dict[RequestClass, Rate | None], rate_all: Rate | None, seed: int = 1) -> Street:
    pace = Pace(rates, rate_all, auto=False, clock=loop.time, rng=random.Random(seed))
    return Street(loop, RequestGate(pace, Handovers(rates, rate_all, loop.time)), random.Random(seed))


SOME_RATE = st.builds(Rate, st.floats(0.3, 40), st.sampled_from([0.5, 1.0, 3.0, 60.0]))


@dataclass(frozen=True)
class Planned:
    """One attempt: after a pause, of a class, with so long for its connection; given up after its patience.

    again: sent again so many times, as retries are.
    """

    pause_s: float
    cls: RequestClass
    connect_s: float
    patience_s: float
    again: int


PLANNED = st.builds(
    Planned,
    st.sampled_from([0.0, 0.0, 0.0, 0.05, 0.7]),
    st.sampled_from([CREATE, CREATE, LIST, MUTATE]),
    st.sampled_from([0.0, 0.0, 0.02, 0.4]),
    st.sampled_from([1e9, 1e9, 0.3, 1.1]),
    st.integers(0, 2),
)


@settings(max_examples=draws(80), deadline=None)
@given(
    st.none() | SOME_RATE,
    st.none() | SOME_RATE,
    st.none() | SOME_RATE,
    st.lists(PLANNED, min_size=1, max_size=60),
    st.integers(0, 1000),
)
def test_no_window_of_any_class_or_of_all_holds_more_than_its_rate(
    create: Rate | None, listed: Rate | None, rate_all: Rate | None, plan: list[Planned], seed: int
) -> None:
    """Retries, slow connections and attempts that are given up included; the others all get through."""
    rates = {CREATE: create, LIST: listed}
    rng = random.Random(seed)
    through = 0

    async def main(loop: JumpingLoop) -> Moments:
        nonlocal through
        way = street(loop, rates, rate_all, seed)

        async def one(planned: Planned) -> None:
            nonlocal through
            for _ in range(planned.again + 1):
                try:
                    async with asyncio.timeout(planned.patience_s):
                        await way.attempt(planned.cls, planned.connect_s)
                except TimeoutError:
                    return
            through += 1

        running = []
        for planned in plan:
            await asyncio.sleep(planned.pause_s)
            running.append(loop.create_task(one(planned)))
        await asyncio.gather(*running)
        assert way.gate.in_flight == 0
        return way.moments

    moments = run(main, lambda: rng.uniform(0, 0.003))
    assert over(moments, rates, rate_all) == []
    assert through >= sum(planned.patience_s > 1e6 for planned in plan)


@settings(max_examples=draws(15), deadline=None)
@given(st.floats(1, 60), st.floats(20, 200), st.sampled_from([1.0, 5.0]), st.integers(0, 1000))
def test_all_that_is_allowed_is_used_by_classes_that_share_a_total(
    count: float, total: float, period_s: float, seed: int
) -> None:
    rng = random.Random(seed)
    rates, rate_all = {CREATE: Rate(count, period_s)}, Rate(total, period_s)
    seconds = 4 * period_s

    async def main(loop: JumpingLoop) -> Moments:
        way = street(loop, rates, rate_all, seed)

        async def work(cls: RequestClass) -> None:
            while True:
                await way.attempt(cls, rng.choice([0.0, 0.0, 0.01]))

        working = [loop.create_task(work(cls)) for cls in (CREATE, LIST, MUTATE) for _ in range(40)]
        await asyncio.sleep(seconds)
        for worker in working:
            worker.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        return way.moments

    moments = run(main, lambda: rng.uniform(0, 0.002))
    assert over(moments, rates, rate_all) == []
    assert sum(len(one) for one in moments.values()) >= 0.97 * int(total) * 4 - 2
    for cls, others in ((CREATE, 2), (LIST, 2), (MUTATE, 2)):  # nobody starves: a third of the total, or its own rate
        mine = min(int(total) / (others + 1), int(count) if cls is CREATE else 1e9)
        assert len(moments[cls]) >= 0.8 * 4 * mine - 2, cls


def test_grants_that_reach_their_sockets_together_are_held_apart_there() -> None:
    """Why the limiter alone is not enough: its well spaced grants wait for one connection, say, and go on at once."""
    rates: dict[RequestClass, Rate | None] = {CREATE: Rate(10)}

    async def main(loop: JumpingLoop, handovers: Handovers) -> list[float]:
        pace = Pace(rates, clock=loop.time)
        gate = RequestGate(pace, handovers)
        there = loop.time() + 2.0
        stamps: list[float] = []

        async def one() -> None:
            await gate.acquire(CREATE)
            await asyncio.sleep(max(0.0, there - loop.time()))
            await gate.handover(CREATE)
            stamps.append(loop.time())

        await asyncio.gather(*(one() for _ in range(35)))
        return stamps

    assert most_in_a_window(run(lambda loop: main(loop, Handovers({}, None, loop.time))), 1.0) > 20
    assert most_in_a_window(run(lambda loop: main(loop, Handovers(rates, None, loop.time))), 1.0) == 10


def entering(
    handovers: Callable[[JumpingLoop], Handovers], classes: Sequence[RequestClass], give_up: dict[int, float]
) -> list[tuple[int, float]]:
    """All come at once, some are cancelled; place and moment of those that got through, in order."""
    through: list[tuple[int, float]] = []

    async def main(loop: JumpingLoop) -> None:
        windows = handovers(loop)

        async def enter(place: int) -> None:
            await windows.enter(classes[place])
            through.append((place, loop.time() - 1000))

        tasks = [loop.create_task(enter(place)) for place in range(len(classes))]
        for place, at in give_up.items():
            loop.call_later(at, tasks[place].cancel)
        await asyncio.gather(*tasks, return_exceptions=True)

    run(main)
    return through


def test_who_comes_first_leaves_first() -> None:
    through = entering(lambda loop: Handovers({CREATE: Rate(3)}, None, loop.time), [CREATE] * 20, {})
    assert [place for place, _ in through] == list(range(20))
    assert through[-1][1] == pytest.approx(6 * 1.004, abs=0.02)


def test_who_gives_up_in_the_line_uses_nothing_up() -> None:
    gone = dict.fromkeys(range(3, 12), 0.5)
    through = entering(lambda loop: Handovers({CREATE: Rate(3)}, Rate(6, 2), loop.time), [CREATE] * 15, gone)
    assert [place for place, _ in through] == [0, 1, 2, 12, 13, 14]
    assert through[-1][1] == pytest.approx(1.004, abs=0.02)


def test_classes_that_share_a_limit_share_its_window() -> None:
    heads = {LIST: CREATE}
    through = entering(lambda loop: Handovers({CREATE: Rate(3)}, None, loop.time, heads), [CREATE, LIST] * 6, {})
    assert [place for place, at in through if at < 1] == [0, 1, 2]
    assert through[-1][1] == pytest.approx(3 * 1.004, abs=0.02)


def test_a_class_that_waits_for_its_own_window_does_not_hold_up_the_others() -> None:
    classes = [CREATE] * 6 + [LIST] * 6
    through = entering(lambda loop: Handovers({CREATE: Rate(2, 10)}, Rate(10), loop.time), classes, {})
    assert [place for place, at in through if at < 1] == [0, 1, 6, 7, 8, 9, 10, 11]


def test_the_count_of_a_class_is_taken_when_the_common_window_opens_and_not_before() -> None:
    """Three wait for the total while their class has room. They leave late, and count for their class from then on."""
    rates: dict[RequestClass, Rate | None] = {CREATE: Rate(3)}
    moments = none_yet()

    async def main(loop: JumpingLoop) -> None:
        windows = Handovers(rates, Rate(10, 3), loop.time)

        async def enter(cls: RequestClass) -> None:
            await windows.enter(cls)
            moments[cls].append(loop.time())

        await asyncio.gather(*(enter(LIST) for _ in range(9)))
        first = [loop.create_task(enter(CREATE)) for _ in range(3)]
        await asyncio.sleep(2.9)
        await asyncio.gather(*first, *(enter(CREATE) for _ in range(3)))

    run(main)
    assert over(moments, rates, Rate(10, 3)) == []
    assert len(moments[CREATE]) == 6


@pytest.mark.parametrize("cls", [CREATE, LIST])
def test_the_window_over_everything_counts_each_class(cls: RequestClass) -> None:
    classes = [cls if place % 2 else MUTATE for place in range(16)]
    through = entering(lambda loop: Handovers({CREATE: None}, Rate(5), loop.time), classes, {})
    assert most_in_a_window([at for _, at in through], 1.0) == 5


def test_without_a_rate_nobody_waits() -> None:
    through = entering(lambda loop: Handovers({CREATE: None}, None, loop.time), [CREATE] * 1000, {})
    assert through[-1][1] < 0.01
    assert not Handovers({CREATE: None})
    assert Handovers({CREATE: Rate(1)})
    assert Handovers({}, Rate(1))
