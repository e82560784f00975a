"""Admission by class and in all, what replies change, and the counts."""

from __future__ import annotations

import asyncio
import random

import pytest

from scalesync.errors import LongPause, Unavailable
from scalesync.flows.runtime.gate import RequestGate
from scalesync.model.targets import RequestClass
from scalesync.pacing.controller import Widths
from scalesync.pacing.handover import Handovers
from scalesync.pacing.limiter import Rate
from scalesync.pacing.pace import Pace, Signal
from tests.unit.test_engine_limiter import JumpingLoop, most_in_a_window, run

CREATE, LIST, MUTATE = RequestClass.CREATE, RequestClass.LIST, RequestClass.MUTATE


async def ask(loop: JumpingLoop, pace: Pace, request: RequestClass, seconds: float, stamps: list[float]) -> None:
    end = loop.time() + seconds
    while loop.time() < end:
        await pace.acquire(request)
        stamps.append(loop.time())
        pace.report(request, Signal.OK, 0.001)


def test_class_and_common_limits_both_hold_and_both_are_used() -> None:
    create: list[float] = []
    listed: list[float] = []

    async def main(loop: JumpingLoop) -> None:
        pace = Pace({CREATE: Rate(5)}, Rate(20), clock=loop.time)
        await asyncio.gather(
            *(ask(loop, pace, CREATE, 20, create) for _ in range(8)),
            *(ask(loop, pace, LIST, 20, listed) for _ in range(8)),
        )
        assert pace.attempts(CREATE) == len(create)
        assert pace.attempts() == len(create) + len(listed)

    run(main, lambda: 0.001)
    assert most_in_a_window(create, 1.0) <= 5
    assert most_in_a_window(sorted(create + listed), 1.0) <= 20
    assert len(create) >= 0.97 * 5 * 20
    assert len(create) + len(listed) >= 0.98 * 20 * 20


def test_classes_that_the_server_counts_together_share_one_limit() -> None:
    stamps: list[float] = []

    async def main(loop: JumpingLoop) -> None:
        pace = Pace({CREATE: Rate(5)}, heads={CREATE: CREATE, LIST: CREATE}, clock=loop.time)
        await asyncio.gather(*(ask(loop, pace, cls, 20, stamps) for cls in (CREATE, LIST) for _ in range(8)))
        assert pace.attempts() == pace.attempts(LIST) == len(stamps)
        pace.report(LIST, Signal.THROTTLED, 0.05, 30.0)
        assert pace.throttled() == 1
        assert not pace.admit_now(CREATE), "the wait that one class was asked for holds the others"

    run(main, lambda: 0.001)
    assert most_in_a_window(sorted(stamps), 1.0) <= 5
    assert len(stamps) >= 0.97 * 5 * 20


def test_a_class_is_no_wider_than_the_platform_bears_unless_a_person_says_so() -> None:
    async def main(loop: JumpingLoop) -> None:
        pace = Pace({}, widths=Widths(by_class={MUTATE: 2}), clock=loop.time)
        for _ in range(200):
            for cls in (MUTATE, LIST):
                await pace.acquire(cls)
                pace.report(cls, Signal.OK, 0.001)
            await asyncio.sleep(0.02)
        assert pace.width(MUTATE) <= 2
        assert pace.width(LIST) > 2
        assert Pace({}, widths=Widths(7, by_class={MUTATE: 2})).width(MUTATE) == 7

    run(main)


def test_where_no_rate_is_in_force_nobody_waits_and_else_everybody_asks() -> None:
    async def main(loop: JumpingLoop) -> None:
        memory = {CREATE: {"version": 1, "rate": 5.0, "window_s": 0.0, "width": 4}}
        fast = Pace({LIST: Rate(5)}, auto=False, memory=memory, clock=loop.time, rng=random.Random(1))
        gate = RequestGate(fast, Handovers({}, None, clock=loop.time))
        assert [gate.admit_now(CREATE) for _ in range(50)] == [True] * 50
        assert (fast.attempts(CREATE), gate.in_flight) == (50, 50)
        assert not gate.admit_now(LIST)
        fast.report(CREATE, Signal.THROTTLED, 0.05, 30.0)
        assert not gate.admit_now(CREATE)  # held
        await asyncio.sleep(40)
        assert gate.admit_now(CREATE)
        gate.closed = True
        assert not gate.admit_now(CREATE)
        assert not Pace({}, Rate(10), clock=loop.time).admit_now(CREATE)
        assert (fast.attempts(), gate.in_flight) == (51, 51)

    run(main, lambda: 0.001)


def test_a_held_class_does_not_stop_the_others_and_leaks_nothing() -> None:
    listed: list[float] = []

    async def main(loop: JumpingLoop) -> None:
        pace = Pace({}, Rate(10), clock=loop.time, rng=random.Random(1))
        await pace.acquire(CREATE)
        start = loop.time()
        pace.report(CREATE, Signal.THROTTLED, 0.05, 30.0)
        held = [asyncio.create_task(pace.acquire(CREATE)) for _ in range(3)]
        await asyncio.gather(*(ask(loop, pace, LIST, 20, listed) for _ in range(4)))
        assert not any(task.done() for task in held)
        await asyncio.gather(*held)
        assert 30 <= loop.time() - start <= 36

    run(main)
    assert len(listed) >= 0.97 * 200


def test_a_hold_that_comes_while_the_common_turn_is_awaited_is_seen() -> None:
    async def main(loop: JumpingLoop) -> None:
        pace = Pace({}, Rate(1, 10), clock=loop.time)
        await pace.acquire(LIST)
        start = loop.time()
        waiter = asyncio.create_task(pace.acquire(CREATE))
        await asyncio.sleep(1)
        pace.report(CREATE, Signal.THROTTLED, 0.05, 60.0)
        other = asyncio.create_task(pace.acquire(LIST))
        await other
        assert loop.time() - start <= 11
        await waiter
        assert loop.time() - start >= 61

    run(main)


def test_a_cancelled_admission_uses_nothing_up() -> None:
    async def main(loop: JumpingLoop) -> None:
        pace = Pace({CREATE: Rate(1)}, Rate(1), clock=loop.time)
        await pace.acquire(CREATE)
        waiters = [asyncio.create_task(pace.acquire(CREATE)) for _ in range(20)]
        await asyncio.sleep(0.5)
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)
        start = loop.time()
        await pace.acquire(CREATE)
        assert loop.time() - start <= 0.6
        assert pace.attempts() == 2

    run(main)


def test_a_set_rate_is_never_exceeded_whatever_is_learned_below_it() -> None:
    stamps: list[float] = []

    async def main(loop: JumpingLoop) -> None:
        pace = Pace({CREATE: Rate(30)}, clock=loop.time, rng=random.Random(1))
        rng = random.Random(3)
        while loop.time() < 1090:
            await pace.acquire(CREATE)
            stamps.append(loop.time())
            kind = Signal.THROTTLED if rng.random() < 0.3 and loop.time() < 1010 else Signal.OK
            pace.report(CREATE, kind, 0.02)
        assert pace.throttled(CREATE) == pace.throttled() > 0
        assert pace.rate(CREATE) == pytest.approx(30, rel=0.05)

    run(main)
    assert most_in_a_window(stamps, 1.0) <= 30
    early = [stamp for stamp in stamps if stamp < 1010]
    assert len(early) < 0.8 * 300
    assert len([stamp for stamp in stamps if stamp >= 1080]) >= 0.85 * 300


def test_an_unknown_rate_is_learned_from_429s() -> None:
    tokens, at, throttled, passed = 10.0, 1000.0, 0, 0

    async def main(loop: JumpingLoop) -> None:
        nonlocal tokens, at, throttled, passed
        pace = Pace({}, clock=loop.time)
        assert pace.rate(CREATE) is None
        while loop.time() < 1060:
            await pace.acquire(CREATE)
            await asyncio.sleep(0.001)
            tokens, at = min(10.0, tokens + (loop.time() - at) * 30), loop.time()
            if tokens >= 1:
                tokens -= 1
                passed += loop.time() > 1020
                pace.report(CREATE, Signal.OK, 0.001)
            else:
                throttled += loop.time() > 1020
                pace.report(CREATE, Signal.THROTTLED, 0.001)

    run(main)
    assert passed >= 0.85 * 40 * 30
    assert throttled <= 0.02 * passed


def test_without_auto_429s_hold_and_leave_the_rate() -> None:
    async def main(loop: JumpingLoop) -> None:
        pace = Pace({CREATE: Rate(30)}, auto=False, clock=loop.time)
        for _ in range(200):
            await pace.acquire(CREATE)
            pace.report(CREATE, Signal.THROTTLED, 0.02)
        assert pace.rate(CREATE) == 30
        assert loop.time() > 1000 + 200 / 30

    run(main)


def test_the_width_follows_replies_or_stays_as_set() -> None:
    async def main(loop: JumpingLoop) -> None:
        pace, fixed = (
            Pace({}, widths=Widths(most=64), clock=loop.time),
            Pace(dict.fromkeys(RequestClass, Rate(9)), widths=Widths(5), clock=loop.time),
        )
        assert (pace.width(CREATE), fixed.width(CREATE)) == (8, 5)
        for _ in range(100):
            await asyncio.sleep(0.05)
            for one in (pace, fixed):
                for _ in range(64):
                    one.report(CREATE, Signal.OK, 0.05)
        assert (pace.width(CREATE), pace.width(MUTATE), fixed.width(CREATE)) == (64, 8, 5)
        for _ in range(40):
            pace.report(CREATE, Signal.TROUBLE, 0.05)
        assert pace.width(CREATE) == 32

    run(main)


def test_requests_in_flight_are_counted_with_their_peak() -> None:
    pace = Pace({})
    with pace:
        pace.enter()
        assert pace.in_flight == 2
        pace.release()
    with pytest.raises(ValueError, match="lost"), pace:
        raise ValueError("lost")
    assert (pace.in_flight, pace.peak_in_flight) == (0, 2)


def test_an_attempt_that_is_given_up_after_its_turn_makes_no_later_one_look_wider() -> None:
    """How wide it was tells a cap on requests in flight: one that never comes back must not count for ever."""

    async def main(loop: JumpingLoop) -> None:
        pace = Pace({}, clock=loop.time)
        gate = RequestGate(pace, Handovers({}, None, loop.time))

        async def attempt(seconds: float) -> None:
            await gate.acquire(CREATE)
            try:
                await asyncio.sleep(seconds)
            finally:
                gate.release()

        for _ in range(20):
            given_up = asyncio.create_task(attempt(1000.0))
            await asyncio.sleep(0.5)
            given_up.cancel()
            await asyncio.sleep(0.1)
        gate.close()
        with pytest.raises(Unavailable):
            await gate.acquire(CREATE)
        await asyncio.sleep(1.0)
        await pace.acquire(CREATE)
        assert pace.in_flight == 0
        assert set(pace._lanes[CREATE].flights._widths) == {1}

    run(main)


def test_what_was_learned_is_where_the_next_run_begins() -> None:
    async def main(loop: JumpingLoop) -> None:
        memory = {"version": 1, "rate": 200.0, "window_s": 0.0, "width": 40}
        pace = Pace({}, memory={CREATE: memory}, clock=loop.time)
        assert pace.rate(CREATE) == pytest.approx(140)
        assert pace.width(CREATE) == 40
        assert pace.learned(CREATE) == memory
        assert pace.rate(LIST) is None
        assert pace.learned(LIST) is None

    run(main)


@pytest.mark.parametrize("cap", [None, Rate(30)])
def test_a_learned_rate_is_kept_in_short_windows_and_no_period_of_a_cap_overflows(cap: Rate | None) -> None:
    stamps: list[float] = []

    async def main(loop: JumpingLoop) -> None:
        memory = {"version": 1, "rate": 20.0, "window_s": 0.0, "width": 8}
        pace = Pace({CREATE: cap}, memory={CREATE: memory}, clock=loop.time)
        await asyncio.gather(*(ask(loop, pace, CREATE, 4, stamps) for _ in range(8)))

    run(main, lambda: 0.001)
    assert most_in_a_window(stamps, 1.0) <= 30
    assert cap is not None or most_in_a_window(stamps, 0.25) <= 10


def test_a_pause_beyond_the_patience_ends_those_who_wait_and_takes_nothing_from_the_others() -> None:
    async def main(loop: JumpingLoop) -> None:
        pace = Pace({CREATE: Rate(1, 60.0)}, clock=loop.time)
        pace.patience_s = 100.0
        await pace.acquire(CREATE)
        waiting = [asyncio.ensure_future(pace.acquire(CREATE)) for _ in range(3)]
        other = asyncio.ensure_future(pace.acquire(LIST))
        await other
        pace.hold(CREATE, 90.0)
        await asyncio.sleep(1.0)
        assert not any(each.done() for each in waiting), "that is no long pause"
        began = loop.time()
        pace.hold(CREATE, 500.0)
        pace.hold(CREATE, 600.0)
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, LongPause)
            assert error.retry_after_s == pytest.approx(600.0, abs=0.1)
        with pytest.raises(LongPause, match="the server asked for a pause; send nothing for another 10:00 min"):
            await pace.acquire(CREATE)
        await pace.acquire(LIST)
        assert loop.time() - began < 1.0
        await asyncio.sleep(505.0)
        await pace.acquire(CREATE)
        assert loop.time() - began >= 600.0, "the pause itself stays"
        assert pace.attempts(CREATE) == 2

    run(main)


def test_a_run_waits_for_any_pause() -> None:
    async def main(loop: JumpingLoop) -> None:
        pace = Pace({}, clock=loop.time)
        began = loop.time()
        pace.hold(CREATE, 9000.0)
        await pace.acquire(CREATE)
        assert loop.time() - began >= 9000.0

    run(main)
