"""What is known of why nothing passes: pure, on a clock of the test."""

from __future__ import annotations

import pytest

from scalesync.engine.calls import too_long
from scalesync.engine.waits import LATE_S, SOON_S, THROTTLED_S, Stuck, Waits, waiting_of
from scalesync.events import duration


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waits(clock: Clock) -> Waits:
    return Waits(clock)


def stuck(waits: Waits) -> Stuck:
    found = waits.stuck()
    assert found is not None
    return found


def test_without_a_failure_nothing_is_waited_for(waits, clock):
    clock.now += 1000
    assert waits.stuck() is None


def test_an_outage_is_due_after_some_seconds_and_ends_with_the_patience(waits, clock):
    waits.met("create", "no route", patience_s=300)
    assert not stuck(waits).is_due
    clock.now += LATE_S
    found = stuck(waits)
    assert (found.is_due, found.since, found.until, found.asked_s) == (True, 100.0, 400.0, None)


def test_what_passes_ends_it_and_the_next_failure_starts_over(waits, clock):
    waits.met("create", "no route", patience_s=300)
    clock.now += 50
    waits.passes += 1
    assert waits.stuck() is None
    clock.now += 50
    waits.met("create", "no route", patience_s=300)
    assert stuck(waits).since == 200.0


def test_failures_in_a_row_keep_their_beginning_and_show_the_last_words(waits, clock):
    waits.met("create", "no route", patience_s=300)
    clock.now += 20
    waits.met("create", "reset", patience_s=300)
    assert (stuck(waits).since, stuck(waits).why) == (100.0, "reset")


def test_a_low_limit_is_due_later_than_an_outage(waits, clock):
    waits.met("create", "slow down", patience_s=300, tell_after_s=THROTTLED_S)
    clock.now += LATE_S + 1
    assert not stuck(waits).is_due
    clock.now = 100 + THROTTLED_S
    assert stuck(waits).is_due


def test_a_wait_that_the_server_asked_for_is_due_soon_and_has_its_end(waits, clock):
    waits.met("create", "quota", patience_s=300, asked_s=120, tell_after_s=THROTTLED_S)
    clock.now += SOON_S
    found = stuck(waits)
    assert (found.is_due, found.until, found.asked_s, found.beyond) == (True, 220.0, 120, False)


def test_a_success_that_was_in_flight_does_not_clear_it(waits, clock):
    waits.met("create", "quota", patience_s=300, asked_s=120)
    clock.now += 0.05
    waits.passes += 1
    found = stuck(waits)
    assert (found.asked_s, found.since) == (120, clock.now)
    clock.now = 221.0
    assert waits.stuck() is None


def test_after_the_wait_nothing_that_passed_before_counts_for_what_follows(waits, clock):
    """The wait is over, the next attempt fails once more: nothing has passed since before the first one."""
    waits.met("create", "quota", patience_s=300, asked_s=120)
    clock.now = 221.0
    waits.met("create", "quota", patience_s=300, asked_s=120)
    assert (stuck(waits).since, stuck(waits).until) == (100.0, 341.0)


@pytest.mark.parametrize(("asked_s", "beyond"), [(299, False), (301, True), (1e12, True)])
def test_a_wait_beyond_the_patience_is_known_as_that(asked_s, beyond, waits, clock):
    waits.met("create", "quota", patience_s=300, asked_s=asked_s)
    clock.now += 0.5
    assert stuck(waits).beyond is beyond


def test_a_shorter_wait_does_not_shorten_a_longer_one(waits, clock):
    waits.met("create", "quota", patience_s=300, asked_s=120)
    waits.met("create", "quota", patience_s=300, asked_s=5)
    assert stuck(waits).until == 220.0


def test_of_several_causes_the_wait_that_ends_last_is_reported_else_what_was_met_last(waits, clock):
    waits.met("list", "reset", patience_s=300)
    clock.now += 1
    waits.met("create", "no route", patience_s=300)
    assert (stuck(waits).why, stuck(waits).since) == ("no route", 100.0)
    waits.met("create", "busy", patience_s=300, asked_s=60)
    assert stuck(waits).why == "busy"
    waits.met("list", "busier", patience_s=300, asked_s=90)
    assert stuck(waits).why == "busier"


def test_a_call_of_its_own_is_a_cause_until_it_gets_through_itself(waits, clock):
    key = object()
    waits.met(key, "page 7: busy", patience_s=60, alone=True)
    clock.now += 10
    waits.passes += 1  # another reader's page
    found = stuck(waits)
    assert (found.why, found.since, found.until) == ("page 7: busy", 110.0, 160.0)
    waits.passed(key)
    assert waits.stuck() is None


def test_what_nothing_depends_on_is_not_waited_for(waits, clock):
    busy = [True]
    waits.met("create", "no route", patience_s=300, busy=lambda: busy[0])
    assert waits.stuck() is not None
    busy[0] = False
    assert waits.stuck() is None


def test_times_are_shown_by_the_wall_clock():
    waiting = waiting_of(Stuck("busy", 100.0, 700.0, 600.0, 700.0, is_due=True, beyond=False), 130.0, 1_000_030.0)
    assert (waiting.since, waiting.until) == (1_000_000.0, 1_000_600.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (42, "42 s"),
        (3600, "1:00 h"),
        (7 * 86400, "168:00 h"),
        (120 * 86400, "120 days"),
        (1e308, "more than 100 years"),
        (float("inf"), "more than 100 years"),
    ],
)
def test_a_duration_of_any_length_can_be_read(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_wait_is_called_longer_than_the_patience_only_where_it_is() -> None:
    assert "asked for 20 s (busy), longer than the 15 s that a run waits" in str(too_long("busy", 20, 15))
    assert "longer" not in str(too_long("busy", 10, 15))
    assert "more than the 15 s that a run waits" in str(too_long("busy", 10, 15))
