"""A rate over some seconds, and the time that is left only where that rate will last."""

from __future__ import annotations

from collections.abc import Callable

from scalesync.flows.runtime.rate_meter import RateMeter


def run(counts: Callable[[float], float], seconds: float) -> RateMeter:
    """A meter that was told, four times a second, what `counts` says."""
    now = [0.0]
    meter = RateMeter(lambda: now[0])
    while now[0] <= seconds:
        meter.rate(int(counts(now[0])))
        now[0] += 0.25
    return meter


def test_a_steady_rate_tells_what_is_left() -> None:
    meter = run(lambda t: 100 * t, 20)
    left_s = meter.left_s(1000)
    assert left_s is not None
    assert 9.5 < left_s < 10.5


def test_the_first_seconds_tell_nothing() -> None:
    assert run(lambda t: 100 * t, 4).left_s(1000) is None


def test_a_climb_a_stop_and_a_burst_tell_nothing() -> None:
    assert run(lambda t: 2.0**t, 20).left_s(1000) is None
    assert run(lambda t: 100 * min(t, 12.0), 20).left_s(1000) is None  # an allowance that has run out
    assert run(lambda t: 600 * (t // 20), 21).left_s(1000) is None  # one that has just come back


def test_a_rate_that_changed_is_believed_once_it_has_lasted() -> None:
    assert run(lambda t: 100 * t if t < 30 else 3000 + 10 * (t - 30), 40).left_s(1000) is None
    left_s = run(lambda t: 100 * t if t < 30 else 3000 + 10 * (t - 30), 65).left_s(1000)
    assert left_s is not None
    assert 95 < left_s < 105


def test_nothing_left_is_no_time_and_no_rate_is_no_answer() -> None:
    assert run(lambda t: 100 * t, 20).left_s(-3) == 0.0
    assert run(lambda t: 5.0, 20).left_s(10) is None
    assert RateMeter().left_s(10) is None
