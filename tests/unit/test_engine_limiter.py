"""Rates and the window limiter, on a loop whose time jumps instead of passing."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.errors import ConfigError
from scalesync.pacing.limiter import Rate, WindowLimiter, parse_rate
from tests.draws import draws

T = TypeVar("T")


class JumpingLoop(asyncio.SelectorEventLoop):
    """Waits by moving its clock; `late_s` draws how late each timer fires."""

    def __init__(self, late_s: Callable[[], float]) -> None:
        super().__init__(selectors.SelectSelector())
        self.now = 1000.0
        inner = self._selector.select

        def select(timeout: float | None = None) -> Any:
            self.now += 1e-6  # a loop takes time; without it, rounding could make a timer spin
            if timeout is not None and timeout > 0:
                self.now += timeout + late_s()
            return inner(0)

        self._selector.select = select

    def time(self) -> float:
        return self.now


def run(main: Callable[[JumpingLoop], Coroutine[Any, Any, T]], late_s: Callable[[], float] = lambda: 0.0) -> T:
    with asyncio.Runner(loop_factory=lambda: JumpingLoop(late_s)) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, JumpingLoop)
        return runner.run(main(loop))


def most_in_a_window(stamps: Sequence[float], period_s: float) -> int:
    most, first = 0, 0
    for last, stamp in enumerate(stamps):
        while stamp - stamps[first] >= period_s:
            first += 1
        most = max(most, last - first + 1)
    return most


async def demand(loop: JumpingLoop, limiter: WindowLimiter, workers: int, seconds: float) -> list[float]:
    """Stamps of `workers` that ask again as soon as they were let through."""
    stamps: list[float] = []
    end = loop.time() + seconds

    async def work() -> None:
        while loop.time() < end:
            await limiter.acquire()
            stamps.append(loop.time())

    await asyncio.gather(*(work() for _ in range(workers)))
    return [stamp for stamp in stamps if stamp <= end]


@pytest.mark.parametrize(
    ("text", "count", "period_s", "shown"),
    [
        ("30", 30, 1, "30/s"),
        ("0.5", 0.5, 1, "0.5/s"),
        (" 100/min ", 100, 60, "100/min"),
        ("5/s", 5, 1, "5/s"),
        ("3600/h", 3600, 3600, "3600/h"),
    ],
)
def test_rates_are_read_and_shown(text: str, count: float, period_s: float, shown: str) -> None:
    rate = parse_rate(text)
    assert rate == Rate(count, period_s)
    assert str(rate) == shown


def test_auto_is_no_rate() -> None:
    assert parse_rate("auto") is None


@pytest.mark.parametrize("text", ["", "0", "-3", "x", "5/day", "5/", "1e3", "nan", "inf", "30 30"])
def test_nonsense_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a rate; write 30, "):
        parse_rate(text)


def test_a_rate_without_meaning_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="above zero"):
        Rate(0)


@settings(max_examples=draws(60), deadline=None)
@given(
    st.floats(0.2, 60),
    st.sampled_from([1.0, 2.5, 60.0]),
    st.lists(st.floats(0, 3), min_size=1, max_size=150),
    st.integers(0, 1000),
)
def test_no_window_holds_more_than_the_rate_for_any_arrivals(
    count: float, period_s: float, gaps: list[float], seed: int
) -> None:
    rate, rng = Rate(count, period_s), random.Random(seed)
    stamps: list[float] = []

    async def main(loop: JumpingLoop) -> None:
        limiter = WindowLimiter(rate, loop.time)

        async def one(after_s: float) -> None:
            await asyncio.sleep(after_s)
            await limiter.acquire()
            stamps.append(loop.time())

        at, waits = 0.0, []
        for gap in gaps:
            at += gap if gap > 1 else 0.0
            waits.append(at)
        await asyncio.gather(*(one(wait) for wait in waits))

    run(main, lambda: rng.uniform(0, 0.002))
    whole, window_s = rate.window
    assert len(stamps) == len(gaps)
    assert most_in_a_window(stamps, window_s) <= whole


@pytest.mark.parametrize(("text", "seconds"), [("30", 60.0), ("3000", 5.0)])
def test_continuous_demand_uses_99_percent_although_timers_are_late(text: str, seconds: float) -> None:
    rng = random.Random(7)
    rate = parse_rate(text)
    assert rate is not None

    async def main(loop: JumpingLoop) -> list[float]:
        return await demand(loop, WindowLimiter(rate, loop.time), 64, seconds)

    stamps = run(main, lambda: rng.uniform(0, 0.002))
    whole, window_s = rate.window
    assert most_in_a_window(stamps, window_s) <= whole
    assert len(stamps) >= 0.99 * whole * seconds


@settings(max_examples=draws(25), deadline=None)
@given(st.floats(0.3, 400), st.sampled_from([0.3, 1.0, 7.0, 60.0]), st.integers(1, 64), st.integers(0, 1000))
def test_any_rate_is_used_to_97_percent_when_there_is_always_work(
    count: float, period_s: float, workers: int, seed: int
) -> None:
    rate, rng = Rate(count, period_s), random.Random(seed)
    whole, window_s = rate.window
    windows = max(3, min(20, 400 // whole))

    async def main(loop: JumpingLoop) -> list[float]:
        return await demand(loop, WindowLimiter(rate, loop.time), workers, windows * window_s)

    stamps = run(main, lambda: rng.uniform(0, 0.002))
    assert most_in_a_window(stamps, window_s) <= whole
    assert len(stamps) >= 0.97 * whole * windows - 1


def test_grants_are_spread_within_a_minute() -> None:
    async def main(loop: JumpingLoop) -> list[float]:
        return await demand(loop, WindowLimiter(Rate(100, 60), loop.time), 8, 180)

    stamps = run(main)
    assert most_in_a_window(stamps, 60) <= 100
    assert most_in_a_window(stamps, 6) <= 13
    assert len(stamps) >= 0.99 * 300


def test_waiters_pass_in_the_order_they_came_and_newcomers_do_not_overtake() -> None:
    order: list[int] = []

    async def main(loop: JumpingLoop) -> None:
        limiter = WindowLimiter(Rate(3), loop.time)

        async def one(number: int) -> None:
            await asyncio.sleep(number * 0.05)
            await limiter.acquire()
            order.append(number)

        await asyncio.gather(*(one(number) for number in range(40)))

    run(main)
    assert order == list(range(40))


@settings(max_examples=draws(40), deadline=None)
@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 4)), min_size=5, max_size=60))
def test_cancelled_waiters_use_nothing_up(plan: list[tuple[float, float]]) -> None:
    """Some give up at random moments; the others all pass, as soon as they would have without them."""
    stamps: list[float] = []

    async def main(loop: JumpingLoop) -> float:
        limiter = WindowLimiter(Rate(5), loop.time)

        async def one(at: float, patience_s: float) -> None:
            await asyncio.sleep(at)
            try:
                async with asyncio.timeout(patience_s):
                    await limiter.acquire()
            except TimeoutError:
                return
            stamps.append(loop.time())

        await asyncio.gather(*(one(*entry) for entry in plan))
        start = loop.time()
        await asyncio.gather(*(limiter.acquire() for _ in range(5)))
        assert limiter.waiting == 0
        return loop.time() - start

    assert run(main) <= 2.1
    assert most_in_a_window(stamps, 1.0) <= 5


def test_a_waiter_cancelled_as_its_turn_comes_passes_it_on() -> None:
    async def main(loop: JumpingLoop) -> None:
        limiter = WindowLimiter(Rate(1), loop.time)
        await limiter.turn()
        second = asyncio.create_task(limiter.acquire())
        third = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        limiter.release()
        second.cancel()
        await third
        assert second.cancelled()

    run(main)


def test_a_new_rate_wakes_those_who_wait() -> None:
    async def main(loop: JumpingLoop) -> None:
        limiter = WindowLimiter(Rate(1, 3600), loop.time)
        start = loop.time()
        await limiter.acquire()
        waiters = [asyncio.create_task(limiter.acquire()) for _ in range(10)]
        await asyncio.sleep(1)
        limiter.set_rate(Rate(10))
        await asyncio.gather(*waiters)
        assert loop.time() - start <= 2.5
        limiter.set_rate(Rate(2))
        more = [asyncio.create_task(limiter.acquire()) for _ in range(3)]
        limiter.set_rate(None)
        await asyncio.gather(*more)
        assert limiter.rate is None

    run(main)


def test_a_new_rate_reaches_a_waiter_of_the_old_bucket() -> None:
    async def main(loop: JumpingLoop) -> None:
        limiter = WindowLimiter(Rate(100, 36000), loop.time)
        await limiter.acquire()
        await limiter.acquire()
        start = loop.time()
        waiter = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(1)
        assert not waiter.done()
        limiter.set_rate(Rate(100))
        await waiter
        assert loop.time() - start <= 1.1

    run(main)


def test_a_lower_rate_counts_what_was_granted_before() -> None:
    async def main(loop: JumpingLoop) -> None:
        limiter = WindowLimiter(Rate(20), loop.time)
        stamps = await demand(loop, limiter, 4, 0.95)
        limiter.set_rate(Rate(5))
        later = await demand(loop, limiter, 4, 5)
        assert later[0] - stamps[-5] >= 1.0
        assert most_in_a_window(later, 1.0) <= 5

    run(main)


def test_a_rate_that_was_lower_for_a_moment_has_forgotten_nothing() -> None:
    async def main(loop: JumpingLoop) -> None:
        limiter = WindowLimiter(Rate(60, 2), loop.time)
        stamps: list[float] = []

        async def waver() -> None:
            while True:
                await asyncio.sleep(0.05)
                limiter.set_rate(Rate(2))
                limiter.set_rate(Rate(60, 2))

        wavering = loop.create_task(waver())
        end = loop.time() + 6
        while loop.time() < end:
            await limiter.acquire()
            stamps.append(loop.time())
        wavering.cancel()
        assert most_in_a_window(stamps, 2.0) <= 60
        assert len(stamps) >= 0.9 * 60 * 3

    run(main)


@pytest.mark.parametrize("rate", [None, Rate(50)])
def test_nobody_passes_before_a_hold_ends(rate: Rate | None) -> None:
    async def main(loop: JumpingLoop) -> None:
        limiter = WindowLimiter(rate, loop.time)
        await limiter.acquire()
        until = loop.time() + 30
        limiter.hold_until(until)
        limiter.hold_until(until - 20)
        waiters = [asyncio.create_task(limiter.acquire()) for _ in range(3)]
        await asyncio.sleep(29.9)
        assert not any(waiter.done() for waiter in waiters)
        await asyncio.gather(*waiters)
        assert until <= loop.time() <= until + 0.2

    run(main)


def test_once_no_rate_is_in_force_nobody_stands_behind_those_who_still_do() -> None:
    """A line gives one turn per round of the loop: whoever got one and came back to its end would keep it for good."""

    async def main(loop: JumpingLoop) -> None:
        limiter = WindowLimiter(Rate(1), clock=loop.time)
        waiting = [asyncio.create_task(limiter.acquire()) for _ in range(9)]
        await asyncio.sleep(0.1)
        assert limiter.waiting > 6
        limiter.set_rate(None)
        newcomer = limiter.acquire()
        with pytest.raises(StopIteration):
            newcomer.send(None)  # passes without a wait
        assert limiter.waiting > 6
        before = loop.time()
        await asyncio.gather(*waiting)
        assert loop.time() - before < 0.1
        limiter.hold_until(loop.time() + 5)
        assert not limiter.passes()
        await limiter.acquire()
        assert loop.time() - before >= 5

    run(main)
