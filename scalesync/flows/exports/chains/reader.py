"""PartitionReader: many page chains at once over partitions that are split where tasks are dense.

queue of partitions --> readers --page--> take (filter, versions, result files) --> CommitLog
     ^                 |
     +----- split -----+   the partition with the most left is split when readers are idle
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise

import anyio

from scalesync.engine.partitions import Partition, parts_for, split
from scalesync.flows.exports.chains.findings import Findings
from scalesync.flows.exports.chains.recollection import Recollection
from scalesync.flows.exports.folder.commit_log import CommitLog, PageCommit
from scalesync.flows.runtime.trust import Advance, Expected, Question, listed_for
from scalesync.flows.runtime.wiring import Connection
from scalesync.mapping.seen import Sight
from scalesync.model.selection import Selection
from scalesync.model.targets import RequestClass
from scalesync.model.task_view import TaskView
from scalesync.ports.platform import Axis, Lister, ListPage

READINGS = 3  # a partition whose count never matches is read this often, and is then unsettled
WIDEST = 64  # lists in flight, unless the options ask for more

Page = Sequence[tuple[bytes, TaskView]]
Take = Callable[[Page, PageCommit], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """The query of a run to a lister, without the range of a partition.

    page_size: tasks per page.
    """

    lister: Lister
    asked: Selection
    page_size: int
    expected: Expected = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "expected", Expected(self.asked.only(self.lister.filters)))

    def within(self, lo: int, hi: int) -> Question:
        """The query of one chain."""
        return Question(self.lister, self.asked, self.expected, (lo, hi), self.page_size)


class PartitionReader:
    """Reads `partitions` to their ends.

    take: puts the tasks of a page that belong to the export into the entry.
    recollection: what earlier runs wrote.
    note: gets messages for people.
    """

    def __init__(
        self,
        connection: Connection,
        inquiry: Inquiry,
        log: CommitLog,
        take: Take,
        *,
        recollection: Recollection,
        note: Callable[[str], None],
    ) -> None:
        self.findings = Findings(inquiry.lister.axis, note)
        self.figures = self.findings.figures
        self.total: int | None = None
        self._connection = connection
        self._inquiry = inquiry
        self._lister = inquiry.lister
        self._log = log
        self._take = take
        self._recollection = recollection
        self._note = note
        self._queue: deque[Partition] = deque()
        self._running: dict[int, Partition] = {}
        self._advance: dict[int, Advance] = {}
        self._since_look: dict[int, int] = {}  # tasks that came since a chain was taken up behind its end
        self._next = 1
        self._promised = 0  # partitions split off that are not durable yet
        self._ordered = True
        self._changed = anyio.Event()

    async def run(self, partitions: Sequence[Partition]) -> None:
        """Read every unfinished partition. Raises the errors of calls and of the log."""
        self._next = max(self._next, 1 + max(partition.number for partition in partitions))
        self.findings.begin(partitions)
        left = [partition for partition in partitions if not partition.done]
        self._recollection.begin(left)
        self._queue.extend(left)
        async with anyio.create_task_group() as group:
            while self._queue or self._running:
                while self._queue and len(self._running) < self._readers():
                    partition = self._queue.popleft()
                    self._running[partition.number] = partition
                    group.start_soon(self._read, partition)
                await self._changed.wait()
                self._changed = anyio.Event()

    def next_number(self) -> int:
        """An unused number for a partition."""
        self._next += 1
        return self._next - 1

    async def run_again(self, asked: Selection, partitions: Sequence[Partition]) -> None:
        """Read more partitions, with another query."""
        self._inquiry = replace(self._inquiry, asked=asked)
        await self.run(partitions)

    def _readers(self) -> int:
        if self._lister.axis is Axis.VERSIONS:
            return 1  # the newer version of a task must be known before an older one comes
        asked_for = self._connection.way.concurrency
        if asked_for is not None:
            return asked_for
        return min(WIDEST, self._connection.gate.width(RequestClass.LIST))

    async def _read(self, partition: Partition) -> None:
        try:
            if not await self._recollection.take_up(partition):
                await self._unsettled(partition, partition.last_total)
                return
            while not partition.finished or self._look_behind(partition):
                await self._page(partition)
            await self._conclude(partition)
        finally:
            self._running.pop(partition.number, None)
            self._changed.set()

    # --- one page ------------------------------------------------------------------------------

    def _look_behind(self, partition: Partition) -> bool:
        """Whether a chain that ended continues after its end.

        If the range is open, tasks that are made meanwhile follow the last one. Less than a page of them does not show
        that the list ended early, and the run does not wait for more.
        """
        new = self._since_look.get(partition.number, self._inquiry.page_size)
        if (partition.lo == 0 and new < self._inquiry.page_size) or not partition.look_behind():
            return False
        self._since_look[partition.number] = 0
        self._advance.pop(partition.number, None)  # another query: its cursors have nothing to do with those before
        return True

    async def _page(self, partition: Partition) -> None:
        entry, split_off = await self._read_page(partition)  # what only the reading needs does not wait for the disk
        self._promised += len(split_off)
        await self._log.put(entry)
        self._promised -= len(split_off)
        self._queue.extend(split_off)
        if split_off:
            self._changed.set()

    async def _read_page(self, partition: Partition) -> tuple[PageCommit, list[Partition]]:
        """The next page as what the log writes of it, and the partitions that are split off behind it."""
        question = self._inquiry.within(partition.asked_lo, partition.asked_hi)
        page, heads, places = await listed_for(question, partition.cursor, self._connection, self._note)
        self._look_at_order(places)
        refs = [head.ref for head in heads]
        sights = await self._recollection.sights(partition, refs, places, counted=page.total is not None)
        again = {number for number, sight in enumerate(sights) if sight is Sight.SAME}
        new = (place for sight, place in zip(sights, places, strict=True) if sight is Sight.NEW)
        partition.met += sum(place >= partition.lo for place in new)
        advance = self._advance.setdefault(partition.number, Advance())
        advance.look(partition.cursor, page.cursor, new=len(places) - len(again))
        if partition.pages == 0 and partition.number == 1 and self._lister.axis is not Axis.VERSIONS:
            self.total = page.total
        before = partition.at
        partition.took(places, page.total, page.cursor, again)
        partition.tied(refs, places, before)
        self.figures.pages += 1
        self.figures.listed += len(places) - len(again)
        if partition.number in self._since_look:
            self._since_look[partition.number] += len(places) - len(again)
        self.figures.probes += not places
        entry = PageCommit()
        await self._take(_fresh(partition, page, heads, places, sights), entry)
        split_off = self._split(partition, places)
        entry.partitions = [partition.state(), *(other.state() for other in split_off)]
        return entry, split_off

    def _look_at_order(self, places: Sequence[int]) -> None:
        """Check the documented order. Partitions depend on it, so without it nothing is split."""
        if self._ordered and any(later > earlier for earlier, later in pairwise(places)):
            self._ordered = False
            first = "smallest ids" if self._lister.axis is Axis.NUMBER else "newest tasks"
            self._note(f"the server does not list the {first} first; the export continues without splitting")

    def _split(self, partition: Partition, places: Sequence[int]) -> list[Partition]:
        readers = self._readers()
        idle = readers - len(self._running) - len(self._queue) - self._promised
        # A repeated reading keeps its range: only it knows which of these tasks are in the files.
        whole = partition.readings > 1 or not self._ordered
        parts = 0 if whole else parts_for(partition, self._running.values(), idle, readers)
        split_off = split(partition, places, parts, range(self._next, self._next + parts))
        self._next += len(split_off)
        return split_off

    # --- the end of a partition --------------------------------------------------------------------

    async def _conclude(self, partition: Partition) -> None:
        """Check the counts. If they differ, read the partition again; after READINGS it is unsettled."""
        total = partition.last_total if partition.ended else await self._count(partition)
        adds_up = partition.adds_up() if partition.ended else partition.matches_count(total)
        if not adds_up and partition.bears_out(total):
            self.findings.uncounted(partition, total)
        if adds_up or partition.uncounted:
            await self._done(partition)
            return
        if partition.readings < READINGS and await self._recollection.recall(partition):
            self._recollection.read_again(partition)
            self._advance.pop(partition.number, None)
            again = partition.again(total)
            await self._log.put(PageCommit(partitions=[again.state()]))
            if self._lister.axis is Axis.VERSIONS:
                self._queue.appendleft(again)  # before older versions come
            else:
                self._queue.append(again)
            return
        await self._unsettled(partition, total)

    async def _unsettled(self, partition: Partition, total: int | None) -> None:
        self.findings.unsettled(partition, total)
        await self._done(partition)

    async def _done(self, partition: Partition) -> None:
        partition.done = True
        self._recollection.forget(partition)
        for memory in (self._advance, self._since_look):
            memory.pop(partition.number, None)
        await self._log.put(PageCommit(partitions=[partition.state()]))

    async def _count(self, partition: Partition) -> int | None:
        """How many tasks the server counts in the range of a chain after its end was split off."""
        if partition.last_total is None:
            return None
        query = self._lister.query(self._inquiry.asked, 1, (partition.lo, partition.hi))
        page = await self._connection.call(partial(self._lister.page, query, None))
        self.figures.probes += 1
        return page.total


def _fresh(
    partition: Partition, page: ListPage, heads: Sequence[TaskView], places: Sequence[int], sights: Sequence[Sight]
) -> list[tuple[bytes, TaskView]]:
    """The tasks of the page that belong to this partition and were not taken before."""
    return [
        (raw, head)
        for raw, head, place, sight in zip(page.documents, heads, places, sights, strict=True)
        if sight is Sight.NEW and partition.lo <= place < partition.hi
    ]
