"""The slots that this process holds: leased in groups, reserved before a connection, used at the hand-over.

    lease --> [held] -acquire-> [taken] --handover--> used, with its moment --+
                 |                  |                                         +--> reported with the next lease
                 +---- too late ----+---------------------> unused -----------+

An attempt needs no task, lock or timer of its own while slots are available.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from scalesync.model.targets import RequestClass
from scalesync.pacing.limiter import SHORTEST_SLEEP_S
from scalesync.pacing.slots import COVER_S, Grant, Report, Slot, SlotClient, SlotSource

IDLE_S = 0.1  # a process that took no slot for this long returns the slots that it holds
# A slot that is about to close is not used, because some time passes between the look at the clock and the socket.
MARGIN_S = 0.002


class QuotaPool:
    """The slots of one process, by class. It belongs to one event loop.

    lose: called once, with a sentence, if there is no common quota any longer.
    client: this process and its limits.
    clock: the clock of the source.
    heads: class -> the class whose slots it takes.
    """

    def __init__(
        self,
        source: SlotSource,
        client: SlotClient,
        lose: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        heads: Mapping[RequestClass, RequestClass] | None = None,
    ) -> None:
        self.active = True
        self.clock = clock
        self.source = source
        self._lose = lose
        self._own = {cls: _Lane(self, cls) for cls in RequestClass if client.applies(cls)}
        of_class = {cls: self._own.get((heads or {}).get(cls, cls)) for cls in RequestClass}
        self._lanes = {cls: lane for cls, lane in of_class.items() if lane is not None}

    def counts(self, cls: RequestClass) -> bool:
        """Whether attempts of this class need slots now."""
        return self.active and cls in self._lanes

    def turn(self, cls: RequestClass) -> asyncio.Lock:
        """The lock of the one attempt of a class that waits for pace and slot. Other attempts wait for the lock."""
        return self._lanes[cls].turn

    async def acquire(self, cls: RequestClass) -> None:
        """Wait for a slot, and reserve it for an attempt that will now get its connection."""
        lane = self._lanes[cls]
        if (slot := await lane.take()) is not None:
            lane.taken.append(slot)

    async def handover(self, cls: RequestClass) -> bool:
        """Use a slot at the moment of the return; False if there is no common quota.

        A reserved slot may close while the connection takes long. Then the attempt waits for another slot, ahead of
        attempts that have no connection yet.
        """
        lane = self._lanes[cls]
        slot = lane.reserved()
        if slot is None:
            async with lane.late:
                lane.hurried = True
                try:
                    slot = await lane.take(hurried=True)
                finally:
                    lane.hurried = False
                    lane.wake()
        if slot is None:
            return False
        lane.report.used.append((slot.number, self.clock()))
        return True

    def lost(self, reason: str) -> None:
        """Continue without a common quota."""
        if self.active:
            self.active = False
            self._lose(reason)
        for lane in self._own.values():
            lane.wake()

    def close(self) -> None:
        """Return held slots, and report used ones."""
        self.active = False
        self.source.close([(cls, report) for cls, lane in self._own.items() if (report := lane.end())])


class _Lane:
    """The slots of one class."""

    def __init__(self, pool: QuotaPool, cls: RequestClass) -> None:
        self.turn = asyncio.Lock()
        self.late = asyncio.Lock()
        self.hurried = False
        self.taken: deque[Slot] = deque()
        self.report = Report()
        self._pool = pool
        self._cls = cls
        self._held: deque[Slot] = deque()
        self._low = 0  # with this many slots left, ask for more
        self._count = 0  # taken since the last lease was asked for
        self._asked_at = -math.inf
        self._again_at = -math.inf
        self._taken_at = -math.inf
        self._asking: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order in which they came

    async def take(self, *, hurried: bool = False) -> Slot | None:
        """The next slot, once it is open; None if there is no common quota. A cancelled call uses no slot."""
        while self._pool.active:
            now = self._pool.clock()
            self._drop_closed(self._held, now)
            mine = hurried or not self.hurried
            if mine and self._held and self._held[0].opens <= now:
                return self._pop(now)
            if len(self._held) <= self._low:
                self._ask(now)
            await self._pause(now, mine=mine)
        return None

    def reserved(self) -> Slot | None:
        """A slot that was reserved earlier and is still open."""
        self._drop_closed(self.taken, self._pool.clock())
        return self.taken.popleft() if self.taken else None

    def wake(self) -> None:
        """Let the waiters check again."""
        for future in self._waiting:
            _wake(future)

    def end(self) -> Report:
        """Stop, and return the report."""
        for running in (self._asking, self._idle):
            if running is not None:
                running.cancel()
        self.wake()
        self._give_back(self._held)
        self._give_back(self.taken)
        report, self.report = self.report, Report()
        return report

    def _pop(self, now: float) -> Slot:
        slot = self._held.popleft()
        self._count += 1
        self._taken_at = now
        if self._low and len(self._held) <= self._low:
            self._ask(now)
        if self._idle is None:
            self._watch()
        return slot

    def _ask(self, now: float) -> None:
        """Ask for the slots of twice the present pace, unless an answer is on its way."""
        if self._asking is None and now >= self._again_at:
            passed_s = max(now - self._asked_at, COVER_S)
            n = max(1, math.ceil(2 * self._count * COVER_S / passed_s))
            self._asked_at, self._count = now, 0
            self._asking = asyncio.get_running_loop().create_task(self._lease(n))

    async def _lease(self, n: int) -> None:
        report, self.report = self.report, Report()
        try:
            self._got(await self._pool.source.lease(self._cls, n, report))
        except OSError as error:
            self._pool.lost(str(error))
        except BaseException:
            self._pool.active = False  # an error in the program must not make anybody wait for ever
            raise
        finally:
            self._asking = None
            self.wake()

    def _got(self, grant: Grant) -> None:
        late = self._held and grant.slots and grant.slots[0].opens < self._held[-1].opens
        self._held.extend(grant.slots)
        if late:
            self._held = deque(sorted(self._held, key=_opens))
        if grant.slots:
            self._low = len(grant.slots) // 2
        self._again_at = grant.again_at
        if self._idle is None and self._pool.active:
            self._watch()

    async def _pause(self, now: float, *, mine: bool) -> None:
        """Wait until something changes, the next slot opens, or it is time to ask again."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        timer = None
        if mine and (self._held or self._asking is None):
            until = self._held[0].opens if self._held else self._again_at
            timer = loop.call_later(max(until - now, SHORTEST_SLEEP_S), _wake, future)
        self._waiting[future] = None
        try:
            await future
        finally:
            self._waiting.pop(future)
            if timer is not None:
                timer.cancel()

    def _watch(self) -> None:
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._look)

    def _look(self) -> None:
        """If no slot was taken for a while, return held slots and report used ones."""
        self._idle = None
        now = self._pool.clock()
        self._drop_closed(self.taken, now)
        quiet = now - self._taken_at > IDLE_S and not self._waiting and self._asking is None
        if quiet:
            self._give_back(self._held)
            self._low = 0
            if self.report and self._pool.active:
                self._asking = asyncio.get_running_loop().create_task(self._lease(0))
        if self._pool.active and (not quiet or self.taken):
            self._watch()

    def _drop_closed(self, slots: Iterable[Slot], now: float) -> None:
        assert isinstance(slots, deque)
        while slots and slots[0].closes <= now + MARGIN_S:
            self.report.unused.append(slots.popleft().number)

    def _give_back(self, slots: deque[Slot]) -> None:
        self.report.unused.extend(slot.number for slot in slots)
        slots.clear()


def _opens(slot: Slot) -> float:
    return slot.opens


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
