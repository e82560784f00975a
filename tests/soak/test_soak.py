"""A soak of a minute's thousandth part: the figures add up and can be written."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.soak.__main__ import soak
from tests.soak.figures import Figures, Plan, in_short
from tests.soak.jobs import Unit, units


def test_a_full_soak_is_what_it_says_and_mixes_its_kinds_from_the_start() -> None:
    planned = list(units(Plan(), seed=1))
    assert Counter(unit.kind for unit in planned) == {
        "schedule": 200,
        "import": 30,
        "export": 15,
        "increment": 15,
        "round": 20,
        "walk": 100,
        "long": 1,
        "reading": 80,
    }
    assert {unit.kind for unit in planned[:20]} == {
        *("schedule", "import", "export", "increment", "round", "walk", "long", "reading")
    }
    assert len(set(planned)) == len(planned)
    assert planned[:2] == [Unit("long", 0, 0), Unit("schedule", 1, 10_000)]


@pytest.mark.timeout(120)
def test_a_soak_counts_what_it_ran_and_says_whether_that_was_all() -> None:
    found = json.loads(
        json.dumps(soak(Plan(2, 50, kills=0, rounds=0, walks=0, long=0, reading=2), seed=3, minutes=1.5, workers=1))
    )
    assert (found["schedules"], found["complete"], found["wrong"]) == (2, True, [])
    assert found["records"] >= 100
    assert found["reading"]["points"] == 2
    assert sum(found["reading"]["values"]["packing"].values()) == 2
    assert (found["duplicates"], found["losses"], found["false_failures"]) == (0, 0, 0)
    (told,) = in_short(found)
    assert "schedules 2 of 2, kills 0 of 0, rounds 0 of 0, walks 0 of 0, reading 2 of 2, long 0 of 0; 0 dup" in told
    assert in_short({**found, "wrong": ["a record is gone: seed 3"]})[1:] == ["wrong: a record is gone: seed 3"]


def test_a_soak_that_was_cut_short_is_not_complete() -> None:
    assert not Figures(schedules=3).to_json(Plan(), 1, 40, 12.5)["complete"]
