"""Where the server does not refuse a second task: none is made and none is lost, whatever fails, whenever it dies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.ports.operation import Repeat
from tests.draws import draws
from tests.engine.world import LANDING_S, Fate, World, in_no_time

# Before the first look-up, between the two, and at the very end of the window.
LATE_S = (0.01, 40.0, LANDING_S)
AT_ONCE = ("ok", "slow", "two calls", "lost", "half", "throttled", "unavailable", "refused")
LATER = ("late", "half late", "mixed")
COMMANDS = ("command", "command done", "command fails", "command refused")
FATES = (
    *(Fate(how) for how in AT_ONCE),
    *(Fate(how, late_s) for how in LATER for late_s in LATE_S),
    *(Fate(how, late_s) for how in COMMANDS for late_s in (1.0, 60.0, 3 * LANDING_S)),
    *(Fate("command vanishes", late_s) for late_s in LATE_S),
    Fate("slow", LANDING_S),
)
SERVICES: dict[str, dict[str, Any]] = {
    "several tasks, each with its own fate": {"most": 4},
    "several tasks, one fate": {"most": 4, "one_fate": True},
    "one task a request": {"most": 1},
}

SAFE: dict[str, Any] = {"most": 4, "repeat": Repeat.IDEMPOTENT}


def to_the_end(world: World, kills: Sequence[int] = (), stop: int | None = None) -> World:
    """The world when nothing is left to do, and all that was to land has landed."""
    return in_no_time(lambda: world.to_the_end(kills, stop))  # type: ignore[no-any-return]


def small(fate: Fate, service: dict[str, Any]) -> World:
    """A few requests, of which the first one has this fate."""
    return World(5 if service["most"] > 1 else 3, [fate], **service)


@pytest.mark.part(8)
@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
@pytest.mark.parametrize("fate", FATES, ids=str)
def test_a_kill_between_any_two_steps(fate: Fate, service: dict[str, Any]):
    undisturbed = to_the_end(small(fate, service))
    undisturbed.check()
    for kill in range(1, undisturbed.steps + 1):
        world = to_the_end(small(fate, service), [kill])
        try:
            world.check()
        except AssertionError as error:
            error.add_note(f"killed at step {kill}")
            raise


@pytest.mark.part(8)
@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
@pytest.mark.parametrize("fate", FATES, ids=str)
def test_a_stop_between_any_two_steps(fate: Fate, service: dict[str, Any]):
    stopped_at_each_step(fate, service)


def test_a_stop_between_two_calls_for_one_task():
    """By name, so that it never depends on what is drawn of the combinations above."""
    stopped_at_each_step(Fate("two calls"), SERVICES["one task a request"])


def stopped_at_each_step(fate: Fate, service: dict[str, Any]) -> None:
    undisturbed = to_the_end(small(fate, service))
    for stop in range(1, undisturbed.steps + 1):
        world = to_the_end(small(fate, service), stop=stop)
        try:
            world.check()
        except AssertionError as error:
            error.add_note(f"stopped at step {stop}")
            raise


@pytest.mark.timeout(300)
@settings(max_examples=draws(150))  # each is many runs of an engine: a round of the soak draws others
@given(
    fates=st.lists(st.sampled_from(FATES), max_size=12),
    kills=st.lists(st.integers(1, 60), max_size=4),
    records=st.integers(1, 14),
    width=st.integers(1, 4),
    seed=st.integers(0, 99),
    service=st.sampled_from((*SERVICES.values(), SAFE)),
    bad=st.frozensets(st.integers(0, 13), max_size=3),
    names=st.booleans(),
    look_fails=st.frozensets(st.integers(1, 12), max_size=4),
)
def test_any_failures_and_any_kills(
    fates: list[Fate],
    kills: list[int],
    records: int,
    width: int,
    seed: int,
    service: dict[str, Any],
    bad: frozenset[int],
    names: bool,
    look_fails: frozenset[int],
):
    wrong = frozenset(f"k{number}" for number in bad if number < records)
    world = World(records, fates, width=width, seed=seed, **service, bad=wrong, names=names, look_fails=look_fails)
    to_the_end(world, kills).check()


def test_a_command_of_an_earlier_run_that_ends_refused_ends_the_run():
    """The poll brings the last refusal while every worker is parked: a draw of a soak hung here."""
    fates = [Fate("command", 270.0), Fate("command", 60.0), Fate("lost"), Fate("command refused", 1.0)]
    world = World(1, fates, width=2, seed=14, most=4, one_fate=True, bad=frozenset({"k0"}))
    to_the_end(world, [37, 35, 23, 35]).check()
