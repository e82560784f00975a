"""Which tests run in `make test`, which in `make proof-slow`, and which in `make soak`.

`make test` has five minutes: of many draws, seeds or combinations it runs some, the same on every machine; the soak
runs all. A test that is `part(n)` runs an n-th of its combinations, drawn by its name; at least one.

Modules that start, kill and time real programs, or that run a suite for yet another service, are for `make proof-slow`,
which `.ci/run` runs with each change.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

SHARE = 4  # `make test` draws one example where a soak draws four
SOAK = "soak"
SLOW = "slow"
SLOW_MODULES = frozenset(
    {
        "bench/test_harness.py",
        "cli/test_asking.py",
        "cli/test_backfill_and_compact.py",
        "cli/test_demo.py",
        "cli/test_descriptors.py",
        "cli/test_kill.py",
        "cli/test_kill_apply.py",
        "cli/test_kill_batches.py",
        "cli/test_kill_chunks.py",
        "cli/test_kill_fix.py",
        "cli/test_messages.py",
        "cli/test_new_interpreter.py",
        "cli/test_plugin_faults.py",
        "cli/test_server.py",
        "docs/test_transcripts.py",
        "faults/test_kills.py",
        "faults/test_stage_kills.py",
        "flows/test_export_axes.py",
        "flows/test_export_jobs.py",
        "network/test_clocks_and_files.py",
        "network/test_never_hangs.py",
        "pacing/test_scenarios.py",
        "platforms/test_chat.py",
        "platforms/test_delivered.py",
        "platforms/test_schedules.py",
        "platforms/test_toy.py",
        "platforms/test_toy_commands.py",
        "quota/test_processes.py",
    }
)
TESTS = Path(__file__).parent


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


def leave_to_the_proof(items: Sequence[pytest.Item]) -> None:
    """Mark the tests of slow modules."""
    for item in items:
        if item.path.is_relative_to(TESTS) and item.path.relative_to(TESTS).as_posix() in SLOW_MODULES:
            item.add_marker(SLOW)


def keep_part(items: list[pytest.Item], part: str) -> None:
    """Keep one part of the tests of the soak. part: "3/20" keeps every twentieth of them from the third on."""
    number, parts = map(int, part.split("/"))
    items[:] = [item for item in items if item.get_closest_marker(SOAK)][number::parts]
