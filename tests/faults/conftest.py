"""Everything here runs on both transports."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _on_each(each_transport: str) -> None:
    return
