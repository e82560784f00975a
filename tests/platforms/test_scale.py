"""Scale and its sandbox pass the suite that third parties run."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from scalesync.testing.platform_suite import PlatformHarness, PlatformSuite, ReclaimSuite
from scalesync.testing.processes import KILLED
from tests.platforms.scale import ScaleHarness

ROOT = Path(__file__).resolve().parents[2]


class TestScale(PlatformSuite, ReclaimSuite):
    harness = ScaleHarness()


def test_a_harness_that_says_no_more_starts_the_program_itself(tmp_path: Path) -> None:
    pids: list[int] = []
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    code, out, _ = PlatformHarness.run(ScaleHarness(), ["--version"], tmp_path, environ, pids.append)
    assert (code, out.startswith("scalesync "), len(pids)) == (0, True, 1)

    def kill(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    assert PlatformHarness.run(ScaleHarness(), ["--version"], tmp_path, environ, kill)[0] == KILLED
