"""Sorted arrays of task numbers, from which a list request reads.

Numbers and creation times rise together, so an array sorted by number is also sorted by
(created_at, id). A View is such an array for one filter. It reads the log of touched numbers
and applies the changes, so no write makes it rebuild.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable

MAX_LOG = 2_000_000  # touched numbers kept; a view that is further behind is rebuilt
MANY = 256


class Index:
    """Task numbers in rising order, each once."""

    __slots__ = ("seqs",)

    def __init__(self, seqs: array[int] | None = None) -> None:
        self.seqs: array[int] = array("I") if seqs is None else seqs

    def __len__(self) -> int:
        return len(self.seqs)

    def add(self, seq: int) -> None:
        """Add a number. The newest number, the usual case, costs an append."""
        seqs = self.seqs
        if not seqs or seq > seqs[-1]:
            seqs.append(seq)
            return
        place = bisect_left(seqs, seq)
        if seqs[place] != seq:
            seqs.insert(place, seq)

    def discard(self, seq: int) -> None:
        """Remove a number if it is there."""
        place = bisect_left(self.seqs, seq)
        if place < len(self.seqs) and self.seqs[place] == seq:
            del self.seqs[place]


class TouchLog:
    """Numbers of tasks in the order of their changes; a full log drops the oldest."""

    __slots__ = ("seqs", "start")

    def __init__(self) -> None:
        self.start = 0
        self.seqs: array[int] = array("I")

    @property
    def end(self) -> int:
        """Position after the newest entry."""
        return self.start + len(self.seqs)

    def add(self, seq: int) -> None:
        """Log one change; drops the older half of a full log."""
        self.seqs.append(seq)
        if len(self.seqs) > MAX_LOG:
            half = len(self.seqs) // 2
            del self.seqs[:half]
            self.start += half

    def since(self, position: int) -> set[int] | None:
        """Numbers touched since `position`; None if the log no longer reaches back that far."""
        if position < self.start:
            return None
        return set(self.seqs[position - self.start :])


class View(Index):
    """The numbers of `base` that match, kept current through the log."""

    __slots__ = ("matches", "position")

    def __init__(self, matches: Callable[[int], bool]) -> None:
        super().__init__()
        self.matches = matches
        self.position = -1

    def refresh(self, base: Index, log: TouchLog) -> None:
        """Apply the changes since the last call. O(changes); O(base) the first time."""
        touched = None if self.position < 0 else log.since(self.position)
        if touched is None:
            self.seqs = array("I", filter(self.matches, base.seqs))
        elif touched:
            self._follow(touched)
        self.position = log.end

    def _follow(self, touched: set[int]) -> None:
        last = self.seqs[-1] if self.seqs else -1
        old = {seq for seq in touched if seq <= last}
        if len(old) > MANY:  # one pass; to insert each number alone would move the whole array each time
            kept = [seq for seq in self.seqs if seq not in old]
            kept.extend(filter(self.matches, old))
            self.seqs = array("I", sorted(kept))
        else:
            for seq in old:
                if self.matches(seq):
                    self.add(seq)
                else:
                    self.discard(seq)
        self.seqs.extend(filter(self.matches, sorted(touched - old)))
