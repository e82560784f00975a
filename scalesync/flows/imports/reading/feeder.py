"""Feeds an import: reads its sources load by load, and keeps the progress in them in the ledger.

sources --loads--> prepare --> take --> checkpoints
                                |
                                +-- into the ledger and the engine: flows.imports.intake
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing

from scalesync.events import Observer
from scalesync.flows.imports.named import Named
from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.imports.reading.checkpoints import SourceCheckpoints
from scalesync.flows.imports.reading.gone import GoneFromSources
from scalesync.flows.imports.reading.prepare import Prepared, Preparer, read_loads
from scalesync.flows.imports.reading.read_progress import Reading
from scalesync.flows.imports.reading.source_changes import changed_meanwhile
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.jobs import SourceCursor
from scalesync.model.records import JsonObject, Load
from scalesync.ports.import_ledger import ImportLedger
from scalesync.sources.blocks import Loads
from scalesync.sources.source_file import SourceFile

Take = Callable[[Prepared], Awaitable[None]]
"""Brings a prepared load into the ledger and the engine."""


class Feeder:
    """Reads the sources of one run of an import.

    bound: the sources to which the job's name was bound before this run.
    named: the records of a run that sends only some. Such a run keeps no progress in the sources.
    reading: how far the run is.
    checkpoints: where a later run may begin.
    gone: what is no longer in the sources.
    """

    def __init__(
        self,
        plan: ImportPlan,
        connection: Connection,
        job: ImportLedger,
        observer: Observer,
        *,
        bound: frozenset[str],
        named: Named | None,
    ) -> None:
        self._plan = plan
        self._connection = connection
        self._job = job
        self._observer = observer
        self._named = named
        limit, most_invalid = plan.options.limit, None if named is not None else plan.options.max_invalid
        self._preparer = Preparer(plan.builder, job.peek, limit, most_invalid=most_invalid)
        self._places: Mapping[int, int] = {}  # of the sources in the plan, by number
        self._changed: list[str] = []  # sources that changed after they were opened
        self.reading = Reading(limit=limit)
        self.checkpoints = SourceCheckpoints(job.checkpoints, plan.shaping, trusted=plan.trusts_ledger)
        self.gone = GoneFromSources(
            *(plan, connection, job), *(self.reading, self._preparer.seen), bound=bound, note=observer.note
        )

    @property
    def taken(self) -> int:
        """How many records were taken from the sources, with those in parts that stay unread."""
        return self._preparer.taken

    async def feed(self, take: Take) -> None:
        """Read the sources and give out each load. After the last one, flag what is gone from the sources."""
        numbers = await self._job.register_sources(self._plan.splits())
        gone, among = await self.gone.splits(frozenset(numbers))
        self._job.reads(among)
        self._places = {number: place for place, number in enumerate(numbers)}
        stretches = await self.checkpoints.stretches(numbers, self._plan.sources)
        self.reading.stretches = len(stretches)
        for some in stretches:
            async with aclosing(await self._open(some)) as loads:
                async for load in loads:
                    await self._read(load, take)
                    if self._full:
                        return
        self.reading.whole = True
        if self._named is not None:
            if self._named.missing:
                await self.gone.miss(frozenset(numbers))
            return
        if self._changed:
            self._observer.note(changed_meanwhile(self._changed))
        await self.gone.take_leave(gone, among)

    @property
    def _full(self) -> bool:
        """Whether to leave the rest of the input."""
        return self._preparer.full or (self._named is not None and self._named.done)

    def rest(self) -> bool:
        """Whether the input holds more than this run should take."""
        named, whole = self._named, self.reading.whole
        return not whole if named is None else named.rest(whole=whole)

    def is_in(self) -> bool:
        """Whether all of the input is in the ledger although the run stopped while it read."""
        preparer = self._preparer
        return self.reading.is_in and not preparer.full and not preparer.spoiled

    async def _open(self, numbers: Sequence[int]) -> AsyncGenerator[Load, None]:
        """The loads of some sources. The part of the first one that an earlier run finished stays unread."""
        known = await self.checkpoints.find(numbers[0], self._preparer.seen)
        if known is not None:
            self._preparer.taken += known.records
            self._preparer.invalid += known.invalid
            self.reading.homes += known.homes
            self.reading.invalid += known.invalid
        lines = None if known is None else known.lines
        opened = (self._source(one).opened(one, lines if one == numbers[0] else None) for one in numbers)
        size = self._plan.load_records(self._connection.pace, self._connection.platform.creator.most)
        return read_loads(Loads(opened, size), self.reading.ended)

    def _source(self, number: int) -> SourceFile:
        return self._plan.sources[self._places[number]]

    async def _read(self, load: Load, take: Take) -> None:
        """Prepare a load and give it out, then write the progress in its sources to the ledger."""
        self.reading.open = True
        prepared = await self._preparer.prepare(load)
        await take(prepared)
        for block in load:
            if block.last:
                self.reading.bytes_before += self._source(block.source).size or 0
        self.reading.came(0 if load[-1].last else load[-1].consumed, self._preparer.taken)
        self._expect()
        if self._named is None:
            await self._keep(load[: prepared.whole])

    def _expect(self) -> None:
        expected = self.reading.expected(self._plan.total_bytes, self._preparer.taken)
        if expected is not None:
            self._preparer.seen.expect(expected)

    async def _keep(self, load: Load) -> None:
        """Write the progress in the sources of these blocks, in one commit. Their records are in the ledger."""
        ended: list[tuple[int, JsonObject, SourceCursor]] = []
        for block in load:
            if not block.last:
                cursor = self.checkpoints.note(block)
                if cursor is not None:
                    await self._job.checkpoints.keep(block.source, cursor)
                continue
            facts = self._plan.facts(self._places[block.source])
            ended.append((block.source, facts, self.checkpoints.end(block)))
            source = self._source(block.source)
            if source.has_changed():
                self._changed.append(source.name)
        await self._job.close_sources(ended)
