"""Sorted arrays of task numbers: what a list request walks.

Numbers rise with creation and so do creation times, so one array sorted by number is sorted by
(created_at, id) as well. A View is such an array for a filter; it follows the world through the
log of touched numbers instead of being rebuilt after each write.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable

MAX_LOG = 2_000_000  # touched numbers kept; older views are built anew
MANY = 256


class Index:
    """Task numbers in rising order, each once."""

    __slots__ = ("seqs",)

    def __init__(self, seqs: array[int] | None = None) -> None:
        self.seqs: array[int] = array("I") if seqs is None else seqs

    def __len__(self) -> int:
        return len(self.seqs)

    def add(self, seq: int) -> None:
        """Put a number in; the newest, the usual case, costs an append."""
        seqs = self.seqs
        if not seqs or seq > seqs[-1]:
            seqs.append(seq)
            return
        place = bisect_left(seqs, seq)
        if seqs[place] != seq:
            seqs.insert(place, seq)

    def discard(self, seq: int) -> None:
        """Take a number out, if it is in."""
        place = bisect_left(self.seqs, seq)
        if place < len(self.seqs) and self.seqs[place] == seq:
            del self.seqs[place]


class TouchLog:
    """Numbers of tasks in the order they were created or changed, with a moving start."""

    __slots__ = ("seqs", "start")

    def __init__(self) -> None:
        self.start = 0
        self.seqs: array[int] = array("I")

    @property
    def end(self) -> int:
        """Position after the newest entry."""
        return self.start + len(self.seqs)

    def add(self, seq: int) -> None:
        """Note one change; forgets the older half when full."""
        self.seqs.append(seq)
        if len(self.seqs) > MAX_LOG:
            half = len(self.seqs) // 2
            del self.seqs[:half]
            self.start += half

    def since(self, position: int) -> set[int] | None:
        """Numbers touched from `position` on; None when that far back is forgotten."""
        if position < self.start:
            return None
        return set(self.seqs[position - self.start :])


class View(Index):
    """The numbers of `base` that match, kept true through the log."""

    __slots__ = ("matches", "position")

    def __init__(self, matches: Callable[[int], bool]) -> None:
        super().__init__()
        self.matches = matches
        self.position = -1

    def refresh(self, base: Index, log: TouchLog) -> None:
        """Follow what changed since the last call. O(changes); O(base) the first time."""
        touched = None if self.position < 0 else log.since(self.position)
        if touched is None:
            self.seqs = array("I", filter(self.matches, base.seqs))
        elif touched:
            self._follow(touched)
        self.position = log.end

    def _follow(self, touched: set[int]) -> None:
        last = self.seqs[-1] if self.seqs else -1
        old = {seq for seq in touched if seq <= last}
        if len(old) > MANY:  # one pass instead of a move of the whole array for each number
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
