"""Version 2 of Scale's API and its sandbox pass the imports of the suite."""

from __future__ import annotations

from scalesync.testing.imports import ImportSuite
from tests.platforms.chat import ChatHarness


class TestChat(ImportSuite):
    harness = ChatHarness()
