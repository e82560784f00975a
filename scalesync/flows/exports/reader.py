"""Harvest: many page chains at once over slices that cut themselves where tasks are dense.

queue of slices --> readers --page--> take (filter, versions, result files) --> OutputLog
     ^                 |
     +-- given away ---+   whenever readers are idle, by the slice with the most left
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import anyio

from scalesync.engine.slices import Partition, give_away, parts_for
from scalesync.flows.exports.commit_log import CommitLog, PageCommit
from scalesync.flows.exports.sightings import EARLIER, Sightings
from scalesync.flows.runtime.trust import Advance, listed_for
from scalesync.flows.runtime.wiring import Connection
from scalesync.mapping.seen import Sight
from scalesync.model.selection import Selection
from scalesync.model.targets import RequestClass
from scalesync.model.task_view import TaskView
from scalesync.ports.platform import ListPage
from scalesync.text import count
from scalesync.times import iso

READINGS = 3  # how often a slice is read whose count does not match before it is unsettled
WIDEST = 64  # lists in flight where nobody asked for more

Page = Sequence[tuple[bytes, TaskView]]
Take = Callable[[Page, PageCommit], Awaitable[None]]
Ranges = Sequence[tuple[int, int]]
Already = Callable[[Ranges], AsyncIterator[tuple[int, Sequence[str]]]]


@dataclass(slots=True)
class Figures:
    """What the harvest did in this run. probes: requests that only counted, or brought nothing.

    uncounted: slices of which the server lists more than it counts, the same at each reading.
    """

    pages: int = 0
    probes: int = 0
    unsettled: int = 0
    uncounted: int = 0
    listed: int = 0


@dataclass(slots=True)
class Resumed:
    """A slice that an earlier run began. at: how far in time it had got. recalled: what it wrote is known."""

    slice_: Partition
    at: int
    ties_known: bool
    recalled: bool = False

    @classmethod
    def of(cls, slice_: Partition) -> Resumed:
        """As the ledger holds it."""
        return cls(slice_, slice_.at if slice_.pages else sys.maxsize, slice_.ties_known)

    def late(self, created: Sequence[int]) -> set[int]:
        """Places of the page's tasks that the earlier run may have met; it met all whose time lies behind `at`."""
        return {place for place, ms in enumerate(created) if ms > self.at or (ms == self.at and not self.ties_known)}


class PartitionReader:
    """Reads `slices` to their ends. asked: what the server is asked for besides the slice's time range.

    take: keeps what belongs to the export and puts it into the entry. already: task_ids that earlier runs wrote
    in some time ranges, by the range's place; raises ValueError when that cannot be told. width: readers, None to
    follow the pace.
    """

    def __init__(
        self,
        connection: Connection,
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
        self._asked = asked
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
        self._recalling = anyio.Lock()
        self._next = 1
        self._promised = 0  # slices given away that are not durable yet
        self._ordered = True
        self._changed = anyio.Event()

    async def run(self, slices: Sequence[Partition]) -> None:
        """Read every slice that is not done. Raises what a call or the log raises."""
        self._next = max(self._next, 1 + max(slice_.number for slice_ in slices))
        self.figures.unsettled += sum(slice_.unsettled for slice_ in slices)
        self.figures.uncounted += sum(slice_.uncounted for slice_ in slices)
        begun = (slice_ for slice_ in slices if not slice_.done and (slice_.pages or slice_.readings > 1))
        self._resumed = {slice_.number: Resumed.of(slice_) for slice_ in begun}
        self._queue.extend(slice_ for slice_ in slices if not slice_.done)
        async with anyio.create_task_group() as group:
            while self._queue or self._running:
                while self._queue and len(self._running) < self._readers():
                    slice_ = self._queue.popleft()
                    self._running[slice_.number] = slice_
                    group.start_soon(self._read, slice_)
                await self._changed.wait()
                self._changed = anyio.Event()

    def next_number(self) -> int:
        """A number for a slice that nobody has."""
        self._next += 1
        return self._next - 1

    async def run_again(self, asked: Selection, slice_: Partition) -> None:
        """Read one more slice, with another question."""
        self._asked = asked
        await self.run([slice_])

    def _readers(self) -> int:
        if self._width is not None:
            return self._width
        return min(WIDEST, self._connection.gate.width(RequestClass.LIST))

    async def _read(self, slice_: Partition) -> None:
        try:
            if slice_.number in self._resumed:
                self._met.setdefault(slice_.number, Sightings()).add(slice_.ties, slice_.readings)
            # A repeated reading that an earlier run began must know what the reading before it wrote.
            repeated = slice_.readings > 1 and slice_.number in self._resumed
            if repeated and not await self._recall(slice_):
                await self._tell(slice_, slice_.last_total)
                return
            while not slice_.finished:
                await self._page(slice_)
            await self._conclude(slice_)
        finally:
            self._running.pop(slice_.number, None)
            self._changed.set()

    # --- one page ------------------------------------------------------------------------------

    async def _page(self, slice_: Partition) -> None:
        asked = self._within(slice_.asked_lo, slice_.hi)
        query = self._connection.platform.lister.query(asked, self._page_size)
        page, heads = await listed_for(asked, query, slice_.cursor, self._connection, self._note)
        created = [head.created_ms() for head in heads]
        self._look_at_order(created)
        sights = await self._sights(slice_, [head.ref for head in heads], created)
        again = {place for place, sight in enumerate(sights) if sight is Sight.SAME}
        slice_.met += sum(sight is Sight.NEW and ms >= slice_.lo for sight, ms in zip(sights, created, strict=True))
        advance = self._advance.setdefault(slice_.number, Advance())
        advance.look(slice_.cursor, page.cursor, new=len(created) - len(again))
        if slice_.pages == 0 and slice_.number == 1:
            self.total = page.total
        before = slice_.at
        slice_.took(created, page.total, page.cursor, again)
        slice_.tied([head.ref for head in heads], created, before)
        self.figures.pages += 1
        self.figures.listed += len(created) - len(again)
        self.figures.probes += not created
        entry = PageCommit()
        await self._take(_fresh(slice_, page, heads, created, sights), entry)
        given = self._give(slice_, created)
        entry.slices = [slice_.state(), *(other.state() for other in given)]
        self._promised += len(given)
        await self._log.put(entry)
        self._promised -= len(given)
        self._queue.extend(given)
        if given:
            self._changed.set()

    def _within(self, lo: int, hi: int) -> Selection:
        bounds = {**self._asked.bounds, "created_before": hi}
        if lo > 0:
            bounds["created_after"] = lo
        return replace(self._asked, bounds=bounds)

    async def _sights(self, slice_: Partition, task_ids: Sequence[str], created: Sequence[int]) -> list[Sight]:
        """What this slice has met of the page's tasks.

        Where an earlier run began the chain, a task that comes behind its place in time may have been met by that run:
        then the files tell, and what they do not hold leaves the slice's count in doubt.
        """
        met = self._met.setdefault(slice_.number, Sightings())
        resumed = self._resumed.get(slice_.number)
        late = resumed.late(created) if resumed is not None else set()
        told = await self._remember() if late and slice_.readings == 1 else True
        sights = [met.meet(task_id, slice_.readings) for task_id in task_ids]
        unclear = [place for place in late if sights[place] is not Sight.SAME]
        slice_.doubtful = slice_.doubtful or bool(unclear)
        for place in () if told else unclear:
            sights[place] = Sight.SAME  # it may be in the files already, and never is a task written twice
        return sights

    def _look_at_order(self, created: Sequence[int]) -> None:
        """Slices rest on the documented order, newest first; where it does not hold, nothing is cut any more."""
        if self._ordered and any(later > earlier for earlier, later in pairwise(created)):
            self._ordered = False
            self._note("the server does not list the newest tasks first; reading goes on without cutting")

    def _give(self, slice_: Partition, created: Sequence[int]) -> list[Partition]:
        readers = self._readers()
        idle = readers - len(self._running) - len(self._queue) - self._promised
        # A repeated reading keeps its range: only it knows which of these tasks are in the files.
        whole = slice_.readings > 1 or not self._ordered
        parts = 0 if whole else parts_for(slice_, self._running.values(), idle, readers)
        given = give_away(slice_, created, parts, range(self._next, self._next + parts))
        self._next += len(given)
        return given

    # --- the end of a slice --------------------------------------------------------------------

    async def _conclude(self, slice_: Partition) -> None:
        """Does it add up? If not, read it again, at most three times in all, then call it unsettled."""
        total = slice_.last_total if slice_.ended else await self._count(slice_)
        adds_up = slice_.adds_up() if slice_.ended else slice_.matches_count(total)
        if not adds_up and slice_.bears_out(total):
            self._tell_uncounted(slice_, total)
        if adds_up or slice_.uncounted:
            await self._done(slice_)
            return
        if slice_.readings < READINGS and await self._recall(slice_):
            self._resumed.pop(slice_.number, None)
            self._advance.pop(slice_.number, None)
            again = slice_.again(total)
            await self._log.put(PageCommit(slices=[again.state()]))
            self._queue.append(again)
            return
        await self._tell(slice_, total)

    async def _tell(self, slice_: Partition, total: int | None) -> None:
        slice_.unsettled = True
        self.figures.unsettled += 1
        listed = slice_.different if slice_.ended else slice_.inside
        twice = slice_.listed - slice_.different
        repeats = f" ({twice:,} of them came more than once)" if twice else ""
        self._note(
            f"unsettled: of the tasks created from {iso(slice_.lo)} to {iso(slice_.hi)} the server listed {listed:,}"
            f" different ones{repeats} but counts {total:,}, also when it was asked {count(slice_.readings, 'time')}"
            if total is not None
            else f"unsettled: the tasks created from {iso(slice_.lo)} to {iso(slice_.hi)} cannot be counted"
        )
        await self._done(slice_)

    def _tell_uncounted(self, slice_: Partition, total: int | None) -> None:
        """The list cannot be held against a count: said once, for what it concerns is the server and not the slice."""
        slice_.uncounted = True
        self.figures.uncounted += 1
        if not self.told_uncounted:
            self.told_uncounted = True
            self._note(
                f"the server's totals are too low: of the tasks created from {iso(slice_.lo)} to {iso(slice_.hi)} it"
                f" counts {total:,} and lists {slice_.different:,}, the same ones each time; the list ended by itself"
                " and is taken for complete, for there is no count to compare it with"
            )

    async def _recall(self, slice_: Partition) -> bool:
        """Make ready for another reading: know what was written. False when an earlier run's part cannot be told."""
        return slice_.number not in self._resumed or await self._remember()

    async def _remember(self) -> bool:
        """Read back what earlier runs wrote of the slices that they began, all at once; False when that is unknown."""
        async with self._recalling:
            missing = {number: resumed for number, resumed in self._resumed.items() if not resumed.recalled}
            if not missing:
                return True
            begun = list(missing.values())
            try:
                async for place, task_ids in self._already([(one.slice_.lo, one.slice_.hi) for one in begun]):
                    one = begun[place].slice_
                    met = self._met.setdefault(one.number, Sightings())
                    met.add(task_ids, EARLIER if one.readings > 1 else one.readings)
            except ValueError:
                return False
            for resumed in begun:
                resumed.recalled = True
            return True

    async def _done(self, slice_: Partition) -> None:
        slice_.done = True
        for memory in (self._met, self._advance, self._resumed):
            memory.pop(slice_.number, None)
        await self._log.put(PageCommit(slices=[slice_.state()]))

    async def _count(self, slice_: Partition) -> int | None:
        """How many tasks the server counts in the range of a chain that gave its end away."""
        lister = self._connection.platform.lister
        query = lister.query(self._within(slice_.lo, slice_.hi), 1)
        page = await self._connection.call(partial(lister.page, query, None))
        self.figures.probes += 1
        return page.total


def _fresh(
    slice_: Partition, page: ListPage, heads: Sequence[TaskView], created: Sequence[int], sights: Sequence[Sight]
) -> list[tuple[bytes, TaskView]]:
    """The tasks of the page that are this slice's and were not taken before."""
    return [
        (raw, head)
        for raw, head, ms, sight in zip(page.documents, heads, created, sights, strict=True)
        if sight is Sight.NEW and slice_.lo <= ms < slice_.hi
    ]
