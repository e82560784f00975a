"""What a partition remembers of its tasks: as a dictionary would, in a tenth of its memory."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.flows.exports.chains import sightings
from scalesync.flows.exports.chains.sightings import FEW, Sightings
from scalesync.mapping.seen import Sight
from tests.draws import draws

PAGES = st.lists(st.tuples(st.lists(st.text("abc", max_size=3), max_size=8), st.integers(0, 3), st.booleans()))


@pytest.mark.parametrize("few", [0, 5, 1000])
@given(pages=PAGES)
@settings(max_examples=draws(60), deadline=None)
def test_like_a_dictionary(few: int, pages: list[tuple[list[str], int, bool]]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sightings, "FEW", few)
        met, model = Sightings(), {}
        for refs, reading, added in pages:
            if added:
                met.add(refs, reading)
                for ref in refs:
                    model.setdefault(ref, reading)
                continue
            expected = []
            for ref in refs:
                before = model.get(ref)
                expected.append(Sight.NEW if before is None else Sight.SAME if before == reading else Sight.OTHER)
                model[ref] = reading
            assert met.meet(refs, reading) == expected


def test_a_partition_that_outgrows_its_rows_forgets_nothing() -> None:
    met = Sightings()
    refs = [f"{number:024x}" for number in range(3 * FEW)]
    met.add(refs[: FEW // 2])
    met.meet(refs[FEW // 2 : FEW], 1)
    assert met.meet(refs[FEW:], 1) == [Sight.NEW] * (2 * FEW)
    assert met.meet(refs[: FEW // 2], 1) == [Sight.OTHER] * (FEW // 2)
    assert met.meet(refs, 1) == [Sight.SAME] * (3 * FEW)
    assert met.meet(refs, 2) == [Sight.OTHER] * (3 * FEW)


def test_the_memory_of_a_small_partition() -> None:
    """A dictionary of these ids takes 600 kB, a table for many 300 kB."""
    met = Sightings()
    tracemalloc.start()
    try:
        for first in range(0, FEW, 100):
            met.meet([f"{number:024x}" for number in range(first, first + 100)], 1)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 75_000
    assert peak < 150_000
