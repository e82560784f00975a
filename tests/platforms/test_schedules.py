"""Imports and exports under drawn schedules of faults, on each platform: nothing is lost and nothing is there twice."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from scalesync.sandbox.core.faults import FaultRule
from scalesync.testing.harness import PlatformHarness
from scalesync.testing.trial import Trial, on_trial, until_done
from tests.faults.schedules import draw_rule
from tests.faults.trial import quick_clockwork
from tests.platforms.chat import ChatHarness
from tests.platforms.scale import ScaleHarness
from tests.platforms.toy import ToyHarness
from tests.toy.plugin import installed

RECORDS = 120
PLATFORMS: dict[str, PlatformHarness] = {
    "scale": ScaleHarness(),
    "chat": ChatHarness(),
    "toy": ToyHarness(),
    "toy with commands": ToyHarness(commands=True),
    "toy with one fate": ToyHarness(one_fate=True),
}


@pytest.fixture(autouse=True)
def _toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with installed(tmp_path_factory.mktemp("site-packages")):
        yield


def drawn(seed: str, window_s: float) -> Sequence[FaultRule]:
    """Rules of any kind, and writes that land late or in part."""
    rng = random.Random(seed)
    rules = [draw_rule(rng) for _ in range(rng.randint(1, 5))]
    for _ in range(rng.randint(0, 2)):
        late_s = rng.uniform(0.1, 0.7 * window_s) if window_s else 0.1
        at = tuple(sorted({rng.randint(0, 8) for _ in range(2)}))
        status = (0, 504)[rng.randrange(2)]
        rules.insert(0, FaultRule(kind="late", on="create", seconds=late_s, at=at, status=status))
    for _ in range(rng.randint(0, 2)):
        rules.insert(0, FaultRule(kind="partial", on="create", count=rng.randint(1, 24), at=(rng.randint(0, 8),)))
    return rules


@pytest.mark.part(2)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_import_under_a_drawn_schedule(platform: str, seed: int, tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        rules = drawn(f"{platform} {seed}", trial.landing_s)
        trial.write(range(RECORDS))
        trial.strike(*rules)
        with quick_clockwork():
            summary = await until_done(trial.bring)
        done = summary.created, summary.failed, summary.conflicts, summary.exit_code
        assert done == (RECORDS, 0, 0, 0), (summary, rules)
        trial.check_held(range(RECORDS))

    on_trial(PLATFORMS[platform], tmp_path, play)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("via", ["pages", "job"])
def test_an_export_of_toy_under_a_drawn_schedule(via: str, seed: int, tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        rng = random.Random(f"export {via} {seed}")
        kinds = ("error", "reset", "cut", "html502")
        rules = [
            FaultRule(kind=rng.choice(kinds), on=on, at=tuple({rng.randint(0, 6) for _ in range(2)}))
            for on in ("list", "token", "export", "command", "result")
        ]
        trial.fill(RECORDS)
        trial.strike(*rules)
        summary = await until_done(partial(trial.export, page_size=20, via=via))
        assert (summary.tasks, summary.exit_code) == (RECORDS, 0), (summary, rules)
        trial.check_exported()

    on_trial(ToyHarness(), tmp_path, play)
