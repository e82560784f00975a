"""Version 2 of Scale's API and its sandbox pass the suite that third parties run."""

from __future__ import annotations

from scalesync.testing.platform_suite import PlatformSuite, ReclaimSuite, RepeatingKeySuite
from tests.platforms.chat import ChatHarness


class TestChat(PlatformSuite, RepeatingKeySuite, ReclaimSuite):
    harness = ChatHarness()
