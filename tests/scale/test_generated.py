"""The methods of both clients are those of the table, and of each other."""

from __future__ import annotations

import inspect

import pytest

from scalesync.platforms.scale.api.table import ENDPOINTS
from scalesync.scale import AsyncScaleClient, Client
from tests.scale.generator import generated


def test_the_files_are_what_the_generator_writes():
    old = [path.name for path, text in generated() if path.read_text("utf-8") != text]
    assert old == [], "python -m tests.scale.generator writes them"


@pytest.mark.parametrize("kind", [AsyncScaleClient, Client])
def test_every_row_is_a_method(kind):
    assert [name for name in ENDPOINTS if not callable(getattr(kind, name, None))] == []


def test_both_clients_have_the_same_methods():
    def public(kind: type) -> dict[str, list[str]]:
        found = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(each).parameters) for name, each in found if not name.startswith("_")}

    assert public(AsyncScaleClient) == public(Client)
    assert len(public(Client)) > len(ENDPOINTS)
    own = [inspect.signature(kind.__init__).parameters for kind in (AsyncScaleClient, Client)]
    assert list(own[0].values()) == list(own[1].values())
