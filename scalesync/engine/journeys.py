"""Journeys: what becomes of each record once its request is answered, until its journey is over for this run.

created .................................. outbox
refused -> guard ......................... outbox
throttled, no connection -> delayed -> ready
unknown, taken -> in doubt -> resolver ... outbox, or ready once more
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence

from scalesync.engine.backoff import backoff_s
from scalesync.engine.first_refusals import FirstRefusals
from scalesync.engine.limits import EngineLimits, Tally
from scalesync.engine.outbox import Outbox
from scalesync.engine.patience import Patience
from scalesync.engine.queue import InDoubt, WorkQueue
from scalesync.engine.waits import Waits
from scalesync.errors import AllRefused, BudgetUsed, KeyRefused, ScalesyncError, StopRun
from scalesync.model.outcomes import Outcome, OutcomeKind
from scalesync.model.records import Outgoing
from scalesync.model.rows import RowOutcome, RowState
from scalesync.model.targets import RequestClass

# Creates that something else than the platform answered, and none that it took: none will get through.
STRAYS = 3
# The platform took the record, or had taken it before: not everything is refused.
_ACCEPTED = frozenset({RowState.CREATED, RowState.ADOPTED, RowState.CONFLICT})
# What came of a record got through, whatever it is; one that was given up for now did not.
FINAL = _ACCEPTED | {RowState.FAILED}


class Journeys:
    """Where each record is, how many ended, and what ended the run.

    request: the class of the requests.
    on_stop: called once, with the first reason to stop.
    sending: records in a request, by key.
    guard: holds the first refusals back.
    """

    def __init__(self, outbox: Outbox, limits: EngineLimits, waits: Waits, request: RequestClass) -> None:
        self.tally = Tally()
        self.queue = WorkQueue()
        self.guard: FirstRefusals[tuple[Outgoing, Outcome]] = FirstRefusals()
        self.sending: dict[str, Outgoing] = {}
        self.stopped: ScalesyncError | None = None
        self.on_stop: Callable[[], None] | None = None
        self.rng = random.Random()
        self.patience = Patience(waits, self.tally, limits.stall_s, self._is_busy, self.stop, request=request)
        self._outbox = outbox
        self._limits = limits
        self._waits = waits
        self._strays = 0

    def stop(self, reason: ScalesyncError) -> None:
        """No new request starts from here on; the first reason stands. `on_stop` is called once."""
        if self.stopped is None:
            self.stopped = reason
            self.queue.close()
            if self.on_stop is not None:
                self.on_stop()

    def flush(self) -> None:
        """Only held refusals are left: they are decided."""
        self._release(self.guard.flush())

    def put_back(self, records: Collection[Outgoing]) -> None:
        """These were not sent: they are pending."""
        for record in records:
            self._outbox.put(RowOutcome(record.key, RowState.PENDING, attempts=record.attempts, content=record.content))

    # --- requests ------------------------------------------------------------------------------

    def leave(self, records: Collection[Outgoing]) -> None:
        """A request with these records is about to leave."""
        self.sending.update((record.key, record) for record in records)
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
            del self.sending[record.key]

    # --- answers -------------------------------------------------------------------------------

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
        if not self.guard.is_open:
            self._release(self.guard.succeeded())

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
                self._release(self.guard.succeeded())
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
        tally, nouns = self.tally, self._limits.nouns
        if self._strays >= STRAYS and tally.settled == tally.exhausted and not self.guard.is_open:
            self.stop(
                StopRun(
                    f"none of the first {self._strays} {nouns.call} calls reached the platform: {outcome.message};"
                    " then run the same command"
                )
            )

    def _refused(self, record: Outgoing, outcome: Outcome) -> None:
        self._release(self.guard.refused((record, outcome), outcome.message, record.key))
        held, nouns = len(self.guard.held), self._limits.nouns
        if self.guard.tripped:
            self.stop(
                AllRefused(
                    f"the first {held} {nouns.items} were all refused with one message: {outcome.message}; they stay"
                    f" pending: correct {nouns.remedy} and run the same command"
                )
            )
        elif self._too_many_failed(held):
            self._release(self.guard.flush())
        if self.queue.outstanding == len(self.guard.held):
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

    def end(self, outcome: RowOutcome) -> None:
        """A record's journey is over for this run."""
        tally = self.tally
        tally.settled += 1
        match outcome.state:
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
        if outcome.state in FINAL:
            self._waits.passes += 1
        self._outbox.put(outcome)
        self.queue.ended()
        if outcome.state in _ACCEPTED:
            self._release(self.guard.succeeded())
        if self.queue.outstanding == len(self.guard.held):
            self.queue.signal()  # only held refusals are left: `drain` lets them go
        if self._too_many_failed(0):
            failed = f"{tally.failed} of {tally.settled} {self._limits.nouns.items} failed"
            self.stop(BudgetUsed(f"stopped by --max-failures: {failed}"))

    def _too_many_failed(self, held: int) -> bool:
        limit = self._limits.max_failures
        return limit is not None and limit(self.tally.failed + held, self.tally.settled + held)

    def _is_busy(self) -> bool:
        return self.queue.outstanding > 0

    def delay_s(self, attempt: int) -> float:
        """Full jitter, growing with the attempts of this record."""
        policy = self._limits.retry
        return backoff_s(attempt, base_s=policy.base_s, cap_s=policy.cap_s, rng=self.rng)
