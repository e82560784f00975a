"""The state of slots: what holders do, die or keep to themselves, no window holds more than the limit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from scalesync.model.targets import RequestClass
from scalesync.pacing.limiter import Rate
from scalesync.pacing.slots import LATE_S, MOST, Limit
from tests.draws import draws

from .several_clients import CREATE, LIST, START, Town, client

RATES = st.builds(Rate, st.floats(0.4, 60), st.sampled_from([0.2, 1.0, 4.0, 60.0]))
PLACES = st.integers(0, 3)
CLASSES = st.sampled_from([CREATE, CREATE, LIST])


class Holders(RuleBasedStateMachine):
    """Four holders, each with rates of its own or all with the same; any order of calls, any crash."""

    @initialize(
        rates=st.lists(RATES, min_size=1, max_size=4),
        listed=st.none() | RATES,
        common=st.lists(st.none() | RATES, min_size=1, max_size=4),
        seed=st.integers(0, 99),
    )
    def start(self, rates: list[Rate], listed: Rate | None, common: list[Rate | None], seed: int) -> None:
        self.town = Town(
            (
                client(
                    f"p{place}",
                    {CREATE: rates[place % len(rates)]} | ({LIST: listed} if listed else {}),
                    common[place % len(common)],
                )
                for place in range(4)
            ),
            seed,
        )

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.03, 0.2, 0.24, 0.26, 1.0, LATE_S + 1, 70.0]))
    def wait(self, seconds: float) -> None:
        self.town.now += seconds

    @rule(place=PLACES, cls=CLASSES, n=st.sampled_from([0, 1, 1, 2, 10, 1000]))
    def ask(self, place: int, cls: RequestClass, n: int) -> None:
        if not self.town.holders[place].who.applies(cls):
            return
        grant = self.town.ask(place, cls, n)
        assert len(grant.slots) <= n
        assert all(slot.opens >= self.town.now for slot in grant.slots)
        assert all(slot.closes > slot.opens for slot in grant.slots)
        assert grant.slots or n == 0 or grant.again_at > self.town.now

    @rule(place=PLACES, cls=CLASSES, times=st.integers(1, 30))
    def use(self, place: int, cls: RequestClass, times: int) -> None:
        for _ in range(times):
            self.town.use(place, cls)

    @rule(place=PLACES, cls=CLASSES, within_s=st.floats(0, 0.5))
    def wait_for_a_slot_and_use_it_late(self, place: int, cls: RequestClass, within_s: float) -> None:
        """As late as it may be, which is the hardest case for the windows behind it."""
        slots = [slot for kind, slot in self.town.holders[place].held if kind is cls and slot.closes >= self.town.now]
        if slots:
            self.town.now = max(self.town.now, slots[0].closes - within_s * (slots[0].closes - slots[0].opens))
            self.town.use(place, cls)

    @rule(place=PLACES, cls=CLASSES, rounds=st.integers(1, 40))
    def work(self, place: int, cls: RequestClass, rounds: int) -> None:
        """Always something to do: lease, wait for the slots, use them at once, report with the next lease."""
        if not self.town.holders[place].who.applies(cls):
            return
        for _ in range(rounds):
            grant = self.town.ask(place, cls, 5)
            for slot in grant.slots:
                self.town.now = max(self.town.now, slot.opens)
                self.town.use(place, cls)
            if not grant.slots:
                self.town.now = max(self.town.now, grant.again_at)

    @rule(place=PLACES, closed_only=st.booleans())
    def give_back(self, place: int, closed_only: bool) -> None:
        self.town.give_back(place, closed_only=closed_only)

    @rule(place=PLACES)
    def crash(self, place: int) -> None:
        self.town.crash(place)

    @invariant()
    def every_window_is_kept(self) -> None:
        if hasattr(self, "town"):
            assert self.town.broken() == []


TestHolders = Holders.TestCase
TestHolders.settings = settings(max_examples=draws(60), stateful_step_count=40, deadline=None)


def work_for(town: Town, seconds: float, *, late_s: float = 0.001, crashes: int = 0, batch: int = 1000) -> None:
    """All holders always have work; in the middle some crash. Each asks when it has nothing left."""
    end, again = town.now + seconds, [town.now] * len(town.holders)
    crash_at = [town.now + seconds * (number + 1) / (crashes + 1) for number in range(crashes)]
    while town.now < end:
        town.now += town.rng.uniform(0, 2 * late_s)
        if crash_at and town.now > crash_at[0]:
            crash_at.pop(0)
            town.crash(len(crash_at))
        for place in town.rng.sample(range(len(town.holders)), len(town.holders)):
            while town.use(place, CREATE):
                pass
            town.give_back(place, closed_only=True)
            if not town.holders[place].held and town.now >= again[place]:
                again[place] = town.ask(place, CREATE, batch).again_at


@pytest.mark.parametrize(
    ("rate", "holders", "seconds", "crashes", "used"),
    [
        (Rate(30), 8, 20, 2, 0.97),
        (Rate(30), 1, 20, 0, 0.985),
        (Rate(300), 8, 6, 2, 0.97),
        (Rate(2000), 8, 2.5, 2, 0.95),
        (Rate(100, 60), 8, 300, 2, 0.95),
        (Rate(2), 8, 60, 0, 0.95),
        (Rate(30), 40, 20, 0, 0.95),
    ],
    ids=str,
)
def test_the_limit_is_kept_and_used_by_all_alike(
    rate: Rate, holders: int, seconds: float, crashes: int, used: float
) -> None:
    town = Town([client(f"p{place}", rate) for place in range(holders)], seed=holders)
    work_for(town, seconds, crashes=crashes)
    assert town.broken() == []
    assert len(town.uses) >= used * rate.per_second * seconds
    each = [sum(use.client.name == f"p{place}" for use in town.uses) for place in range(crashes, holders)]
    assert min(each) >= 0.5 * len(town.uses) / holders - 1, each


def test_slots_are_spread_over_the_minute() -> None:
    town = Town([client(f"p{place}", Rate(100, 60)) for place in range(4)])
    work_for(town, 130)
    moments = [use.at for use in town.uses]
    assert max(sum(at <= one < at + 6 for one in moments) for at in moments) <= 13


def test_what_a_dead_process_had_counts_to_its_end_and_then_vanishes() -> None:
    town = Town([client("dead", Rate(4)), client("alive", Rate(4))])
    grant = town.ask(0, CREATE, 4)
    assert len(grant.slots) == 1
    assert town.use(0, CREATE)
    town.ask(0, CREATE, 4)
    town.crash(0)
    last = grant.slots[0].closes + 0.25
    work_for(town, 10)
    assert town.broken() == []
    late = [use.at for use in town.uses if use.at > last + 1.1]
    assert len(late) >= 0.95 * 4 * (town.now - late[0])


def test_a_slot_that_comes_back_unused_can_be_had_by_another() -> None:
    town = Town([client("idle", Rate(1)), client("busy", Rate(1))])
    town.ask(0, CREATE, 1)
    assert not town.ask(1, CREATE, 1).slots
    town.give_back(0)
    town.ask(0, CREATE, 0)
    assert town.ask(1, CREATE, 1).slots[0].opens == START


def test_each_keeps_to_its_own_number_over_the_common_count() -> None:
    town = Town([client("slow", Rate(5)), client("fast", Rate(50))])
    work_for(town, 10)
    assert town.broken() == []
    slow = sum(use.client.name == "slow" for use in town.uses)
    assert slow <= 10  # the others fill the second: hardly ever is there room for somebody who stays under five
    assert len(town.uses) >= 0.95 * 500


def test_a_limit_that_looks_back_further_than_is_known_takes_the_past_as_full() -> None:
    town = Town([client("first", Rate(30))])
    work_for(town, 30)
    town.holders.append(type(town.holders[0])(client("second", Rate(100, 60))))
    assert not town.ask(1, CREATE, 1).slots
    town.now += 57
    assert not town.ask(1, CREATE, 1).slots
    town.now += 3
    assert town.ask(1, CREATE, 1).slots
    assert town.broken() == []


def test_large_counts_are_kept_in_parts_of_the_period() -> None:
    limit = Limit.of(Rate(1_000_000, 3600))
    assert limit.count <= MOST
    assert limit.count / limit.period_s == pytest.approx(1_000_000 / 3600, rel=0.001)
    assert Limit.of(Rate(30)).period_s == 1.0


@settings(max_examples=draws(30), deadline=None)
@given(st.lists(st.tuples(PLACES, CLASSES, st.floats(0, 0.1)), min_size=1, max_size=80), st.integers(0, 99))
def test_classes_share_what_is_set_for_all_together(steps: list[tuple[int, RequestClass, float]], seed: int) -> None:
    rates = {CREATE: Rate(20)}
    town = Town([client(f"p{place}", rates, Rate(25)) for place in range(4)], seed)
    for place, cls, seconds in steps:
        town.now += seconds
        town.ask(place, cls, 3)
        town.now = max(town.now, *(slot.opens for kind, slot in town.holders[place].held[:1]), START)
        town.use(place, cls)
    assert town.broken() == []


def test_askers_who_get_nothing_come_back_at_different_times() -> None:
    town = Town([client(f"p{place}", Rate(1, 60)) for place in range(9)], seed=3)
    town.ask(0, CREATE, 1)
    later = [town.ask(place, CREATE, 1).again_at for place in range(1, 9)]
    assert len(set(later)) == 8
    assert all(59 < at - START < 61 for at in later)
