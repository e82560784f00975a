"""The pure controller: its bounds, its memory, and single rules. How it fares stands in tests/pacing."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.pacing.controller import Limits, Pacer
from scalesync.pacing.departures import SENDS, Flights
from tests.draws import draws

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ok", "throttled", "bad"]),
        st.floats(-1, 20),  # the clock may stand still or step back
        st.floats(0, 30),
        st.one_of(st.none(), st.floats(0, 100)),
        st.one_of(st.none(), st.integers(1, 64)),
        st.integers(1, 5000),
    ),
    max_size=120,
)


def followed(pacer: Pacer, seconds: float, rate: float, latency_s: float = 0.05, start: float = 0.0) -> Pacer:
    """Successes at a steady rate, in groups of a tenth of a second."""
    for step in range(1, round(seconds * 10) + 1):
        pacer = pacer.on_success(start + step / 10, latency_s, max(1, round(rate / 10)))
    return pacer


@settings(max_examples=draws(300), deadline=None)
@given(
    EVENTS,
    st.sampled_from([None, 0.001, 0.5, 30.0, 1e9]),
    st.sampled_from([None, 1, 17]),
    st.booleans(),
    st.sampled_from([None, {"version": 1, "rate": 300.0, "window_s": 60.0, "width": 40}]),
)
def test_whatever_happens_decisions_stay_within_bounds(
    events: list[tuple[Any, ...]], max_rate: float | None, width: int | None, fixed: bool, memory: dict[str, Any] | None
) -> None:
    pacer, now, asked = Pacer.start(Limits(max_rate, 64, width, fixed), memory), 0.0, 0.0
    for what, gap, latency_s, retry_after_s, wide, count in events:
        now += gap
        if what == "ok":
            pacer = pacer.on_success(now, latency_s, count)
        elif what == "bad":
            pacer = pacer.on_trouble(now)
        else:
            pacer = pacer.on_throttled(now, latency_s, retry_after_s, wide)
            asked = max(asked, now + (retry_after_s or 0.0))
        decision = pacer.decision
        assert 1 <= decision.width <= (width or 64)
        assert decision.rate is None or 0 < decision.rate < math.inf
        assert max_rate is None or (decision.rate is not None and decision.rate <= max_rate)
        assert decision.hold_until <= max(asked, now + 40 + 20)
        json.dumps(pacer.learned(), allow_nan=False)


def test_nothing_is_known_at_the_start_and_little_is_sent() -> None:
    decision = Pacer().decision
    assert (decision.rate, decision.width, decision.known) == (2.5, 8, False)
    assert Pacer().learned() is None


def test_the_first_reply_allows_one_request_per_round_trip_and_a_fast_server_is_soon_unbounded() -> None:
    assert Pacer().on_success(1.0, 0.01).decision.rate == pytest.approx(100, rel=0.2)
    pacer = Pacer()
    for step in range(200):
        rate = pacer.decision.rate or 10_000.0
        pacer = pacer.on_success(step * 0.01, 0.001, max(1, round(rate / 100)))
    assert pacer.decision.rate is None
    assert pacer.decision.width >= 16


def test_the_climb_leaves_a_small_share_of_what_passed_in_flight() -> None:
    pacer, passed, latency_s = Pacer(), 0, 0.1
    for step in range(1, 120):
        count = max(1, round((pacer.decision.rate or 0) / 10))
        passed += count
        pacer = pacer.on_success(step / 10, latency_s, count)
        assert (pacer.decision.rate or 0) * latency_s <= min(1.5 + passed / 3, 6 + passed / 18)
        if pacer.decision.rate is None:
            break
    assert passed > 5000


def test_a_rate_that_is_not_used_does_not_grow() -> None:
    assert (followed(Pacer(), 600, 10).decision.rate or 0) <= 40


def test_one_429_in_a_climb_changes_nothing_and_two_stop_it() -> None:
    climbing = followed(Pacer(), 10, 100)
    once = climbing.on_throttled(10.05, 0.05)
    assert once.decision.rate == climbing.decision.rate
    assert not once.decision.known
    twice = once.on_throttled(10.06, 0.05)
    assert twice.decision.known
    assert (twice.decision.rate or 0) < 0.8 * (climbing.decision.rate or 0)
    assert twice.decision.hold_until > 10.06


def test_replies_to_what_left_before_the_cut_do_not_cut_again() -> None:
    cut = followed(Pacer(), 10, 100).on_throttled(10.05, 0.05).on_throttled(10.06, 0.05)
    late = cut
    for step in range(5):
        late = late.on_success(10.07 + step / 100, 0.05 + step / 100, 5)  # left before 10.06 too, and passed
    assert (late.decision.rate or 0) > (cut.decision.rate or 0)
    assert late.pace.cut_at == cut.pace.cut_at
    assert late.on_throttled(10.10, 0.08).pace.cut_at == cut.pace.cut_at


def test_retry_after_is_honoured_as_silence_and_never_shortened() -> None:
    pacer = Pacer().on_throttled(10.0, 0.1, 7.0)
    assert pacer.decision.hold_until == 17.0
    assert pacer.on_throttled(10.1, 0.1, 1.0).decision.hold_until == 17.0


def test_a_quota_that_is_used_up_is_asked_singly_and_ever_more_rarely() -> None:
    pacer, now, asked = followed(Pacer(), 5, 50), 5.0, 0
    for _ in range(200):
        now = max(now + 0.1, pacer.decision.hold_until + 0.1)
        if now > 125:
            break
        pacer = pacer.on_throttled(now, 0.1)
        asked += 1
    assert asked <= 30
    assert pacer.decision.width == 1


def test_a_full_window_is_asked_alone_soon_and_when_its_second_must_have_ended() -> None:
    climbing = followed(Pacer(), 10, 400, 0.1)
    pacer = climbing
    for step in range(1, 30):  # all that left after the allowance was used up
        pacer = pacer.on_throttled(10.1 + step / 1000, 0.1)
    cut_at = pacer.pace.cut_at
    assert pacer.decision.width == 1
    asked = []
    for _ in range(4):
        now = pacer.decision.hold_until + 0.1
        pacer = pacer.on_throttled(now, 0.1)
        asked.append(pacer.decision.hold_until - cut_at)
    assert asked == pytest.approx([0.32, 1.05, 3.0, 7.0], abs=0.05)


def test_a_full_window_tells_nothing_of_how_far_above_the_limit_the_rate_was() -> None:
    pacer = followed(Pacer(), 10, 400, 0.1)
    for step in range(1, 60):
        pacer = pacer.on_throttled(10.1 + step / 1000, 0.1)
    refilling = followed(Pacer(), 10, 400, 0.1).on_throttled(10.1, 0.1).on_throttled(10.101, 0.1)
    for step in range(1, 60):  # one of four still passes
        refilling = refilling.on_throttled(10.11 + step / 1000, 0.1)
        refilling = refilling.on_success(10.111 + step / 1000, 0.1) if step % 4 == 0 else refilling
    assert 300 <= pacer.pace.ceiling <= 450
    assert refilling.pace.ceiling < 0.6 * pacer.pace.ceiling


def test_what_a_window_gave_is_measured_from_one_silence_to_the_next() -> None:
    pacer, now = Pacer(), 0.0
    for window in range(3):
        base = 60.0 * window
        pacer = followed(pacer, 6, 100, start=base)
        now = base + 6.1
        while now < base + 60:
            pacer = pacer.on_throttled(now, 0.05)
            now = max(now + 0.2, pacer.decision.hold_until + 0.1)
    pacer = pacer.on_success(max(180.1, now), 0.05)
    assert pacer.pace.ceiling == pytest.approx(10, rel=0.15)
    assert pacer.learned() is not None
    assert 50 <= pacer.learned()["window_s"] <= 75


def test_under_a_set_rate_a_batch_of_429s_changes_nothing_and_many_do() -> None:
    pacer = followed(Pacer.start(Limits(max_rate=100.0)), 5, 100)
    for _ in range(6):
        pacer = pacer.on_throttled(5.05, 0.05)
    assert pacer.decision.rate == 100
    now = 5.1
    for _ in range(6):
        pacer = followed(pacer, 0.5, 60, start=now)
        now += 0.5
        for _ in range(20):
            pacer = pacer.on_throttled(now, 0.05)
    assert (pacer.decision.rate or 0) < 95


def test_fixed_limits_are_left_alone() -> None:
    pacer = Pacer.start(Limits(max_rate=30.0, width=17, fixed=True))
    for step in range(100):
        pacer = pacer.on_success(step * 0.1, 0.05).on_throttled(step * 0.1 + 0.03, 0.01)
    assert (pacer.decision.rate, pacer.decision.width) == (30.0, 17)
    assert pacer.learned() is None


def test_the_width_stops_where_latency_rises() -> None:
    pacer, now = Pacer(), 0.0
    for _ in range(600):
        width = pacer.decision.width
        latency_s = 0.05 * max(1.0, width / 40)
        now += latency_s
        pacer = pacer.on_success(now, latency_s, width)
    assert 32 <= pacer.decision.width <= 160


def test_a_storm_of_troubles_halves_once_per_round_trip_and_single_ones_do_not() -> None:
    pacer = Pacer()
    for step in range(200):
        pacer = pacer.on_success(step * 0.01, 0.1, 10)
    wide = pacer.decision.width
    assert wide > 60
    assert pacer.on_trouble(2.0).on_trouble(2.0).decision.width == wide
    for _ in range(60):
        pacer = pacer.on_trouble(2.0)
    assert pacer.decision.width == wide // 2


def test_an_outage_is_probed_singly_and_the_rate_comes_back_no_higher_than_it_was() -> None:
    pacer, now, probes = followed(Pacer(), 10, 100), 10.0, 0
    before = pacer.decision.rate or 0
    for _ in range(400):
        now = max(now + 0.05, pacer.decision.hold_until)
        if now > 70:
            break
        pacer = pacer.on_trouble(now)
        probes += pacer.decision.hold_until > now
    assert probes <= 15
    pacer = pacer.on_success(75.0, 0.05)
    assert pacer.decision.width == 2
    assert (pacer.decision.rate or 0) <= before


def test_memory_begins_where_it_ended_and_nonsense_is_ignored() -> None:
    memory = {"version": 1, "rate": 250.0, "window_s": 60.0, "width": 60}
    pacer = Pacer.start(Limits(), memory)
    assert pacer.decision.known
    assert pacer.decision.width == 60
    assert pacer.learned() == memory
    assert Pacer.start(Limits(max_rate=30.0), memory).decision.rate == pytest.approx(21)
    for nonsense in (
        {},
        {"version": 2},
        {**memory, "rate": -1},
        {**memory, "rate": math.nan},
        {**memory, "width": "x"},
    ):
        assert Pacer.start(Limits(), nonsense) == Pacer.start(Limits())


def test_429s_on_the_widest_moments_give_a_hidden_cap_away() -> None:
    flights = Flights()
    for step in range(SENDS):
        flights.sent(step * 0.01, 5 + step % 16)  # 5 to 20 in flight
    flights.sent(3.0, 21)
    assert flights.refused(3.1, 0.1) == 21
    flights.sent(3.2, 12)
    assert flights.refused(3.3, 0.1) is None
    assert Flights().refused(1.0, 0.1) is None


def test_a_hidden_cap_is_kept_and_given_up_when_429s_come_below_it() -> None:
    pacer = Pacer.start(Limits(), {"version": 1, "rate": 100.0, "window_s": 0.0, "width": 60})
    pacer = followed(pacer, 5, 65)
    for step in range(3):
        pacer = followed(pacer, 1, 65, start=5.0 + step).on_throttled(6.0 + step, 0.05, None, 21 + step)
    assert pacer.decision.width == 20
    for step in range(4):
        pacer = followed(pacer, 1, 65, start=9.0 + step).on_throttled(10.0 + step, 0.05)
    assert pacer.decision.width > 20


def rate_after(seconds: float, limits: Limits, latency_s: float) -> float:
    """What a server that takes everything is asked at after a while."""
    pacer, due = Pacer.start(limits), 0.0
    for step in range(int(seconds / 0.01)):
        now = step * 0.01
        due += (pacer.decision.rate or 1e4) * 0.01 if now >= latency_s else 0.0
        if due >= 1 or step == int(latency_s / 0.01):
            pacer = pacer.on_success(now, latency_s, max(1, int(due)))
            due -= int(due)
    return pacer.decision.rate or math.inf


def test_lists_climb_eagerly() -> None:
    assert rate_after(1.6, Limits(eager=True), 0.2) > 300
    assert rate_after(2.5, Limits(), 0.2) < 150


@pytest.mark.parametrize("alone", [True, False])
def test_trouble_is_an_outage_only_while_nothing_else_is_answered(alone: bool) -> None:
    pacer = Pacer.start(Limits())
    for step in range(40):
        pacer = pacer.on_trouble(step * 0.1, alone=alone)
    assert (pacer.decision.hold_until > 3.9) is alone
    assert pacer.decision.width == 1
    assert (pacer.decision.rate or 0) >= (0 if alone else 8)
    again = pacer.on_trouble(10.0, alone=False)
    assert again.decision.hold_until < 10.0
