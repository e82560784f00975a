"""A soak of a minute's thousandth part: the figures add up and can be written."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.draws import keep_part
from tests.soak.__main__ import soak
from tests.soak.figures import Figures, Plan, Round, in_short
from tests.soak.jobs import ENDS, Unit, run_tests, units


def test_a_full_soak_is_what_it_says_and_mixes_its_kinds_from_the_start() -> None:
    planned = list(units(Plan(), seed=1))
    assert Counter(unit.kind for unit in planned) == {
        "schedule": 200,
        "import": 30,
        "export": 15,
        "increment": 15,
        "round": 20,
        "walk": 100,
        "long": 20,
        "reading": 80,
    }
    assert {unit.kind for unit in planned[:20]} == {
        *("schedule", "import", "export", "increment", "round", "walk", "long", "reading")
    }
    assert len(set(planned)) == len(planned)
    assert planned[0] == Unit("schedule", 1, 10_000)
    assert [unit.seed for unit in planned if unit.kind == "long"] == list(range(20))


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


def test_what_is_under_way_when_the_time_is_over_is_cut_and_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDS, "0")
    assert run_tests(Unit("long", 0, 20)) == Round(tests=0, wrong=[], cut=True)


class Item:
    """What keep_part asks of a test."""

    def __init__(self, number: int) -> None:
        self.number = number

    def get_closest_marker(self, name: str) -> bool:
        return name == "soak" and self.number % 3 > 0


def test_the_parts_of_the_long_tests_are_all_of_them_once() -> None:
    kept: list[int] = []
    for part in range(4):
        items: list[Any] = [Item(number) for number in range(30)]
        keep_part(items, f"{part}/4")
        assert len(items) == 5
        kept += [item.number for item in items]
    assert sorted(kept) == [number for number in range(30) if number % 3 > 0]
