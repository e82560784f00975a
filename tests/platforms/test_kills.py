"""Each command killed at drawn requests, on each platform: many in the soak, the published suite draws a few."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalesync.testing.harness import PlatformHarness
from scalesync.testing.kills import COMMANDS, kill
from scalesync.testing.trial import on_trial
from tests.platforms.chat import ChatHarness
from tests.platforms.scale import ScaleHarness
from tests.platforms.toy import ToyHarness
from tests.toy.plugin import installed

PLATFORMS: dict[str, PlatformHarness] = {
    "scale": ScaleHarness(),
    "chat": ChatHarness(),
    "toy": ToyHarness(),
    "toy with commands": ToyHarness(commands=True),
}


@pytest.fixture(autouse=True)
def _toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with installed(tmp_path_factory.mktemp("site-packages")):
        yield


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_command_killed_at_drawn_requests(platform: str, name: str, seed: int, tmp_path: Path) -> None:
    rng = random.Random(f"{platform} {name} {seed}")
    kills = [rng.randint(1, max(COMMANDS[name].kills)) for _ in range(len(COMMANDS[name].kills))]
    phase = rng.choice(("enter", "leave"))
    on_trial(PLATFORMS[platform], tmp_path, lambda trial: kill(trial, name, phase, kills))
