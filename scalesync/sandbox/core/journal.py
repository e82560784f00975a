"""What the server received: the last requests, counters over all requests, and how many were open at once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from typing import NamedTuple

DEFAULT_SIZE = 10_000


class Seen(NamedTuple):
    """One request.

    status: 0 if no complete reply was sent.
    at_s: monotonic seconds when its head arrived.
    """

    method: str
    path: str
    query: str
    kind: str
    status: int
    fault: str | None
    at_s: float


class Journal:
    """The last requests, oldest first, and counters over all requests."""

    def __init__(self, size: int | None) -> None:
        self._seen: deque[Seen] = deque(maxlen=DEFAULT_SIZE if size is None else size)
        self.counts: Counter[tuple[str, int]] = Counter()  # by (kind, status)
        self.faults: Counter[str] = Counter()
        self.in_flight = 0
        self.peak_in_flight = 0

    def enter(self) -> None:
        """A request came in."""
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def leave(self, seen: Seen) -> None:
        """A request was answered, or dropped."""
        self.in_flight -= 1
        self.counts[seen.kind, seen.status] += 1
        if seen.fault is not None:
            self.faults[seen.fault] += 1
        if self._seen.maxlen:
            self._seen.append(seen)

    def of(self, kind: str) -> list[Seen]:
        """The kept requests of one kind, one of `faults.CLASSES` or `other`."""
        return [seen for seen in self._seen if seen.kind == kind]

    def count(self, kind: str | None = None, status: int | None = None) -> int:
        """How many requests of a kind got a status; None matches all."""
        return sum(
            number
            for (k, s), number in self.counts.items()
            if (kind is None or k == kind) and (status is None or s == status)
        )

    def clear(self) -> None:
        """Forget all requests except those in flight."""
        self._seen.clear()
        self.counts.clear()
        self.faults.clear()
        self.peak_in_flight = self.in_flight

    def __len__(self) -> int:
        return len(self._seen)

    def __iter__(self) -> Iterator[Seen]:
        return iter(self._seen)

    def __getitem__(self, place: int) -> Seen:
        return self._seen[place]
