"""How far an import has read its sources, and what it met on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from scalesync.model import Aside


@dataclass(slots=True)
class Reading:
    """bytes_before: of the sources that are read to their end; consumed: of the present one. whole: all are, and

    nothing was left out. homes: records whose row is this job's; invalid: places that cannot be used; invalid_in: those
    of them that were read, by batch, under None where it is not known. unclear: records that are in no source any more,
    may have been sent, and got no clear answer.
    """

    bytes_before: int = 0
    consumed: int = 0
    whole: bool = False
    homes: int = 0
    invalid: int = 0
    unclear: int = 0
    invalid_in: Counter[str | None] = field(default_factory=Counter)

    def count_invalid(self, places: Sequence[Aside]) -> None:
        """Count places that cannot be used."""
        self.invalid += len(places)
        self.invalid_in.update(place.batch for place in places)

    def expected(self, total_bytes: int | None, taken: int) -> float | None:
        """How many records there will be, if the rest are as long as those that were taken; None: cannot be told."""
        read = self.bytes_before + self.consumed
        return taken * max(1.0, total_bytes / read) if total_bytes and read else None

    def share(self, total_bytes: int | None, taken: int, outstanding: int) -> float | None:
        """How much of the input is settled; None where that cannot be told.

        Bytes run ahead of records: a small file is read into memory at once. So its end says nothing before the
        reading is over, and of what was taken the outstanding records do not count.
        """
        read = self.bytes_before + self.consumed
        if not total_bytes or not taken or (read >= total_bytes and not self.whole):
            return None
        part = 1.0 if self.whole else min(1.0, read / total_bytes)
        return part * max(0.0, 1 - outstanding / taken)
