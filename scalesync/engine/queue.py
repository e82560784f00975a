"""WorkQueue: records that wait for a send, a look-up or the end of a delay. Bounded by its producer's wait."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio

from scalesync.model.records import Outgoing

HIGH_WATER = 1024  # records ready to go: they keep the widest run busy while the next block is made durable
MAX_OUTSTANDING = 2560  # with those in flight, delayed and in doubt: an outage must not pile records up
FILL_S = 0.05  # that a chunk waits for more records: less than a round trip, more than a load takes to be made ready
ALONE_AFTER = 3  # unclear attempts: the record may be what its chunks fail of, and the others need not fail with it


@dataclass(slots=True)
class InDoubt:
    """A record with an unknown outcome.

    message: why it is in doubt.
    taken: the platform says that the key is in use.
    ref: id of the task that has the key, if it was named.
    looks: failed look-ups.
    refused: those of them that the platform will not answer.
    given_up: the time, by the queue's clock, at which the wait for its last request ended; None if no request left, or
        sending again is safe.
    absent: when a look-up first said that there is no task.
    alone: sent again, it goes in its own request.
    """

    record: Outgoing
    ref: str | None = None
    message: str = ""
    looks: int = 0
    refused: int = 0
    taken: bool = False
    given_up: float | None = None
    absent: float | None = None
    alone: bool = False

    @property
    def unsent(self) -> bool:
        """Whether no request had the record, in this run or an earlier one."""
        return self.given_up is None and not self.taken and not self.record.unclear


@dataclass(slots=True)
class WorkQueue:
    """Records inside the engine. `outstanding` counts every record that was put in and has not ended.

    ready: to send.
    parts: chunks to send as they are.
    doubts: those to look up.
    """

    clock: Callable[[], float] = time.monotonic
    ready: deque[Outgoing] = field(default_factory=deque)
    parts: deque[list[Outgoing]] = field(default_factory=deque)
    doubts: deque[InDoubt] = field(default_factory=deque)
    outstanding: int = 0
    closed: bool = False
    _parked: deque[asyncio.Future[None]] = field(default_factory=deque)
    _full: bool = False
    _filling: anyio.Event | None = None
    _wanted: int = 0
    _delayed: list[tuple[float, int, Outgoing | InDoubt]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _changed: anyio.Event = field(default_factory=anyio.Event)
    _room: anyio.Event = field(default_factory=anyio.Event)
    _alarm: anyio.Event = field(default_factory=anyio.Event)

    async def put(self, records: Sequence[Outgoing], doubts: Sequence[InDoubt]) -> None:
        """Add records and wait until there is room for the next block.

        They are in before the wait begins: a cancelled call loses none.
        """
        self.outstanding += len(records) + len(doubts)
        self.ready.extend(records)
        self.doubts.extend(doubts)
        self._wake(len(records))
        self.signal()
        while not self.closed and (len(self.ready) > HIGH_WATER or self.outstanding > MAX_OUTSTANDING):
            self._room, self._full = anyio.Event(), True
            await self._room.wait()

    def close(self) -> None:
        """Nobody waits for room any longer: the run is stopping."""
        self.closed = True
        self._make_room()
        self._fill(0)
        self._wake(len(self._parked))
        self.signal()

    def again(self, record: Outgoing) -> None:
        """Back to the front: it was here first."""
        self.ready.appendleft(record)
        self._wake(1)
        self.signal()

    def behind(self, record: Outgoing) -> None:
        """To the end, in the order of the sources: no request had it yet."""
        self.ready.append(record)
        self._wake(1)
        self.signal()

    def part(self, records: list[Outgoing]) -> None:
        """Send these records in one request, and no others with them."""
        self.parts.append(records)
        self._wake(1)
        self.signal()

    def doubt(self, doubt: InDoubt, delay_s: float = 0.0) -> None:
        """Look it up, after a delay."""
        if delay_s > 0:
            self._delay(doubt, delay_s)
        else:
            self.doubts.append(doubt)
            self.signal()

    def later(self, record: Outgoing, delay_s: float) -> None:
        """Send it again after a delay."""
        self._delay(record, delay_s)

    def _delay(self, item: Outgoing | InDoubt, delay_s: float) -> None:
        heapq.heappush(self._delayed, (self.clock() + delay_s, next(self._order), item))
        if self._delayed[0][2] is item:
            self._alarm.set()

    def take(self) -> Outgoing | None:
        """The next record to send, None when none is ready."""
        if not self.ready:
            return None
        record = self.ready.popleft()
        if self._full and len(self.ready) <= HIGH_WATER // 2:
            self._make_room()
        return record

    async def take_chunk(self, most: int, most_bytes: int) -> list[Outgoing]:
        """Records to send in one request, at least one; none when none is ready, or somebody else waits for more.

        Waits for more at most FILL_S, with the records still in the queue. One that is larger than most_bytes goes
        alone, and so does one whose outcome was unclear several times.
        """
        if self.parts:
            return self.parts.popleft()
        if not self.ready or self._filling is not None:
            return []
        if len(self.ready) < most and not self.closed:
            self._filling, self._wanted = anyio.Event(), most
            try:
                with anyio.move_on_after(FILL_S):
                    await self._filling.wait()
            finally:
                self._filling = None
            if self.closed:
                return []
        chunk: list[Outgoing] = []
        size = 0
        while self.ready and len(chunk) < most:
            record = self.ready[0]
            size += len(record.body)
            alone = record.unclear >= ALONE_AFTER
            if chunk and (alone or size > most_bytes):
                break
            chunk.append(self.ready.popleft())
            if alone:
                break
        if self._full and len(self.ready) <= HIGH_WATER // 2:
            self._make_room()
        self.pass_on()
        return chunk

    def chunks_ready(self, most: int) -> int:
        """How many requests are ready to go."""
        return len(self.parts) - (-len(self.ready) // most)

    def _fill(self, count: int) -> None:
        """Wake those who wait for more than there were.

        count: how many are ready now.
        """
        if self._filling is not None and (count >= self._wanted or self.closed):
            self._filling.set()

    async def park(self) -> None:
        """Wait until a record may be ready; a caller that is woken and takes none calls `pass_on`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._parked.append(future)
        try:
            await future
        except BaseException:
            if future.done() and not future.cancelled():
                self.pass_on()
            raise

    @property
    def parked(self) -> int:
        """How many wait in `park`."""
        return len(self._parked)

    def pass_on(self) -> None:
        """Wake another one for what is ready."""
        if self.ready or self.parts:
            self._wake(1)

    def _wake(self, count: int) -> None:
        if self._filling is not None:
            self._fill(len(self.ready))
        while count > 0 and self._parked:
            future = self._parked.popleft()
            if not future.done():
                future.set_result(None)
                count -= 1

    def _make_room(self) -> None:
        self._full = False
        self._room.set()

    def take_doubts(self, limit: int) -> list[InDoubt]:
        """Up to `limit` records in doubt that are due, oldest first."""
        return [self.doubts.popleft() for _ in range(min(limit, len(self.doubts)))]

    def ended(self, count: int = 1) -> None:
        """Records left the engine."""
        self.outstanding -= count
        if self._full and self.outstanding <= MAX_OUTSTANDING:
            self._make_room()
        if self.outstanding == 0:
            self.signal()

    def signal(self) -> None:
        """Wake everyone who waits for a change."""
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def change(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    async def run_alarm(self) -> None:
        """Move delayed items to their queues when they are due; runs for as long as the engine."""
        while True:
            self._alarm = anyio.Event()
            wait_s = self._delayed[0][0] - self.clock() if self._delayed else None
            if wait_s is None or wait_s > 0:
                with anyio.move_on_after(wait_s):
                    await self._alarm.wait()
                continue
            _, _, item = heapq.heappop(self._delayed)
            if isinstance(item, InDoubt):
                self.doubts.append(item)
            else:
                self.ready.append(item)
                self._wake(1)
            self.signal()

    def unsent(self) -> list[Outgoing]:
        """The waiting records that certainly became no task: never sent, or each time certainly not processed."""
        delayed = (item for _, _, item in self._delayed if isinstance(item, Outgoing))
        waiting = [*self.ready, *(record for part in self.parts for record in part), *delayed]
        return [record for record in waiting if record.unclear == 0]
