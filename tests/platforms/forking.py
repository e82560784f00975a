"""The program forked instead of started, which takes a tenth of the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scalesync.testing.platform_suite import PlatformHarness
from tests import forked


class ForkingHarness(PlatformHarness):
    """A harness of our own platforms."""

    def run(
        self, arguments: Sequence[str], folder: Path, environ: Mapping[str, str], started: Callable[[int], None]
    ) -> tuple[int, str, str]:
        return forked.run("scalesync", arguments, folder=folder, environment=environ, meanwhile=started)
