"""Moments of hand-overs, as processes write them down and as windows count them."""

from __future__ import annotations

import array
from collections.abc import Sequence
from pathlib import Path


def most_in_a_window(moments: Sequence[float], period_s: float) -> int:
    """The largest number that any half-open window of the period holds."""
    ordered = sorted(moments)
    most = first = 0
    for last, moment in enumerate(ordered):
        while moment - ordered[first] >= period_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def moments_of(path: Path) -> list[float]:
    """What one process wrote before its end."""
    data = path.read_bytes() if path.exists() else b""
    moments = array.array("d")
    moments.frombytes(data[: len(data) // moments.itemsize * moments.itemsize])
    return moments.tolist()
