"""Sightings: the tasks that a partition has met, so none is written or counted twice."""

from __future__ import annotations

from collections.abc import Iterable

from scalesync.mapping.seen import SeenTable, Sight

FEW = 1_000  # refs of a partition that are kept as they are; more go into a table

EARLIER = 0  # the number of a reading that an earlier run did


class Sightings:
    """ref -> the last reading of the partition in which it was met.

    At most 20 MB per million tasks of the partitions that are being read, and 200 kB for each of these partitions; a
    finished partition forgets. It relies on no order of the server's lists.
    """

    def __init__(self) -> None:
        self._few: dict[str, int] = {}
        self._table: SeenTable | None = None

    def meet(self, ref: str, reading: int) -> Sight:
        """NEW for a task never met, OTHER for one that an earlier reading met, SAME for one met in this reading."""
        if self._table is not None:
            return self._table.renew(ref, _stamp(reading))
        before = self._few.get(ref)
        self._few[ref] = reading
        if before is None:
            if len(self._few) > FEW:
                self._pack()
            return Sight.NEW
        return Sight.SAME if before == reading else Sight.OTHER

    def add(self, refs: Iterable[str], reading: int = EARLIER) -> None:
        """Add tasks that were met before; known ones keep their entry."""
        for ref in refs:
            if self._table is not None:
                self._table.add(ref, _stamp(reading))
            else:
                self._few.setdefault(ref, reading)
                if len(self._few) > FEW:
                    self._pack()

    def _pack(self) -> None:
        table = SeenTable()
        for ref, reading in self._few.items():
            table.add(ref, _stamp(reading))
        self._table = table
        self._few = {}


def _stamp(reading: int) -> bytes:
    return b"%d" % reading
