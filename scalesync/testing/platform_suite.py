"""The contract of the platform port, as tests that a platform inherits.

    class TestOurs(PlatformSuite):
        harness = OurHarness()

A platform whose keys may repeat inherits RepeatingKeySuite as well, one that makes exports as files ExportFileSuite.
"""

from __future__ import annotations

from scalesync.flows.runtime.setup.services import spec_of
from scalesync.ports.spec import KeyStrength
from scalesync.testing.checks import VerifySuite
from scalesync.testing.export_files import ExportFileSuite
from scalesync.testing.exports import ExportSuite
from scalesync.testing.faults import FaultSuite
from scalesync.testing.harness import Held, PlatformHarness
from scalesync.testing.imports import ImportSuite
from scalesync.testing.keys import RepeatingKeySuite
from scalesync.testing.kills import KillSuite

__all__ = ["ExportFileSuite", "Held", "PlatformHarness", "PlatformSuite", "RepeatingKeySuite"]


class PlatformSuite(ImportSuite, FaultSuite, KillSuite, ExportSuite, VerifySuite):
    """What holds for every platform."""

    def test_the_suite_fits_the_strength_of_the_key(self) -> None:
        repeats = spec_of(self.harness.platform).key.strength in {KeyStrength.LABEL, KeyStrength.NAMED}
        assert isinstance(self, RepeatingKeySuite) == repeats, "inherit RepeatingKeySuite where keys may repeat"
