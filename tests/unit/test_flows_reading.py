"""The share of an import counts what is settled; what is read ahead of it only tells how much there is."""

from __future__ import annotations

from itertools import pairwise

import pytest

from scalesync.flows.imports.reading.read_progress import Reading

TOTAL = 6_000_000  # bytes, of records of 100 each
PIECE = 1_000_000  # a file is read in pieces, and each holds 10,000 records


def shares(settled_late_by: int) -> list[tuple[float, float | None]]:
    """(share that is settled, share that is told) block after block."""
    reading, told = Reading(), []
    for taken in range(512, 60_001, 512):
        read = min(TOTAL, (taken * 100 // PIECE + 1) * PIECE)
        reading.came(read, taken)
        settled = max(0, taken - settled_late_by)
        told.append((settled / 60_000, reading.share(TOTAL, taken, taken - settled)))
    return told


@pytest.mark.parametrize("late", [0, 1536, 2560])
def test_the_share_follows_what_is_settled_whatever_is_read_ahead(late):
    told = [(true, share) for true, share in shares(late) if share is not None]
    assert len(told) > 90  # in the first piece nothing is known yet
    assert all(abs(true - share) < 0.06 for true, share in told)
    assert told[-1][1] == pytest.approx(1 - late / 60_000, abs=0.02)


def test_the_share_never_stays_while_work_continues():
    told = [share for _, share in shares(0) if share is not None]
    assert all(later >= before - 0.02 for before, later in pairwise(told))
    assert len(set(told)) > 0.9 * len(told)


def test_a_file_that_is_read_at_once_tells_nothing_before_its_end():
    reading = Reading()
    reading.came(5_000, 50)
    assert reading.share(5_000, 50, 40) is None
    reading.whole = True
    assert reading.share(5_000, 50, 40) == 0.2


def test_several_files_add_up_by_records():
    reading = Reading()
    for number in range(1, 11):  # ten small files of a hundred records
        reading.came(10_000, number * 100)
        reading.bytes_before += 10_000
        reading.consumed = 0
    assert reading.share(20_000 * 10, 1000, 500) == pytest.approx(0.25, abs=0.03)


def test_without_a_size_nothing_is_reported():
    reading = Reading()
    reading.came(10_000, 100)
    reading.came(20_000, 200)
    assert reading.share(None, 200, 0) is None
    assert reading.total(None, 200) is None
