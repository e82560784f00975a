"""What the statements of an import share: where its run writes, many rows in one statement, details as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

# Many rows in one statement: the thread stays in SQLite for all of them. After each statement it needs the
# interpreter's lock again, and waits for the event loop to release it.
SIZES = (128, 32, 8, 1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run writes: the ids of its target, job and run.

    reads: the splits that it reads; None for all.
    """

    target: int
    job: int
    run: int
    reads: Set[int] | None = None


def pieces(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut a sequence into pieces of a few fixed sizes, because each size is one prepared statement."""
    start = 0
    for size in SIZES:
        while len(items) - start >= size:
            yield items[start : start + size]
            start += size


def to_json(detail: Mapping[str, Any] | None) -> str | None:
    return None if detail is None else json.dumps(detail)
