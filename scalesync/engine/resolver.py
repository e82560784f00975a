"""Resolver: finds the outcome of records in doubt by look-up, never by assumption."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from scalesync.engine.backoff import RetryPolicy
from scalesync.engine.patience import Patience
from scalesync.engine.queue import InDoubt, WorkQueue
from scalesync.errors import KeyRefused, NotAllowed, Refused, RemoteError, ScalesyncError
from scalesync.model.contents import all_named
from scalesync.model.outcomes import Comparison, LookupResult, Presence
from scalesync.model.records import Outgoing
from scalesync.model.rows import RowOutcome, RowState
from scalesync.model.targets import RequestClass
from scalesync.ports.operation import Operation, Repeat

APART_S = 1.0  # between two look-ups that agree; their order in time alone proves little about replicas and caches

# What to do with a task found under our key: how the row ends, or None to send the record again.
Resolve = Callable[[Outgoing, Comparison], Awaitable[RowOutcome | None]]
_AT_ONCE = Repeat.IDEMPOTENT
_KILLED = "the run that sent it was killed"


class Engine(Protocol):
    """The part of the journeys that the resolver needs."""

    queue: WorkQueue
    patience: Patience
    stopped: ScalesyncError | None

    def end(self, outcome: RowOutcome) -> None: ...
    def stop(self, reason: ScalesyncError) -> None: ...
    def delay_s(self, attempt: int) -> float: ...


class Resolver:
    """Takes records in doubt in groups of one look-up each. Several `run`s may serve one queue."""

    def __init__(self, operation: Operation, engine: Engine, resolve: Resolve, retry: RetryPolicy) -> None:
        self._operation = operation
        self._engine = engine
        self._resolve = resolve
        self._retry = retry
        self.repeated: dict[str, str | None] = {}
        self._denied = False

    async def run(self) -> None:
        """Serve until cancelled."""
        queue = self._engine.queue
        while True:
            group = queue.take_doubts(self._operation.look_up_most) if self._engine.stopped is None else []
            if not group:
                await queue.change()
                continue
            if self._operation.repeat is Repeat.ONCE:
                group = self._without_unclear(group)
            try:
                for asked in self._apart(group):
                    await self._look_up(asked)
            except ScalesyncError as reason:
                self._engine.stop(reason)

    def _apart(self, group: Sequence[InDoubt]) -> Iterator[list[InDoubt]]:
        """The records that were never sent apart from the others, where a second send is not safe.

        Another ledger may have sent them, long ago; what is listed once says so for all of them.
        """
        if self._operation.repeat is _AT_ONCE:
            yield list(group)
            return
        yield [doubt for doubt in group if not doubt.unsent]
        yield [doubt for doubt in group if doubt.unsent]

    def _without_unclear(self, group: Sequence[InDoubt]) -> list[InDoubt]:
        """What may be done once, and must not be done twice, stays as it is; look up only the others."""
        for doubt in group:
            if doubt.given_up is not None:
                self._give_up(doubt, f"may have been carried out, and is not sent twice: {doubt.message or _KILLED}")
        return [doubt for doubt in group if doubt.given_up is None]

    async def _look_up(self, group: Sequence[InDoubt]) -> None:
        if not group:
            return
        asked = self._engine.queue.clock()
        try:
            results = await self._operation.look_up(
                [doubt.record.key for doubt in group],
                all_named(doubt.record.batch for doubt in group),
                unsent=self._operation.repeat is not _AT_ONCE and all(doubt.unsent for doubt in group),
            )
        except NotAllowed as error:
            self._put_back(group, str(error))
            if self._denied:
                raise KeyRefused(f"the platform refused the API key: {error}") from error
            self._denied = True
            return
        except Refused as error:
            await self._not_answered(group, error)
            return
        except RemoteError as error:
            self._put_back(group, str(error), error.retry_after_s)
            return
        self._denied = False
        clear = [await self._conclude(doubt, results[doubt.record.key], asked) for doubt in group]
        if any(clear):  # an answer that says nothing about any record does not stop the patience from counting
            self._engine.patience.answered(RequestClass.LIST)

    async def _not_answered(self, group: Sequence[InDoubt], error: Refused) -> None:
        """The platform will not answer this look-up: ask for each key alone, and give up on those it still refuses."""
        if len(group) > 1:
            for doubt in group:
                await self._look_up([doubt])
            return
        (doubt,) = group
        doubt.refused += 1
        if doubt.refused < self._retry.max_attempts:
            self._put_back(group, str(error))
        else:
            self._give_up(doubt, f"the platform refused to look the unique_id up: {error}")

    def _put_back(self, group: Sequence[InDoubt], message: str, asked_s: float | None = None) -> None:
        self._engine.patience.trouble(message, RequestClass.LIST, asked_s=asked_s)
        for doubt in group:
            doubt.looks += 1
            self._engine.queue.doubt(doubt, self._engine.delay_s(min(doubt.looks, 5)))

    async def _conclude(self, doubt: InDoubt, result: LookupResult, asked: float) -> bool:
        """Whether the answer decides the record.

        asked: when the look-up began, by the queue's clock.
        """
        if result.presence is Presence.ABSENT and doubt.ref is not None:
            result = await self._read_other(doubt)
        if result.presence is Presence.FOUND and result.task is not None:
            comparison = self._operation.compare(doubt.record, result.task)
            if result.others:
                comparison = replace(comparison, others=result.others)
            outcome = await self._resolve(doubt.record, comparison)
            if outcome is not None:
                self._engine.end(outcome)
            elif self._operation.repeat is _AT_ONCE:
                self._engine.queue.again(doubt.record)
            else:  # no server refuses the key if it was not freed after all: look once more before a send
                self._engine.queue.doubt(doubt, self._engine.delay_s(1))
        elif result.presence is Presence.ABSENT and not (result.short and self._operation.repeat is not _AT_ONCE):
            if not self._waits_for_landing(doubt, asked):
                self._send_again(doubt)
        else:
            self._put_back([doubt], "the look-up gave no trustworthy answer")
            return False
        return True

    async def _read_other(self, doubt: InDoubt) -> LookupResult:
        """The list may lag behind a 409: read the task that the 409 named by its id."""
        assert doubt.ref is not None
        try:
            result = await self._operation.read(doubt.ref)
        except RemoteError as error:
            self._engine.patience.trouble(str(error), RequestClass.LIST, asked_s=error.retry_after_s)
            return LookupResult(Presence.UNKNOWN)
        if result.view is not None and result.view.key != doubt.record.key:
            return LookupResult(Presence.ABSENT)
        return result

    def _waits_for_landing(self, doubt: InDoubt, asked: float) -> bool:
        """Whether "absent" is not a proof yet: the last request may still take effect, or only one look-up said so."""
        if doubt.given_up is None:
            return False
        landed = doubt.given_up + self._operation.landing_s
        if doubt.absent is not None and asked >= max(landed, doubt.absent + APART_S):
            return False
        if doubt.absent is None:
            doubt.absent = asked
        now = self._engine.queue.clock()
        wait_s = max(landed, doubt.absent + APART_S) - now
        self._engine.patience.landing(wait_s)
        self._engine.queue.doubt(doubt, wait_s)
        return True

    def _send_again(self, doubt: InDoubt) -> None:
        record = doubt.record
        if doubt.given_up is not None:
            self.repeated[record.key] = record.batch
        if doubt.taken:
            # In use, says the platform, and shows no task that uses it: it needs time, not another request at once.
            record.unclear += 1
            self._engine.patience.trouble(doubt.message)
        if record.unclear >= self._retry.max_attempts:
            self._give_up(doubt, f"no clear answer in {record.unclear} attempts (last: {doubt.message or 'unknown'})")
        elif doubt.taken:
            self._engine.queue.later(record, self._engine.delay_s(record.unclear))
        elif doubt.unsent:
            self._engine.queue.behind(record)
        elif doubt.alone:
            self._engine.queue.part([record])
        else:
            self._engine.queue.again(record)

    def _give_up(self, doubt: InDoubt, reason: str) -> None:
        """For this run: the row stays in doubt, the next run looks it up first."""
        self._engine.patience.trouble(reason)
        self._engine.end(
            RowOutcome(
                doubt.record.key,
                RowState.SENDING,
                reason=reason,
                attempts=doubt.record.attempts,
                event="gave up for now",
                content=doubt.record.content,
            )
        )
