"""Toy passes the suite as a platform of a third party does: found by its entry point, by the published tests alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scalesync.testing.platform_suite import (
    ExportFileSuite,
    PlatformSuite,
    ReclaimSuite,
    RepeatingKeySuite,
)
from tests.platforms.toy import ToyHarness
from tests.toy.plugin import installed


@pytest.fixture(autouse=True)
def _toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with installed(tmp_path_factory.mktemp("site-packages")):
        yield


class TestToy(PlatformSuite, RepeatingKeySuite, ReclaimSuite, ExportFileSuite):
    harness = ToyHarness()
