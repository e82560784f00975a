"""Whatever faults are drawn, in any order and mix: one task per record, and nothing is told that is not so."""

from __future__ import annotations

import asyncio
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalesync.sandbox import FaultRule
from tests.draws import draws, seeds
from tests.faults.schedules import GUESSES, Schedule, draw_schedule
from tests.faults.trial import run_schedule


def try_out(schedule: Schedule, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trial = asyncio.run(run_schedule(schedule, count, Path(folder)))
    assert not trial.wrong, (schedule, trial)


@pytest.mark.timeout(120)
@settings(
    max_examples=draws(12),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.randoms(use_true_random=False))
def test_every_record_is_one_task_under_any_drawn_schedule(rng: random.Random) -> None:
    try_out(draw_schedule(rng), 150)


@pytest.mark.parametrize("seed", seeds(6, here=3))
def test_every_record_is_one_task_under_a_seeded_schedule(seed: int) -> None:
    try_out(draw_schedule(random.Random(f"schedule {seed}")), 400)


def test_a_task_with_the_projects_instruction_behind_its_own_is_known_when_every_first_reply_is_lost() -> None:
    rules = (FaultRule(kind="cut", on="create", times=12),)
    for own_project in (False, True):
        schedule = Schedule(seed=1, rules=rules, own_project=own_project)
        try_out(replace(schedule, project_instruction="Be kind.", instruction="Sort the letter."), 30)


@pytest.mark.part(2)
@pytest.mark.parametrize("name", GUESSES)
def test_no_guess_about_the_server_changes_the_outcome(name: str) -> None:
    rules = draw_schedule(random.Random(name)).rules[:3]
    for value in GUESSES[name][1:]:
        try_out(Schedule(seed=1, rules=rules, guesses={name: value}), 30)
