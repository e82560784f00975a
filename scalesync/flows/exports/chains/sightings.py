"""Sightings: the tasks that a partition has met, so none is written or counted twice."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from scalesync.mapping.seen import SeenTable, Sight

FEW = 5_000  # refs of a partition whose hashes are in one row; more go into a table

EARLIER = 0  # the number of a reading that an earlier run did


class Sightings:
    """ref -> the last reading of the partition in which it was met.

    10 kB for a thousand tasks; at most 20 MB per million tasks of the partitions that are being read, and 300 kB for
    each of these that has more than FEW. A finished partition forgets. It relies on no order of the server's lists.

    It keeps hashes of 64 bits, whose key is another one in each process. If two tasks of a partition had the same hash,
    the second would count as met; then the partition does not add up, and the run says so.
    """

    def __init__(self) -> None:
        self._hashes = array("q")
        self._readings = array("H")
        self._table: SeenTable | None = None

    def meet(self, refs: Sequence[str], reading: int) -> list[Sight]:
        """One answer for each: NEW never met, OTHER met by an earlier reading, SAME met in this reading."""
        if self._table is not None:
            stamp = _stamp(reading)
            return [self._table.renew(ref, stamp) for ref in refs]
        hashes = [hash(ref) for ref in refs]
        page = set(hashes)
        if len(page) == len(hashes) and page.isdisjoint(self._hashes):
            self._hashes.fromlist(hashes)
            self._readings.fromlist([reading] * len(hashes))
            sights = [Sight.NEW] * len(hashes)
        else:
            sights = self._meet_again(hashes, reading)
        self._pack()
        return sights

    def add(self, refs: Iterable[str], reading: int = EARLIER) -> None:
        """Add tasks that were met before; known ones keep their entry."""
        stamp = _stamp(reading)
        known = self._places()
        for ref in refs:
            if self._table is not None:
                self._table.add(ref, stamp)
                continue
            number = hash(ref)
            if known.setdefault(number, len(self._hashes)) == len(self._hashes):
                self._append(number, reading)
                self._pack()

    def _meet_again(self, hashes: Sequence[int], reading: int) -> list[Sight]:
        """`meet` for a page with tasks that were met before."""
        known = self._places()
        sights = []
        for number in hashes:
            at = known.setdefault(number, len(self._hashes))
            if at == len(self._hashes):
                self._append(number, reading)
                sights.append(Sight.NEW)
            else:
                sights.append(Sight.SAME if self._readings[at] == reading else Sight.OTHER)
                self._readings[at] = reading
        return sights

    def _places(self) -> dict[int, int]:
        """Hash -> its place in the rows. It lives for a page: the rows take a tenth of its memory."""
        return dict(zip(self._hashes, range(len(self._hashes)), strict=True))

    def _append(self, number: int, reading: int) -> None:
        self._hashes.append(number)
        self._readings.append(reading)

    def _pack(self) -> None:
        if len(self._hashes) <= FEW:
            return
        table = SeenTable()
        for reading in set(self._readings):
            met = (number for number, last in zip(self._hashes, self._readings, strict=True) if last == reading)
            table.fill(met, _stamp(reading))
        self._table = table
        self._hashes, self._readings = array("q"), array("H")


def _stamp(reading: int) -> bytes:
    return b"%d" % reading
