"""Requests that left with several records, or with one that must not be sent twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class OpenChunk(NamedTuple):
    """One of an earlier run; not all of its records have a known outcome.

    number: unique within the target.
    keys: of its records.
    age_s: seconds since the wait for its answer ended.
    command: what the service said that it works on; then it may still run, at any age.
    """

    number: int
    keys: Sequence[str]
    age_s: float
    command: str | None = None
