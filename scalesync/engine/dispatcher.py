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

import random
from collections.abc import Callable, Collection, Sequence

import anyio
from anyio.abc import TaskGroup

from scalesync.engine.backoff import backoff_s
from scalesync.engine.chunks import ChunkSender
from scalesync.engine.first_refusals import FirstRefusals
from scalesync.engine.limits import EngineLimits, Tally
from scalesync.engine.outbox import Outbox
from scalesync.engine.patience import Patience
from scalesync.engine.queue import InDoubt, WorkQueue
from scalesync.engine.resolver import Resolve, Resolver
from scalesync.engine.waits import Waits
from scalesync.errors import AllRefused, BudgetUsed, KeyRefused, ScalesyncError, StopRun
from scalesync.model.outcomes import Outcome, OutcomeKind
from scalesync.model.records import Outgoing
from scalesync.model.rows import RowOutcome, RowState
from scalesync.model.targets import RequestClass
from scalesync.ports.chunk_log import ChunkLog
from scalesync.ports.operation import Operation, Repeat
from scalesync.ports.pacing import Pacing
from scalesync.ports.platform import Commands

_CREATE = RequestClass.CREATE
# Creates that something else than the platform answered, and none that it took: none will get through.
STRAYS = 3
# The platform took the record, or had taken it before: not everything is refused.
_ACCEPTED = frozenset({RowState.CREATED, RowState.ADOPTED, RowState.CONFLICT})
# What came of a record got through, whatever it is; one that was given up for now did not.
FINAL = _ACCEPTED | {RowState.FAILED}


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
        self.tally = Tally()
        self.queue = WorkQueue()
        self.stopped: ScalesyncError | None = None
        self.on_stop: Callable[[], None] | None = None
        self._operation = operation
        self._pace = pace
        self._outbox = outbox
        self._limits = limits
        self._guard: FirstRefusals[tuple[Outgoing, Outcome]] = FirstRefusals()
        self._resolver = Resolver(operation, self, resolve, limits.retry)
        several = operation.most > 1 or keeps_chunks(operation, commands)
        self._chunks = ChunkSender(operation, self, commands, log) if several else None
        self._workers = 0
        self._sending: dict[str, Outgoing] = {}
        self._rng = random.Random()
        self._waits = waits or Waits()
        self.patience = Patience(self._waits, self.tally, limits.stall_s, self._is_busy, self.stop)
        self._strays = 0

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
    def repeated(self) -> Collection[str]:
        """Keys of the records that were sent again after a landing window."""
        return self._resolver.repeated

    async def drain(self) -> None:
        """Wait until every record has ended. Raises the StopRun that ended the run, if one did."""
        while self.queue.outstanding > 0 and self.stopped is None:
            if self.queue.outstanding == len(self._guard.held):
                self._release(self._guard.flush())
            else:
                await self.queue.change()
        self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self.stopped is not None:
            raise self.stopped

    def stop(self, reason: ScalesyncError) -> None:
        """No new request starts from here on; the first reason stands. `on_stop` is called once."""
        if self.stopped is None:
            self.stopped = reason
            self.queue.close()
            if self.on_stop is not None:
                self.on_stop()

    async def shut(self) -> None:
        """After a stop, with the gate closed: wait a short time for answers, then return unsent records to pending."""
        with anyio.move_on_after(self._limits.grace_s):
            while self._pace.in_flight > 0:
                await anyio.sleep(0.02)
        held = [record for record, _ in self._guard.held]
        waiting = []
        if self._pace.in_flight == 0 and self._operation.repeat is Repeat.IDEMPOTENT:
            # Nothing is on its way, so these workers still wait for their turn at the gate. Where a second send may
            # make a second task that is not enough: one send may be several calls, and stand between two of them.
            waiting = [record for record in self._sending.values() if record.unclear == 0]
        for record in [*self.queue.unsent(), *held, *waiting]:
            self._outbox.put(RowOutcome(record.key, RowState.PENDING, attempts=record.attempts, content=record.content))

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
        wanted = min(self._pace.width(_CREATE), self._workers - self.queue.parked + ready)
        while self._workers < wanted and self.stopped is None:
            self._workers += 1
            if chunks is None:
                group.start_soon(self._work)
            else:
                group.start_soon(self._work_in_chunks, chunks)

    # --- sending -------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            while self.stopped is None and self._workers <= (width := self._pace.width(_CREATE)):
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
            while self.stopped is None and self._workers <= (width := self._pace.width(_CREATE)):
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

    def leave(self, records: Collection[Outgoing]) -> None:
        """A request with these records is about to leave."""
        self._sending.update((record.key, record) for record in records)
        self.tally.retries += any(record.attempts for record in records)

    def repeat(self, records: Collection[Outgoing]) -> None:
        """The same request leaves once more."""
        self.tally.retries += 1
        for record in records:
            record.attempts += 1

    def come_back(self, records: Collection[Outgoing]) -> None:
        """The request is over, with any result."""
        for record in records:
            record.attempts += 1
            del self._sending[record.key]

    async def _send(self, record: Outgoing) -> None:
        self._sending[record.key] = record
        if record.attempts:
            self.tally.retries += 1
        (outcome,) = await self._operation.send((record,))
        if outcome.kind is OutcomeKind.NOT_ALLOWED:
            # One refusal may be a slip of the server; the second call decides for the whole run.
            record.attempts += 1
            self.tally.retries += 1
            (outcome,) = await self._operation.send((record,))
        record.attempts += 1
        del self._sending[record.key]
        if outcome.kind is OutcomeKind.CREATED:
            self.created(record, outcome)
        else:
            self.follow(record, outcome)

    def created(self, record: Outgoing, outcome: Outcome) -> None:
        """`end` for the outcome that nearly all records have."""
        self.tally.settled += 1
        self.tally.created += 1
        self._waits.passes += 1
        ref, status, attempts = outcome.ref, outcome.status, record.attempts
        self._outbox.put(
            RowOutcome(record.key, RowState.CREATED, ref, status, None, None, attempts, None, record.content)
        )
        self.queue.ended()
        if not self._guard.is_open:
            self._release(self._guard.succeeded())

    def follow(self, record: Outgoing, outcome: Outcome) -> None:
        """Any other outcome of one record."""
        match outcome.kind:
            case OutcomeKind.REFUSED:
                self._refused(record, outcome)
            case OutcomeKind.NOT_ALLOWED:
                self.queue.later(record, self.delay_s(1))
                self.stop(
                    KeyRefused(
                        f"the platform refused the API key: {outcome.message} ({outcome.status});"
                        " correct the key and run the same command"
                    )
                )
            case OutcomeKind.TAKEN:
                self._release(self._guard.succeeded())
                self.queue.doubt(InDoubt(record, ref=outcome.ref, message=outcome.message, taken=True))
            case OutcomeKind.UNKNOWN | OutcomeKind.ACCEPTED:
                record.unclear += 1
                self.patience.trouble(outcome.message, asked_s=outcome.retry_after_s)
                self.queue.doubt(InDoubt(record, message=outcome.message), self.delay_s(record.unclear))
                if outcome.astray:
                    self.astray(outcome)
            case _:
                # Throttled, or no connection: certainly not processed.
                throttled = outcome.kind is OutcomeKind.THROTTLED
                self.patience.trouble(outcome.message, asked_s=outcome.retry_after_s, throttled=throttled)
                self.queue.later(record, self.delay_s(min(record.attempts, 5)))

    def astray(self, outcome: Outcome) -> None:
        """A redirect or a web page: waiting helps if the platform answered before; otherwise nothing does."""
        self._strays += 1
        tally = self.tally
        if self._strays >= STRAYS and tally.settled == tally.exhausted and not self._guard.is_open:
            self.stop(
                StopRun(
                    f"none of the first {self._strays} create calls reached the platform: {outcome.message};"
                    " then run the same command"
                )
            )

    def _refused(self, record: Outgoing, outcome: Outcome) -> None:
        self._release(self._guard.refused((record, outcome), outcome.message, record.key))
        held = len(self._guard.held)
        if self._guard.tripped:
            self.stop(
                AllRefused(
                    f"the first {held} records were all refused with one message: {outcome.message}; they stay pending:"
                    " correct the options or the template and run the same command"
                )
            )
        elif self._too_many_failed(held):
            self._release(self._guard.flush())
        if self.queue.outstanding == len(self._guard.held):
            self.queue.signal()  # a poll may bring the last refusal, when no worker is there to wake `drain`

    # --- endings -------------------------------------------------------------------------------

    def _release(self, refusals: Sequence[tuple[Outgoing, Outcome]]) -> None:
        for record, outcome in refusals:
            self.end(
                RowOutcome(
                    record.key,
                    RowState.FAILED,
                    status=outcome.status,
                    reason=outcome.message,
                    attempts=record.attempts,
                    event="refused",
                    content=record.content,
                )
            )

    def end(self, settled: RowOutcome) -> None:
        """A record's journey is over for this run."""
        tally = self.tally
        tally.settled += 1
        match settled.state:
            case RowState.CREATED:
                tally.created += 1
            case RowState.ADOPTED:
                tally.adopted += 1
            case RowState.CONFLICT:
                tally.conflicts += 1
            case RowState.FAILED:
                tally.failed += 1
            case _:
                tally.exhausted += 1
        if settled.state in FINAL:
            self._waits.passes += 1
        self._outbox.put(settled)
        self.queue.ended()
        if settled.state in _ACCEPTED:
            self._release(self._guard.succeeded())
        if self.queue.outstanding == len(self._guard.held):
            self.queue.signal()  # only held refusals are left: `drain` lets them go
        if self._too_many_failed(0):
            self.stop(BudgetUsed(f"stopped by --max-failures: {tally.failed} of {tally.settled} records failed"))

    def _too_many_failed(self, held: int) -> bool:
        limit = self._limits.max_failures
        return limit is not None and limit(self.tally.failed + held, self.tally.settled + held)

    def _is_busy(self) -> bool:
        return self.queue.outstanding > 0

    def delay_s(self, attempt: int) -> float:
        """Full jitter, growing with the attempts of this record."""
        policy = self._limits.retry
        return backoff_s(attempt, base_s=policy.base_s, cap_s=policy.cap_s, rng=self._rng)


def keeps_chunks(operation: Operation, commands: Commands | None) -> bool:
    """Whether requests under way must be in the ledger."""
    return operation.repeat is not Repeat.IDEMPOTENT or commands is not None
