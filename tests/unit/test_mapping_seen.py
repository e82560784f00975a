"""The table of keys met: right answers in little memory."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.mapping.seen import SHARDS, SeenTable, Sight
from tests.draws import draws


@given(st.lists(st.tuples(st.text(max_size=3), st.binary(max_size=2)), max_size=300))
@settings(max_examples=draws(60), deadline=None)
def test_like_a_dictionary(pairs: list[tuple[str, bytes]]) -> None:
    table = SeenTable()
    model: dict[str, bytes] = {}
    for key, content in pairs:
        assert (key in table) is (key in model)
        expected = Sight.NEW if key not in model else Sight.SAME if model[key] == content else Sight.OTHER
        model.setdefault(key, content)
        assert table.add(key, content) is expected
    assert len(table) == len(model)
    assert all(key in table for key in model)


@pytest.mark.parametrize("expected", [0, 10, 20_000, 10_000_000])
def test_growth_keeps_every_key(expected: int) -> None:
    table = SeenTable()
    for n in range(20_000):
        table.expect(expected)
        assert table.add(f"key-{n}", n.to_bytes(16)) is Sight.NEW
    assert len(table) == 20_000
    assert all(table.add(f"key-{n}", n.to_bytes(16)) is Sight.SAME for n in range(0, 20_000, 7))
    assert table.add("key-5", b"other") is Sight.OTHER
    assert "key-20000" not in table
    assert 5 not in table


def test_memory_scaled_down_from_a_million() -> None:
    """At most 20 MB a million, counting the copy made while growing; 200,000 here, looked at on the way."""
    table = SeenTable()
    worst = 0.0
    for n in range(200_000):
        table.add(str(n), b"0123456789abcdef")
        if n % 2000 == 1999 and n > 100_000:
            growing = table.nbytes * 2 / SHARDS
            worst = max(worst, (table.nbytes + growing) / n)
    assert 12 < worst < 20


@pytest.mark.parametrize(("guess", "least", "most"), [(1.0, 12, 17), (0.5, 12, 20), (100.0, 12, 32)])
def test_a_guess_of_how_many_there_will_be_costs_little_when_it_is_wrong(guess: float, least: int, most: int) -> None:
    table = SeenTable()
    for n in range(200_000):
        table.expect(guess * 200_000)
        table.add(str(n), b"0123456789abcdef")
    assert least < table.nbytes / 200_000 < most


def test_the_right_guess_saves_most_of_the_copying(monkeypatch: pytest.MonkeyPatch) -> None:
    grown = 0
    grow = SeenTable._grow

    def count(self: SeenTable, shard: int) -> None:
        nonlocal grown
        grown += self._counts[shard]
        grow(self, shard)

    monkeypatch.setattr(SeenTable, "_grow", count)
    table = SeenTable()
    table.expect(200_000)
    for n in range(200_000):
        table.add(str(n), b"x")
    assert grown < 300_000


def test_the_fixed_cost_is_small() -> None:
    assert SeenTable().nbytes < 300_000
