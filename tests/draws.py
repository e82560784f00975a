"""How much of a test runs in `make test` and how much in `make soak`.

`make test` has five minutes: of many draws, seeds or combinations it runs some, the same on every machine; the soak
runs all. A test that is `part(n)` runs an n-th of its combinations, drawn by its name; at least one.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import settings

SHARE = 3  # `make test` draws one example where a soak draws three
SOAK = "soak"


def draws(examples: int) -> int:
    """How many examples a property test draws now that draws `examples` in a soak."""
    soaking = settings.default is not None and settings.default.max_examples >= 1000
    return examples if soaking else max(1, examples // SHARE)


def seeds(count: int, here: int) -> list[Any]:
    """The seeds 0 to count - 1; those from `here` on are for the soak."""
    return [seed if seed < here else pytest.param(seed, marks=pytest.mark.soak) for seed in range(count)]


def leave_to_the_soak(items: Sequence[pytest.Item]) -> None:
    """Mark what of each test with `part(n)` is not in its drawn part."""
    families: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("part"):
            families[item.nodeid.partition("[")[0]].append(item)
    for name, family in families.items():
        mark = family[0].get_closest_marker("part")
        assert mark is not None
        kept = random.Random(name).sample(range(len(family)), -(-len(family) // mark.args[0]))
        for place, item in enumerate(family):
            if place not in kept:
                item.add_marker(SOAK)


def keep_part(items: list[pytest.Item], part: str) -> None:
    """Keep one part of the tests of the soak. part: "3/20" keeps every twentieth of them from the third on."""
    number, parts = map(int, part.split("/"))
    items[:] = [item for item in items if item.get_closest_marker(SOAK)][number::parts]
