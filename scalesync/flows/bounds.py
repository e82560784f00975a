"""--canary and --max-new: where a block must be cut, given what is new in it."""

from __future__ import annotations

from collections.abc import Sequence

from scalesync.flows.canary import Watched
from scalesync.flows.prepare import Peek
from scalesync.model import Outgoing
from scalesync.words import count


class Bounds:
    """Counts new records against the bounds. new: rows that this run has made so far; watched: those of the canary.

    free: how many tasks may be made without a word from a person, None for any number.
    """

    def __init__(self, peek: Peek, *, canary: int | None, max_new: int | None, free: int | None = None) -> None:
        self.new = 0
        self.watched: list[Watched] = []
        self._peek = peek
        self._canary = canary
        self._free = free
        self._max_new = max_new if free is None else free

    async def cut(self, records: Sequence[Outgoing]) -> tuple[Sequence[Outgoing], Sequence[Outgoing]]:
        """What may go out now, and the rest: behind the last record of the canary, before one too many."""
        if not records or (self._canary is None and self._max_new is None):
            return records, ()
        known = await self._peek([record.key for record in records])
        new = self.new
        for place, record in enumerate(records):
            if record.key in known:
                continue
            if new == self._max_new:
                return records[:place], records[place:]
            new += 1
            if self._canary is not None:
                self.watched.append(Watched.of(record))
            if new == self._canary:
                return records[: place + 1], records[place + 1 :]
        return records, ()

    def canary_is_out(self) -> bool:
        """True once, when the first records of --canary have been handed over."""
        if self._canary is None or self.new < self._canary:
            return False
        self._canary = None
        return True

    @property
    def used_up(self) -> bool:
        """Whether --max-new allows no further record."""
        return self._max_new is not None and self.new >= self._max_new

    @property
    def stopped(self) -> str:
        """Why no further record is sent, and what sends the next."""
        sent = f"{count(self.new, 'new record')} sent"
        if self._free is None:
            return f"stopped by --max-new: {sent}; the same command takes the next"
        return (
            f"stopped: {sent} with a live key, and a source that can be read only once cannot be counted beforehand;"
            " give the same input to the same command with --yes to send the rest"
        )
