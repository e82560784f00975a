"""Requests that left with several records, or with one that must not be sent twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class OpenChunk(NamedTuple):
    """One of an earlier run, of which it is not known what became of all its records.

    number: unique within the target. keys: of its records. age_s: seconds since nobody waited for its answer any more.
    command: what the service said that it works on; then it may not be over, whatever its age.
    """

    number: int
    keys: Sequence[str]
    age_s: float
    command: str | None = None
