"""What is gone from the sources of an import: sources that no longer exist, and records that no source holds now.

A request for such a record may have left. No record is left to compare with a task, so only the task's age shows
whether it was created for this job.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence, Set

from scalesync.flows.imports.conflicts import TOLERANCE_MS
from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.imports.reading.read_progress import Reading
from scalesync.flows.imports.reading.source_changes import vanished
from scalesync.flows.runtime.bulk_lookup import BulkLookup
from scalesync.flows.runtime.wiring import Connection
from scalesync.mapping.seen import SeenTable
from scalesync.model.contents import batch_in
from scalesync.model.jobs import SourceSplit
from scalesync.model.outcomes import Presence
from scalesync.model.row_views import Doubtful, LookedUp
from scalesync.model.rows import Gone
from scalesync.model.task_view import TaskView
from scalesync.ports.import_ledger import GoneRows, ImportLedger
from scalesync.text import count


class GoneFromSources:
    """Finds what is gone from the sources of one run, and flags it in the ledger.

    reading: how far the run is in its sources.
    seen: the keys that it met there.
    bound: the sources to which the job's name was bound before this run.
    """

    def __init__(
        self,
        plan: ImportPlan,
        connection: Connection,
        job: ImportLedger,
        reading: Reading,
        seen: SeenTable,
        *,
        bound: frozenset[str],
        note: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._connection = connection
        self._job = job
        self._reading = reading
        self._seen = seen
        self._bound = bound
        self._note = note

    async def splits(self, numbers: Set[int]) -> tuple[Sequence[SourceSplit], Set[int] | None]:
        """The splits that no longer exist, and the splits of this run; None for all.

        numbers: the splits that it reads.

        A source that only another run named stays as it is, because its current content is unknown.
        """
        others = await self._job.source_splits(but=numbers)
        gone = vanished(others, (), self._plan.named, self._bound)
        left = {split.number for split in others if not split.is_gone} - {split.number for split in gone}
        return gone, {*numbers, *(split.number for split in gone)} if left else None

    async def take_leave(self, gone: Sequence[SourceSplit], among: Set[int] | None) -> None:
        """Flag records that are no longer in any source. Call it after all named sources were read.

        gone, among: what `splits` returned.
        """
        await self._job.lose_sources([split.number for split in gone])
        await self._job.drop_stale_other_records(among)
        if among is not None:
            await self._retire(among)
        if await self._job.mark_gone(self._reading.homes, self._seen.__contains__, among):
            await self.look_up()

    async def _retire(self, among: Set[int]) -> None:
        """Forget moved sources of earlier runs: they no longer exist, and this run met all their records."""
        others = [split for split in await self._job.source_splits(but=among) if not split.is_gone]
        missing = {split.number: split for split in others if not self._plan.is_there(split)}
        for number in await self._job.retire_sources(missing, among):
            name = missing[number].spec.get("name", "")
            self._note(f"{name}: no longer there, and all its records are in the sources of this run now")

    async def miss(self, numbers: Set[int]) -> None:
        """A run that names records read its sources to the end: those that it did not meet there are gone.

        numbers: what it read. A source that is missing today, or was only named another time, keeps its records.
        """
        before = (await self._job.counts())["gone"]
        gone = await self._job.mark_gone(self._reading.homes, self._seen.__contains__, numbers) - before
        if gone > 0:
            no_longer = (
                "is no longer in any source and counts" if gone == 1 else "are no longer in any source and count"
            )
            self._note(f"{count(gone, 'record')} {no_longer} as gone")

    async def look_up(self, back: Container[str] = ()) -> None:
        """Look up records that are no longer in any source and may have been sent; the engine does not know them.

        back: keys of records that this run found again after all; the engine has looked them up.
        """
        self._reading.unclear = await _resolve(self._job.gone_rows, self._connection, back)


async def _resolve(store: GoneRows, connection: Connection, back: Container[str]) -> int:
    """Look up each row in doubt whose record is gone. Returns how many got no trustworthy answer.

    A row with a live task counts as created, or as adopted if the task is older than the intent. Others count as gone.
    """
    finder = BulkLookup(connection)
    unclear, after = 0, ""
    while rows := await store.doubtful(after, finder.wave):
        after = rows[-1].key
        asked = [row for row in rows if row.key not in back]
        findings = await finder.find([row.key for row in asked], {row.key: batch_in(row.content) for row in asked})
        clear = [row for row in asked if findings[row.key].presence is not Presence.UNKNOWN]
        await store.conclude([_looked_up(row, findings[row.key].view, connection.words.dead) for row in clear])
        unclear += len(asked) - len(clear)
    return unclear


def _looked_up(row: Doubtful, view: TaskView | None, dead: Container[str | None]) -> LookedUp:
    if view is None or view.status in dead:
        return LookedUp(row.key, Gone.ABSENT)
    ours = view.created_ms() >= row.intent_ms - TOLERANCE_MS
    return LookedUp(row.key, Gone.CREATED if ours else Gone.ADOPTED, view.ref)
