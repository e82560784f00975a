"""Dispatcher: sends records as wide as the pace allows and follows each to its end.

    put --> ready --> workers --send--> created ............................. outbox
              ^          |   refused -> guard ............................... outbox
              |          |   throttled, no connection -> delayed -> ready
              |          +-- unknown, taken -> in doubt > resolver --equal.... outbox
              +---------------------- absent, released ----+  '--different... outbox

A record is in exactly one place at any time. Workers are started as the allowed width grows and end as it shrinks.
Where several records go in one request, or a record must not be sent twice, `ChunkSender` is between worker and send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio
from anyio.abc import TaskGroup

from scalesync.engine.chunks import ChunkSender
from scalesync.engine.journeys import Journeys
from scalesync.engine.limits import EngineLimits
from scalesync.engine.outbox import Outbox
from scalesync.engine.queue import InDoubt
from scalesync.engine.resolver import Resolve, Resolver
from scalesync.engine.waits import Waits
from scalesync.errors import ScalesyncError
from scalesync.model.outcomes import OutcomeKind
from scalesync.model.records import Outgoing
from scalesync.ports.chunk_log import ChunkLog
from scalesync.ports.operation import Operation, Repeat
from scalesync.ports.pacing import Pacing
from scalesync.ports.platform import Commands


class Dispatcher:
    """One run's engine. `run` serves until cancelled; `put` feeds it; `drain` waits for the end of all work.

    commands: if the service may accept requests and carry them out later.
    log: keeps requests under way in the ledger, if `keeps_chunks` says so; then call `recall` before the first `put`.
    """

    def __init__(
        self,
        operation: Operation,
        pace: Pacing,
        outbox: Outbox,
        resolve: Resolve,
        limits: EngineLimits,
        *,
        waits: Waits | None = None,
        commands: Commands | None = None,
        log: ChunkLog | None = None,
    ) -> None:
        self.journeys = Journeys(outbox, limits, waits or Waits(), operation.request)
        self.queue, self.tally, self.patience = self.journeys.queue, self.journeys.tally, self.journeys.patience
        self._operation = operation
        self._pace = pace
        self._limits = limits
        self._resolver = Resolver(operation, self.journeys, resolve, limits.retry)
        several = operation.most > 1 or keeps_chunks(operation, commands)
        self._chunks = ChunkSender(operation, self.journeys, commands, log) if several else None
        self._workers = 0

    @property
    def stopped(self) -> ScalesyncError | None:
        """What ended the run, if something did."""
        return self.journeys.stopped

    def stop(self, reason: ScalesyncError, /) -> None:
        """No new request starts from here on; the first reason stands."""
        self.journeys.stop(reason)

    # --- feeding and ending --------------------------------------------------------------------

    async def put(
        self, records: Sequence[Outgoing], doubts: Sequence[Outgoing], *, unseen: Sequence[Outgoing] = ()
    ) -> None:
        """Take a block in and wait for room.

        doubts: records that an earlier run may have sent.
        unseen: records that are looked up before they are sent for the first time.

        Raises what ended the run, if something did; the block is taken in all the same, for `shut` to account for.
        """
        for record in doubts:
            record.unclear += 1
        make = InDoubt if self._chunks is None else self._chunks.doubt
        await self.queue.put(records, [*map(make, doubts), *map(InDoubt, unseen)])
        self._raise_if_stopped()

    async def recall(self) -> None:
        """Learn what requests of earlier runs may still do, after all that the service accepted have ended."""
        if self._chunks is not None:
            await self._chunks.recall()
        self._raise_if_stopped()

    @property
    def repeated(self) -> Mapping[str, str | None]:
        """The records that were sent again after a landing window: key -> batch."""
        return self._resolver.repeated

    async def drain(self) -> None:
        """Wait until every record has ended. Raises the StopRun that ended the run, if one did."""
        while self.queue.outstanding > 0 and self.stopped is None:
            if self.queue.outstanding == len(self.journeys.guard.held):
                self.journeys.flush()
            else:
                await self.queue.change()
        self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self.stopped is not None:
            raise self.stopped

    async def shut(self) -> None:
        """After a stop, with the gate closed: wait a short time for answers, then return unsent records to pending."""
        with anyio.move_on_after(self._limits.grace_s):
            while self._pace.in_flight > 0:
                await anyio.sleep(0.02)
        held = [record for record, _ in self.journeys.guard.held]
        waiting = []
        if self._pace.in_flight == 0 and self._operation.repeat is Repeat.IDEMPOTENT:
            # Nothing is on its way, so these workers still wait for their turn at the gate. Where a second send may
            # make a second task that is not enough: one send may be several calls, and stand between two of them.
            waiting = [record for record in self.journeys.sending.values() if record.unclear == 0]
        self.journeys.put_back([*self.queue.unsent(), *held, *waiting])

    async def run(self) -> None:
        """Serve: alarm, resolvers, watchdog and as many workers as the pace allows."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.queue.run_alarm)
            group.start_soon(self._resolver.run)
            group.start_soon(self._resolver.run)
            group.start_soon(self.patience.watch)
            if self._chunks is not None:
                group.start_soon(self._chunks.run)
            while True:
                self._grow(group)
                await self.queue.change()

    def _grow(self, group: TaskGroup) -> None:
        chunks = self._chunks
        ready = len(self.queue.ready) if chunks is None else self.queue.chunks_ready(chunks.most)
        wanted = min(self._pace.width(self._operation.request), self._workers - self.queue.parked + ready)
        while self._workers < wanted and self.stopped is None:
            self._workers += 1
            if chunks is None:
                group.start_soon(self._work)
            else:
                group.start_soon(self._work_in_chunks, chunks)

    # --- sending -------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            while self.stopped is None and self._workers <= (width := self._pace.width(self._operation.request)):
                if self._workers < width and self.queue.ready:
                    self.queue.signal()  # there is work for more of us
                record = self.queue.take()
                if record is None:
                    if self.queue.parked + 1 == self._workers:
                        self.queue.signal()  # all are idle: `drain` may have waited for that
                    await self.queue.park()
                else:
                    await self._send(record)
        finally:
            self._workers -= 1
            self.queue.pass_on()
            self.queue.signal()

    async def _work_in_chunks(self, chunks: ChunkSender) -> None:
        """As `_work`, with several records in one request."""
        queue = self.queue
        try:
            while self.stopped is None and self._workers <= (width := self._pace.width(self._operation.request)):
                if self._workers < width and (queue.ready or queue.parts):
                    queue.signal()
                records = await queue.take_chunk(chunks.most, chunks.most_bytes)
                if records:
                    await chunks.send(records)
                    continue
                if queue.parked + 1 == self._workers:
                    queue.signal()
                await queue.park()
        finally:
            self._workers -= 1
            queue.pass_on()
            queue.signal()

    async def _send(self, record: Outgoing) -> None:
        journeys = self.journeys
        journeys.sending[record.key] = record
        if record.attempts:
            self.tally.retries += 1
        (outcome,) = await self._operation.send((record,))
        if outcome.kind is OutcomeKind.NOT_ALLOWED:
            # One refusal may be a slip of the server; the second call decides for the whole run.
            record.attempts += 1
            self.tally.retries += 1
            (outcome,) = await self._operation.send((record,))
        record.attempts += 1
        del journeys.sending[record.key]
        if outcome.kind is OutcomeKind.CREATED:
            journeys.created(record, outcome)
        else:
            journeys.follow(record, outcome)


def keeps_chunks(operation: Operation, commands: Commands | None) -> bool:
    """Whether requests under way must be in the ledger."""
    return operation.repeat is not Repeat.IDEMPOTENT or commands is not None
