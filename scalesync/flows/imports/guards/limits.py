"""--canary and --max-new: cut a block after a number of new records. --max-failures: end a run.

A record is new if nobody has sent it, or if this job will create its task although another job had it first. Pending
records of this job are not new: the run that brought them counted them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from scalesync.errors import ConfigError
from scalesync.flows.imports.guards.canary import Watched
from scalesync.model.records import Outgoing
from scalesync.model.row_views import Known
from scalesync.model.rows import RowState
from scalesync.text import count

MIN_JUDGED = 20  # a percentage of failures says nothing about fewer records

Look = Callable[[Sequence[str]], Awaitable[Mapping[str, Known]]]


class Bounds:
    """Counts new records against the bounds.

    new: new records that may go out so far.
    watched: the records of the canary.
    look: returns what the ledger knows of keys.
    free: how many tasks the run may create without a person's yes; None for any number.
    """

    def __init__(self, look: Look, *, canary: int | None, max_new: int | None, free: int | None = None) -> None:
        self.new = 0
        self.watched: list[Watched] = []
        self._look = look
        self._canary = canary
        self._free = free
        self._max_new = max_new if free is None else free

    async def cut(self, records: Sequence[Outgoing]) -> tuple[Sequence[Outgoing], Sequence[Outgoing]]:
        """Cut records into those that may go out now and the rest.

        The cut is after the last record of the canary, or before the first record that exceeds a bound.
        """
        if not records or (self._canary is None and self._max_new is None):
            return records, ()
        known = await self._look([record.key for record in records])
        for place, record in enumerate(records):
            if not _is_new(known.get(record.key), record):
                continue
            if self.new == self._max_new:
                return records[:place], records[place:]
            self.new += 1
            if self._canary is not None:
                self.watched.append(Watched.of(record))
            if self.new == self._canary:
                return records[: place + 1], records[place + 1 :]
        return records, ()

    def canary_is_out(self) -> bool:
        """Return True once, after the last record of the canary was let out."""
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
        """The sentence why no further record is sent, and how to send the next ones."""
        sent = f"{count(self.new, 'new record')} sent"
        if self._free is None:
            return f"stopped by --max-new: {sent}; the same command takes the next"
        return (
            f"stopped: {sent} with a live key, and a source that can be read only once cannot be counted beforehand;"
            " give the same input to the same command with --yes to send the rest"
        )


def _is_new(known: Known | None, record: Outgoing) -> bool:
    if known is None:
        return True
    if known.home:
        return False
    waits = known.state in (RowState.PENDING, RowState.SENDING)
    return waits or (known.state is RowState.FAILED and known.content != record.content)


def failures_bound(text: str | None) -> Callable[[int, int], bool] | None:
    """Whether `--max-failures` ends a run, by failed and finished records. Raises ConfigError."""
    if text is None:
        return None
    number = text.removesuffix("%")
    try:
        limit = float(number)
    except ValueError:
        limit = -1
    if limit < 0 or (limit != int(limit) and number == text):
        raise ConfigError(f"--max-failures takes a number or a percentage such as 5%, not {text!r}")
    if number == text:
        return lambda failed, settled: failed > limit
    return lambda failed, settled: settled >= MIN_JUDGED and failed * 100 > limit * settled
