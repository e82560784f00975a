"""The progress of an import in its sources, and its counts of what it read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from scalesync.model.rows import OtherRecord


@dataclass(slots=True)
class Reading:
    """The progress of a reading.

    bytes_before: bytes of the sources that are read to their end.
    consumed: bytes of the current source.
    whole: whether all sources were read and nothing was left out.
    homes: records with a row of this job.
    invalid: places that cannot be used.
    invalid_in: invalid places of this reading by batch; under None if the batch is unknown.
    unclear: records that are no longer in any source, may have been sent, and got no clear answer.
    stretches: number of groups of sources.
    ends: groups that have no load left.
    open: whether only a part of the current load is in the ledger.
    limit: records that are taken at most.
    """

    bytes_before: int = 0
    consumed: int = 0
    whole: bool = False
    homes: int = 0
    invalid: int = 0
    unclear: int = 0
    stretches: int = 1
    ends: int = 0
    open: bool = False
    limit: int | None = None
    invalid_in: Counter[str | None] = field(default_factory=Counter)
    _known: tuple[int, int] = (0, 0)  # bytes, and the records that they held
    _read: int = 0
    _taken: int = 0

    def ended(self) -> None:
        """Note that a group of sources has no load left."""
        self.ends += 1

    @property
    def is_in(self) -> bool:
        """Whether everything in the sources is in the ledger, even if the run stopped in between."""
        return self.whole or (self.ends == self.stretches and not self.open)

    def count_invalid(self, places: Sequence[OtherRecord]) -> None:
        """Count places that cannot be used."""
        self.invalid += len(places)
        self.invalid_in.update(place.batch for place in places)

    def expected(self, total_bytes: int | None, taken: int) -> float | None:
        """The estimated number of records, if the rest are as long as those taken; None if unknown."""
        read = self.bytes_before + self.consumed
        return taken * max(1.0, total_bytes / read) if total_bytes and read else None

    def came(self, consumed: int, taken: int) -> None:
        """Note a load: `consumed` bytes of the current source are read, `taken` records in all are taken.

        Bytes run ahead of records, because files are read in large pieces. When a new piece begins, all records of the
        earlier pieces have been taken, which gives the mean length of a record.
        """
        read = self.bytes_before + consumed
        if read != self._read:
            self._known = (self._read, self._taken)
        self.consumed, self._read, self._taken = consumed, read, taken

    def total(self, total_bytes: int | None, taken: int) -> float | None:
        """How many records the input holds; None if unknown yet."""
        if self.whole:
            return float(taken)
        read, records = self._known
        if not total_bytes or not read or not records:
            return None
        total = max(float(taken), records * total_bytes / read)
        return total if self.limit is None else min(total, self.limit)

    def share(self, total_bytes: int | None, taken: int, outstanding: int) -> float | None:
        """The finished share of the input, by records; None if unknown."""
        total = self.total(total_bytes, taken)
        return None if not total else max(0.0, taken - outstanding) / total
