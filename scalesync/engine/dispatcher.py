"""Dispatcher: sends records as wide as the pace allows and follows each to its end.

    put --> ready --> workers --send--> created ............................. outbox
              ^          |   refused -> guard ............................... outbox
              |          |   throttled, no connection -> delayed -> ready
              |          +-- unknown, taken -> doubts -> settler --equal..... outbox
              +---------------------- absent, released ----+  '--different... outbox

A record is in exactly one place at any time. Workers are started as the allowed width grows and end as it shrinks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from scalesync.engine.backoff import RetryPolicy, backoff_s
from scalesync.engine.calls import too_long
from scalesync.engine.first_refusals import FirstRefusals
from scalesync.engine.outbox import Outbox
from scalesync.engine.queue import InDoubt, WorkQueue
from scalesync.engine.resolver import Resolve, Resolver
from scalesync.engine.waits import LATE_S, THROTTLED_S, Waits
from scalesync.errors import AllRefused, BudgetUsed, KeyRefused, ScalesyncError, StopRun
from scalesync.model.outcomes import Outcome, OutcomeKind
from scalesync.model.records import Outgoing
from scalesync.model.rows import RowOutcome, RowState
from scalesync.model.targets import RequestClass
from scalesync.ports.operation import Operation
from scalesync.ports.pacing import Pacing

_CREATE = RequestClass.CREATE
# Creates that something else than the platform answered, and none that it took: none will get through.
STRAYS = 3
SURE_S = 5.0  # of silence tell that a wait holds up everything, and not the look-ups alone
# The platform took the record, or had taken it before: not everything is refused.
_ACCEPTED = frozenset({RowState.CREATED, RowState.ADOPTED, RowState.CONFLICT})
# What came of a record got through, whatever it is; one that was given up for now did not.
FINAL = _ACCEPTED | {RowState.FAILED}


@dataclass(slots=True)
class Tally:
    """What this run did; failed counts refusals, exhausted counts records given up for now."""

    settled: int = 0
    created: int = 0
    failed: int = 0
    conflicts: int = 0
    adopted: int = 0
    exhausted: int = 0
    retries: int = 0
    last_trouble: str = ""


@dataclass(slots=True)
class EngineLimits:
    """When a run gives up or ends. Times in seconds.

    stall_s: of nothing but trouble before the run gives up. grace_s: how long a stop waits for answers. patience_s: how
    long a single call, such as the first one, is repeated. max_failures: called with (failed, settled), true when the
    run must stop.
    """

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    stall_s: float = 300.0
    grace_s: float = 5.0
    patience_s: float = 300.0
    max_failures: Callable[[int, int], bool] | None = None


class Dispatcher:
    """One run's engine. `run` serves until cancelled; `put` feeds it; `drain` waits for the end of all work."""

    def __init__(
        self,
        operation: Operation,
        pace: Pacing,
        outbox: Outbox,
        resolve: Resolve,
        limits: EngineLimits,
        *,
        waits: Waits | None = None,
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
        self._settler = Resolver(operation, self, resolve, limits.retry)
        self._workers = 0
        self._sending: dict[str, Outgoing] = {}
        self._rng = random.Random()
        self._waits = waits or Waits()
        self._strays = 0

    # --- feeding and ending --------------------------------------------------------------------

    async def put(self, records: Sequence[Outgoing], doubts: Sequence[Outgoing]) -> None:
        """Take a block in and wait for room. doubts: records that an earlier run may have sent.

        Raises what ended the run, if something did; the block is taken in all the same, for `shut` to account for.
        """
        for record in doubts:
            record.unclear += 1
        await self.queue.put(records, [InDoubt(record) for record in doubts])
        self._raise_if_stopped()

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
        """No new request starts from here on; the first reason stands. `on_stop` is told once."""
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
        if self._pace.in_flight == 0:
            # Nothing is on its way, so these workers still wait for their turn at the gate.
            waiting = [record for record in self._sending.values() if record.unclear == 0]
        for record in [*self.queue.unsent(), *held, *waiting]:
            self._outbox.put(RowOutcome(record.key, RowState.PENDING, attempts=record.attempts, content=record.content))

    async def run(self) -> None:
        """Serve: alarm, settlers, watchdog and as many workers as the pace allows."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.queue.run_alarm)
            group.start_soon(self._settler.run)
            group.start_soon(self._settler.run)
            group.start_soon(self._watch)
            while True:
                self._grow(group)
                await self.queue.change()

    def _grow(self, group: TaskGroup) -> None:
        useful = self._workers - self.queue.parked + len(self.queue.ready)
        wanted = min(self._pace.width(_CREATE), useful)
        while self._workers < wanted and self.stopped is None:
            self._workers += 1
            group.start_soon(self._work)

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
            self._created(record, outcome)
        else:
            self._follow(record, outcome)

    def _created(self, record: Outgoing, outcome: Outcome) -> None:
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

    def _follow(self, record: Outgoing, outcome: Outcome) -> None:
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
            case OutcomeKind.UNKNOWN:
                record.unclear += 1
                self.trouble(outcome.message, asked_s=outcome.retry_after_s)
                self.queue.doubt(InDoubt(record, message=outcome.message), self.delay_s(record.unclear))
                if outcome.astray:
                    self._astray(outcome)
            case _:
                # Throttled, or no connection: certainly not processed.
                throttled = outcome.kind is OutcomeKind.THROTTLED
                self.trouble(outcome.message, asked_s=outcome.retry_after_s, throttled=throttled)
                self.queue.later(record, self.delay_s(min(record.attempts, 5)))

    def _astray(self, outcome: Outcome) -> None:
        """A redirect or a web page: waiting helps where the platform took something before, and else nothing does."""
        self._strays += 1
        tally = self.tally
        if self._strays >= STRAYS and tally.settled == tally.exhausted and not self._guard.is_open:
            self.stop(
                StopRun(
                    f"none of the first {self._strays} create calls got to the platform: {outcome.message};"
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

    def trouble(
        self,
        message: str,
        cls: RequestClass = _CREATE,
        *,
        asked_s: float | None = None,
        throttled: bool = False,
    ) -> None:
        """Remember why nothing moves, for the sentence that may have to be said. cls: of the calls that failed."""
        self.tally.last_trouble = message
        self._waits.met(
            cls,
            message,
            patience_s=self._limits.stall_s,
            asked_s=asked_s,
            tell_after_s=THROTTLED_S if throttled else LATE_S,
            busy=self._is_busy,
        )

    def answered(self, cls: RequestClass) -> None:
        """Calls of this class get through, whatever came of them."""
        self._waits.passed(cls)

    def _is_busy(self) -> bool:
        return self.queue.outstanding > 0

    def delay_s(self, attempt: int) -> float:
        """Full jitter, growing with the attempts of this record."""
        policy = self._limits.retry
        return backoff_s(attempt, base_s=policy.base_s, cap_s=policy.cap_s, rng=self._rng)

    async def _watch(self) -> None:
        while True:
            await anyio.sleep(min(1.0, self._limits.stall_s / 4))
            stuck = self._waits.stuck()
            if stuck is None:
                continue
            now = self._waits.clock()
            if stuck.beyond and now >= stuck.since + min(SURE_S, self._limits.stall_s / 4):
                left_s = stuck.asked_until - now
                self.stop(too_long(stuck.why, stuck.asked_s or left_s, self._limits.stall_s, left_s))
            elif now > stuck.since + self._limits.stall_s:
                self.stop(
                    BudgetUsed(
                        f"nothing got through for {self._limits.stall_s:.0f} s (last: {stuck.why});"
                        " run the same command to carry on"
                    )
                )
