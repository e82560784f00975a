"""Named patches: each breaks one promise in a few words of code, and the suite has to notice.

`first` are the tests that are asked first, `promise` is what they keep.
"""

from __future__ import annotations

from dataclasses import dataclass

FAULTS = "tests/faults"
FLOWS = "tests/flows"


@dataclass(frozen=True, slots=True)
class Edit:
    """Text of one file, which must be there exactly once, and what takes its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One way of being wrong."""

    name: str
    promise: str
    edits: tuple[Edit, ...]
    first: tuple[str, ...]
