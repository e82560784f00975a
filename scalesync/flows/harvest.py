"""Harvest: many page chains at once over slices that cut themselves where tasks are dense.

queue of slices --> readers --page--> take (filter, versions, result files) --> OutputLog
     ^                 |
     +-- given away ---+   whenever readers are idle, by the slice with the most left
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import anyio

from scalesync.engine.slices import Slice, give_away, parts_for
from scalesync.errors import BudgetUsed
from scalesync.flows.output import Entry, OutputLog
from scalesync.flows.wiring import Connection
from scalesync.model import RequestClass, Selection
from scalesync.ports import ListPage, TaskView

READINGS = 3  # how often a slice is read whose count does not match before it is told as unsettled
MARK = 12  # bytes of an ObjectId
WIDEST = 64  # lists in flight where nobody asked for more

Page = Sequence[tuple[bytes, TaskView]]
Take = Callable[[Page, Entry], Awaitable[None]]
Already = Callable[[int, int], Awaitable[set[str] | None]]


class Taken:
    """The task_ids that a slice took, 12 bytes each, in case it has to be read again."""

    def __init__(self) -> None:
        self._marks = bytearray()
        self._before: set[bytes] = set()
        self._recent: set[str] = set()

    def fresh(self, task_ids: Sequence[str]) -> list[bool]:
        """Which of a page's tasks were not taken before: in an earlier reading, or on the page before this one."""
        news = []
        for task_id in task_ids:
            mark = _mark(task_id)
            new = task_id not in self._recent and mark not in self._before
            if new:
                self._marks += mark
            news.append(new)
        self._recent = set(task_ids)
        return news

    def again(self) -> None:
        """A new reading begins."""
        marks = bytes(self._marks)
        self._before = {marks[start : start + MARK] for start in range(0, len(marks), MARK)}
        self._recent = set()

    def add(self, task_ids: Iterable[str]) -> None:
        """Tasks that an earlier run wrote."""
        for task_id in task_ids:
            self._marks += _mark(task_id)


def _mark(task_id: str) -> bytes:
    try:
        mark = bytes.fromhex(task_id)
    except ValueError:
        mark = b""
    return mark if len(mark) == MARK else blake2b(task_id.encode(), digest_size=MARK).digest()


@dataclass(slots=True)
class Figures:
    """What the harvest did in this run. probes: requests that only counted, or brought nothing."""

    pages: int = 0
    probes: int = 0
    unsettled: int = 0
    listed: int = 0


class Harvest:
    """Reads `slices` to their ends. asked: what the server is asked for besides the slice's time range.

    take: keeps what belongs to the export and puts it into the entry. already: task_ids that earlier runs wrote for
    a time range, None when that cannot be told. width: readers, None to follow the pace.
    """

    def __init__(
        self,
        connection: Connection,
        asked: Selection,
        log: OutputLog,
        take: Take,
        *,
        already: Already,
        width: int | None,
        page_size: int,
        note: Callable[[str], None],
    ) -> None:
        self.figures = Figures()
        self.total: int | None = None
        self._connection = connection
        self._asked = asked
        self._log = log
        self._take = take
        self._width = width
        self._page_size = page_size
        self._note = note
        self._queue: deque[Slice] = deque()
        self._running: dict[int, Slice] = {}
        self._taken: dict[int, Taken] = {}
        self._already = already
        self._resumed: set[int] = set()
        self._next = 1
        self._promised = 0  # slices given away that are not durable yet
        self._ordered = True
        self._changed = anyio.Event()

    async def run(self, slices: Sequence[Slice]) -> None:
        """Read every slice that is not done. Raises what a call or the log raises."""
        self._next = max(self._next, 1 + max(slice_.number for slice_ in slices))
        self.figures.unsettled += sum(slice_.unsettled for slice_ in slices)
        begun = (slice_ for slice_ in slices if not slice_.done and (slice_.pages or slice_.readings > 1))
        self._resumed = {slice_.number for slice_ in begun}
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

    async def run_again(self, asked: Selection, slice_: Slice) -> None:
        """Read one more slice, with another question."""
        self._asked = asked
        await self.run([slice_])

    def _readers(self) -> int:
        if self._width is not None:
            return self._width
        return min(WIDEST, self._connection.gate.width(RequestClass.LIST))

    async def _read(self, slice_: Slice) -> None:
        try:
            # A repeated reading that an earlier run began must know what the reading before it wrote.
            repeated = slice_.readings > 1 and slice_.number in self._resumed
            if repeated and not await self._recall(slice_):
                await self._tell(slice_)
                return
            while not slice_.finished:
                await self._page(slice_)
            await self._conclude(slice_)
        finally:
            self._running.pop(slice_.number, None)
            self._changed.set()

    # --- one page ------------------------------------------------------------------------------

    async def _page(self, slice_: Slice) -> None:
        query = self._query(slice_.asked_lo, slice_.hi, self._page_size)
        platform = self._connection.platform
        page = await self._connection.call(partial(platform.page, query, slice_.cursor))
        if page.cursor is not None and page.cursor == slice_.cursor:
            raise BudgetUsed("the server sent the same next_token twice; run the same command again to carry on")
        heads = [platform.head(raw) for raw in page.documents]
        created = [head.created_ms() for head in heads]
        self._look_at_order(created)
        if slice_.pages == 0 and slice_.number == 1:
            self.total = page.total
        slice_.took(created, page.total, page.cursor)
        self.figures.pages += 1
        self.figures.listed += len(created)
        self.figures.probes += not created
        entry = Entry()
        await self._take(self._fresh(slice_, page, heads, created), entry)
        given = self._give(slice_, created)
        entry.slices = [slice_.state(), *(other.state() for other in given)]
        self._promised += len(given)
        await self._log.put(entry)
        self._promised -= len(given)
        self._queue.extend(given)
        if given:
            self._changed.set()

    def _query(self, lo: int, hi: int, page_size: int) -> Mapping[str, Any]:
        bounds = {**self._asked.bounds, "created_before": hi}
        if lo > 0:
            bounds["created_after"] = lo
        return self._connection.platform.query(replace(self._asked, bounds=bounds), page_size)

    def _fresh(
        self, slice_: Slice, page: ListPage, heads: Sequence[TaskView], created: Sequence[int]
    ) -> list[tuple[bytes, TaskView]]:
        """The tasks of the page that are this slice's and were not taken before."""
        taken = self._taken.setdefault(slice_.number, Taken())
        ours = [
            (raw, head)
            for raw, head, ms in zip(page.documents, heads, created, strict=True)
            if slice_.lo <= ms < slice_.hi
        ]
        news = taken.fresh([head.task_id for _, head in ours])
        return [pair for pair, new in zip(ours, news, strict=True) if new]

    def _look_at_order(self, created: Sequence[int]) -> None:
        """Slices rest on the documented order, newest first; where it does not hold, nothing is cut any more."""
        if self._ordered and any(later > earlier for earlier, later in pairwise(created)):
            self._ordered = False
            self._note("the server does not list the newest tasks first; reading goes on without cutting")

    def _give(self, slice_: Slice, created: Sequence[int]) -> list[Slice]:
        readers = self._readers()
        idle = readers - len(self._running) - len(self._queue) - self._promised
        # A repeated reading keeps its range: only it knows which of these tasks are in the files.
        whole = slice_.readings > 1 or not self._ordered
        parts = 0 if whole else parts_for(slice_, self._running.values(), idle, readers)
        given = give_away(slice_, created, parts, range(self._next, self._next + parts))
        self._next += len(given)
        return given

    # --- the end of a slice --------------------------------------------------------------------

    async def _conclude(self, slice_: Slice) -> None:
        """Does it add up? If not, read it again, at most three times in all, then tell it as unsettled."""
        if await self._adds_up(slice_):
            await self._done(slice_)
            return
        if slice_.readings < READINGS and await self._recall(slice_):
            again = slice_.again()
            await self._log.put(Entry(slices=[again.state()]))
            self._queue.append(again)
            return
        await self._tell(slice_)

    async def _tell(self, slice_: Slice) -> None:
        slice_.unsettled = True
        self.figures.unsettled += 1
        self._note(f"the server listed {slice_.listed} tasks but counted {slice_.last_total}; told as unsettled")
        await self._done(slice_)

    async def _recall(self, slice_: Slice) -> bool:
        """Make ready for another reading: know what was written. False when an earlier run's part cannot be told."""
        taken = self._taken.setdefault(slice_.number, Taken())
        if slice_.number in self._resumed:
            before = await self._already(slice_.lo, slice_.hi)
            if before is None:
                return False
            taken.add(before)
            self._resumed.discard(slice_.number)
        taken.again()
        return True

    async def _done(self, slice_: Slice) -> None:
        slice_.done = True
        self._taken.pop(slice_.number, None)
        await self._log.put(Entry(slices=[slice_.state()]))

    async def _adds_up(self, slice_: Slice) -> bool:
        if slice_.ended:
            return slice_.adds_up()
        query = self._query(slice_.lo, slice_.hi, 1)
        page = await self._connection.call(partial(self._connection.platform.page, query, None))
        self.figures.probes += 1
        return slice_.matches_count(page.total)
