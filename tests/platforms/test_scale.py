"""Scale and its sandbox pass the suite that third parties run."""

from __future__ import annotations

from scalesync.testing.platform_suite import PlatformSuite
from tests.platforms.scale import ScaleHarness


class TestScale(PlatformSuite):
    harness = ScaleHarness()
