"""The contract of the platform port, as tests that a platform inherits.

    class TestOurs(PlatformSuite):
        harness = OurHarness()

A platform whose keys may repeat inherits RepeatingKeySuite as well, one with statuses whose key may be freed
ReclaimSuite, one that makes exports as files ExportFileSuite.
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
from scalesync.testing.increments import IncrementSuite
from scalesync.testing.keys import RepeatingKeySuite
from scalesync.testing.kills import KillSuite
from scalesync.testing.rebuilds import RebuildSuite
from scalesync.testing.retries import ReclaimSuite, RetrySuite

__all__ = ["ExportFileSuite", "Held", "PlatformHarness", "PlatformSuite", "ReclaimSuite", "RepeatingKeySuite"]


class PlatformSuite(
    ImportSuite, FaultSuite, RetrySuite, KillSuite, ExportSuite, IncrementSuite, VerifySuite, RebuildSuite
):
    """What holds for every platform."""

    def test_the_suite_fits_the_strength_of_the_key(self) -> None:
        repeats = spec_of(self.harness.platform).key.strength in {KeyStrength.LABEL, KeyStrength.NAMED}
        assert isinstance(self, RepeatingKeySuite) == repeats, "inherit RepeatingKeySuite where keys may repeat"

    def test_the_suite_fits_the_statuses(self) -> None:
        frees = bool(spec_of(self.harness.platform).vocabulary.reclaimable)
        assert isinstance(self, ReclaimSuite) == frees, "inherit ReclaimSuite where keys of dead tasks may be freed"
