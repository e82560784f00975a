"""PartitionReader: many page chains at once over partitions that are split where tasks are dense.

queue of partitions --> readers --page--> take (filter, versions, result files) --> CommitLog
     ^                 |
     +----- split -----+   whenever readers are idle, by the partition with the most left
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import anyio

from scalesync.engine.partitions import Partition, parts_for, split
from scalesync.flows.exports.folder.commit_log import CommitLog, PageCommit
from scalesync.flows.exports.folder.read_back import Already
from scalesync.flows.exports.sightings import EARLIER, Sightings
from scalesync.flows.runtime.trust import Advance, Question, listed_for
from scalesync.flows.runtime.wiring import Connection
from scalesync.mapping.seen import Sight
from scalesync.model.selection import Selection
from scalesync.model.targets import RequestClass
from scalesync.model.task_view import TaskView
from scalesync.ports.platform import Axis, Lister, ListPage, mirrored
from scalesync.text import count
from scalesync.times import iso

READINGS = 3  # how often a partition is read whose count does not match before it is unsettled
WIDEST = 64  # lists in flight where nobody asked for more

Page = Sequence[tuple[bytes, TaskView]]
Take = Callable[[Page, PageCommit], Awaitable[None]]


@dataclass(slots=True)
class Figures:
    """What was read in this run.

    probes: requests that only counted, or brought nothing.
    uncounted: partitions in which the server lists more than it counts, the same at each reading.
    """

    pages: int = 0
    probes: int = 0
    unsettled: int = 0
    uncounted: int = 0
    listed: int = 0


@dataclass(slots=True)
class Resumed:
    """A partition that an earlier run began.

    at: how far down it got.
    recalled: its lines are known.
    """

    partition: Partition
    at: int
    ties_known: bool
    recalled: bool = False

    @classmethod
    def of(cls, partition: Partition) -> Resumed:
        """As the ledger holds it."""
        return cls(partition, partition.at if partition.pages else sys.maxsize, partition.ties_known)

    def late(self, places: Sequence[int]) -> set[int]:
        """Which of the page's tasks, by number, the earlier run may have met; it met all those above `at`."""
        beyond = self.at if self.ties_known else self.at - 1
        return {number for number, place in enumerate(places) if place > beyond}


class PartitionReader:
    """Reads `partitions` to their ends.

    asked: what to ask the lister for besides the partition's range.
    take: keeps what belongs to the export and puts it into the entry.
    already: refs that earlier runs wrote in some ranges, by the range's number; raises ValueError if unknown.
    width: readers, None to follow the pace.
    """

    def __init__(
        self,
        connection: Connection,
        lister: Lister,
        asked: Selection,
        log: CommitLog,
        take: Take,
        *,
        already: Already,
        width: int | None,
        page_size: int,
        note: Callable[[str], None],
    ) -> None:
        self.figures = Figures()
        self.told_uncounted = False
        self.total: int | None = None
        self._connection = connection
        self._lister = lister
        self._asked = asked
        self._carried = asked.only(lister.filters)
        self._log = log
        self._take = take
        self._width = width
        self._page_size = page_size
        self._note = note
        self._queue: deque[Partition] = deque()
        self._running: dict[int, Partition] = {}
        self._met: dict[int, Sightings] = {}
        self._advance: dict[int, Advance] = {}
        self._already = already
        self._resumed: dict[int, Resumed] = {}
        self._since_look: dict[int, int] = {}  # tasks that came since a chain was taken up behind its end
        self._recalling = anyio.Lock()
        self._next = 1
        self._promised = 0  # partitions split off that are not durable yet
        self._ordered = True
        self._changed = anyio.Event()

    async def run(self, partitions: Sequence[Partition]) -> None:
        """Read every unfinished partition. Raises the errors of calls and of the log."""
        self._next = max(self._next, 1 + max(partition.number for partition in partitions))
        self.figures.unsettled += sum(partition.unsettled for partition in partitions)
        self.figures.uncounted += sum(partition.uncounted for partition in partitions)
        left = [partition for partition in partitions if not partition.done]
        begun = (partition for partition in left if partition.pages or partition.readings > 1)
        self._resumed = {partition.number: Resumed.of(partition) for partition in begun}
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

    async def run_again(self, asked: Selection, partition: Partition) -> None:
        """Read one more partition, with another question."""
        self._asked = asked
        self._carried = asked.only(self._lister.filters)
        await self.run([partition])

    def _readers(self) -> int:
        if self._width is not None:
            return self._width
        return min(WIDEST, self._connection.gate.width(RequestClass.LIST))

    async def _read(self, partition: Partition) -> None:
        try:
            if partition.number in self._resumed:
                self._met.setdefault(partition.number, Sightings()).add(partition.ties, partition.readings)
            # A repeated reading that an earlier run began must know what the reading before it wrote.
            repeated = partition.readings > 1 and partition.number in self._resumed
            if repeated and not await self._recall(partition):
                await self._tell(partition, partition.last_total)
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
        new = self._since_look.get(partition.number, self._page_size)
        if (partition.lo == 0 and new < self._page_size) or not partition.look_behind():
            return False
        self._since_look[partition.number] = 0
        self._advance.pop(partition.number, None)  # another query: its cursors have nothing to do with those before
        return True

    async def _page(self, partition: Partition) -> None:
        within = (partition.asked_lo, partition.asked_hi)
        question = Question(self._lister, self._asked, self._carried, within, self._page_size)
        page, heads = await listed_for(question, partition.cursor, self._connection, self._note)
        places = [self._lister.place_of(head) for head in heads]
        self._look_at_order(places)
        sights = await self._sights(partition, [head.ref for head in heads], places, counted=page.total is not None)
        again = {number for number, sight in enumerate(sights) if sight is Sight.SAME}
        new = (place for sight, place in zip(sights, places, strict=True) if sight is Sight.NEW)
        partition.met += sum(place >= partition.lo for place in new)
        advance = self._advance.setdefault(partition.number, Advance())
        advance.look(partition.cursor, page.cursor, new=len(places) - len(again))
        if partition.pages == 0 and partition.number == 1:
            self.total = page.total
        before = partition.at
        partition.took(places, page.total, page.cursor, again)
        partition.tied([head.ref for head in heads], places, before)
        self.figures.pages += 1
        self.figures.listed += len(places) - len(again)
        if partition.number in self._since_look:
            self._since_look[partition.number] += len(places) - len(again)
        self.figures.probes += not places
        entry = PageCommit()
        await self._take(_fresh(partition, page, heads, places, sights), entry)
        split_off = self._split(partition, places)
        entry.partitions = [partition.state(), *(other.state() for other in split_off)]
        self._promised += len(split_off)
        await self._log.put(entry)
        self._promised -= len(split_off)
        self._queue.extend(split_off)
        if split_off:
            self._changed.set()

    async def _sights(
        self, partition: Partition, refs: Sequence[str], places: Sequence[int], *, counted: bool
    ) -> list[Sight]:
        """What this partition has met of the page's tasks.

        counted: the server sends a total.

        If an earlier run began the chain, that run may have met a task above its place: then the files show it, and
        what they do not hold leaves the partition's count unclear.
        """
        met = self._met.setdefault(partition.number, Sightings())
        resumed = self._resumed.get(partition.number)
        late = resumed.late(places) if resumed is not None else set()
        told = await self._remember() if late and partition.readings == 1 else True
        sights = [met.meet(ref, partition.readings) for ref in refs]
        unclear = [number for number in late if sights[number] is not Sight.SAME]
        partition.doubtful = partition.doubtful or (bool(unclear) and (counted or not told))
        for number in () if told else unclear:
            sights[number] = Sight.SAME  # it may be in the files already, and never is a task written twice
        return sights

    def _look_at_order(self, places: Sequence[int]) -> None:
        """Partitions depend on the documented order; if it does not hold, nothing is split any longer."""
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
        """Check the counts. If they differ, read it again, at most three times in all, then call it unsettled."""
        total = partition.last_total if partition.ended else await self._count(partition)
        adds_up = partition.adds_up() if partition.ended else partition.matches_count(total)
        if not adds_up and partition.bears_out(total):
            self._tell_uncounted(partition, total)
        if adds_up or partition.uncounted:
            await self._done(partition)
            return
        if partition.readings < READINGS and await self._recall(partition):
            self._resumed.pop(partition.number, None)
            self._advance.pop(partition.number, None)
            again = partition.again(total)
            await self._log.put(PageCommit(partitions=[again.state()]))
            self._queue.append(again)
            return
        await self._tell(partition, total)

    async def _tell(self, partition: Partition, total: int | None) -> None:
        partition.unsettled = True
        self.figures.unsettled += 1
        listed = partition.different if partition.ended else partition.inside
        twice = partition.listed - partition.different
        repeats = f" ({twice:,} of them came more than once)" if twice else ""
        these = self._in_words(partition)
        self._note(
            f"unsettled: of {these} the server listed {listed:,} different ones{repeats} but counts {total:,},"
            f" even when asked {count(partition.readings, 'time')}"
            if total is not None
            else f"unsettled: which of {these} an earlier run wrote is unknown"
        )
        await self._done(partition)

    def _tell_uncounted(self, partition: Partition, total: int | None) -> None:
        """There is no count to check the list against: report it once, because it concerns the server, not the
        partition.
        """
        partition.uncounted = True
        self.figures.uncounted += 1
        if not self.told_uncounted:
            self.told_uncounted = True
            self._note(
                f"the server's totals are too low: of {self._in_words(partition)}"
                f" it counts {total:,} and lists {partition.different:,}, the same ones each time; the list ended"
                " normally and counts as complete, because there is no count to compare it with"
            )

    def _in_words(self, partition: Partition) -> str:
        match self._lister.axis:
            case Axis.CREATED:
                return f"the tasks created from {iso(partition.lo)} to {iso(partition.hi)}"
            case Axis.NUMBER:
                first, last = mirrored(partition.hi) + 1, mirrored(partition.lo)
                return f"the tasks with ids from {first} to {last if partition.lo else 'the last'}"
            case Axis.NONE:
                return "the tasks"

    async def _recall(self, partition: Partition) -> bool:
        """Prepare another reading: learn what was written. False if an earlier run's part is unknown."""
        return partition.number not in self._resumed or await self._remember()

    async def _remember(self) -> bool:
        """Read back what earlier runs wrote of the partitions that they began, all at once; False if unknown."""
        async with self._recalling:
            missing = {number: resumed for number, resumed in self._resumed.items() if not resumed.recalled}
            if not missing:
                return True
            begun = list(missing.values())
            try:
                async for number, refs in self._already([(one.partition.lo, one.partition.hi) for one in begun]):
                    one = begun[number].partition
                    met = self._met.setdefault(one.number, Sightings())
                    met.add(refs, EARLIER if one.readings > 1 else one.readings)
            except ValueError:
                return False
            for resumed in begun:
                resumed.recalled = True
            return True

    async def _done(self, partition: Partition) -> None:
        partition.done = True
        for memory in (self._met, self._advance, self._resumed, self._since_look):
            memory.pop(partition.number, None)
        await self._log.put(PageCommit(partitions=[partition.state()]))

    async def _count(self, partition: Partition) -> int | None:
        """How many tasks the server counts in the range of a chain whose end was split off."""
        if partition.last_total is None:
            return None
        query = self._lister.query(self._asked, 1, (partition.lo, partition.hi))
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
