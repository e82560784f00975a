"""ChangeStore: everything that one run of one job of `apply` reads and writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from scalesync.ledger.change_moves import OPEN
from scalesync.ledger.sqlite import splits
from scalesync.ledger.sqlite.changes import rows
from scalesync.ledger.sqlite.imports.other_records import write_other_records
from scalesync.ledger.sqlite.imports.statements import Place
from scalesync.ledger.sqlite.jobs import JobStore
from scalesync.model.changes import Change, ChangeOutcome, ChangeState, StoredChange
from scalesync.model.records import JsonObject
from scalesync.model.rows import OtherRecord
from scalesync.times import now_iso


class ChangeStore(JobStore):
    """A `ChangeLedger`."""

    @property
    def _place(self) -> Place:
        return Place(self._target, self._job, self._run)

    # --- the collection ------------------------------------------------------------------------

    async def register_sources(self, sources: Iterable[tuple[str, JsonObject]]) -> Sequence[int]:
        """Number the sources (name, facts) by name; a source keeps its number from run to run."""
        return await self._writer.write(lambda db: splits.register(db, self._job, "source", sources))

    async def refs(self, keys: Sequence[str]) -> Mapping[str, str]:
        """The tasks that rows of this job named by these keys."""
        return await self._writer.read(lambda db: rows.refs(db, self._job, keys))

    async def collect(self, changes: Sequence[Change]) -> int:
        """Keep changes as pending; returns how many name a task that an earlier row named. See `ChangeLedger`."""
        return await self._writer.write(lambda db: rows.collect(db, self._place, changes))

    async def set_aside(self, unusable: Sequence[OtherRecord]) -> None:
        """Keep rows that name nothing, or cannot be used."""
        if unusable:
            await self._writer.write(lambda db: write_other_records(db, self._place, unusable))

    async def collected(self, figures: Mapping[str, int]) -> int:
        """End the collection; returns how many changes stay although their rows ask for something else."""
        spec = json.dumps(dict(figures))
        return await self._writer.write(lambda db: rows.end_collection(db, self._job, spec))

    async def collection(self) -> Mapping[str, int] | None:
        """The figures of the finished collection; None before it is finished."""
        return await self._writer.read(lambda db: rows.collection(db, self._job))

    async def clear(self) -> None:
        """Forget the collection, with its pending changes and rows set aside."""
        await self._writer.write(lambda db: rows.clear(db, self._job, self._run))

    # --- the way of a change -------------------------------------------------------------------

    async def waiting(self, after: str, size: int) -> Sequence[StoredChange]:
        """Up to `size` changes without an outcome whose ref follows `after`, by ref."""
        return await self.pages(OPEN, after, size)

    async def intend(self, refs: Sequence[str]) -> None:
        """Move these pending changes to `sending`. Durable when it returns."""
        await self._writer.write(lambda db: rows.intend(db, self._job, refs))

    async def record(self, outcomes: Sequence[ChangeOutcome]) -> None:
        """Write outcomes, with their events. The first end of a change counts."""
        if outcomes:
            await self._writer.write(lambda db: rows.record(db, self._place, outcomes, now_iso()))

    async def reopen(self, wanted: Callable[[str, int | None, str], bool]) -> int:
        """Make failed changes pending again if wanted(ref, status, reason) holds. Returns how many."""
        return await self._writer.write(lambda db: rows.reopen(db, self._job, wanted))

    # --- what there is -------------------------------------------------------------------------

    async def counts(self) -> Mapping[str, int]:
        """Changes of the job by state, every state named, and rows set aside as `invalid`."""
        return await self._writer.read(lambda db: rows.count(db, self._job))

    async def pages(self, states: Collection[ChangeState], after: str, size: int) -> Sequence[StoredChange]:
        """Up to `size` changes in these states whose ref follows `after`, by ref."""
        return await self._writer.read(lambda db: rows.pages(db, self._job, states, after, size))
