"""One run of one `apply`: the changes that wait go through the engine, and how the run ends.

ledger.waiting --pages--> intend --> dispatcher --> outbox --> ledger.record
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import anyio

from scalesync.engine.dispatcher import Dispatcher
from scalesync.engine.limits import EngineLimits, Nouns
from scalesync.engine.outbox import Outbox
from scalesync.errors import ScalesyncError, StopRun
from scalesync.events import Observer, Progress
from scalesync.flows.changes.collecting import Collected
from scalesync.flows.changes.ending import already, ending, summary
from scalesync.flows.changes.operation import UNSEEN, ChangeOperation
from scalesync.flows.runtime.rate_meter import RateMeter
from scalesync.flows.runtime.run import guarded, heartbeat, leaves, report, save_limits, taking_signals
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.changes import Change, ChangeOutcome, ChangeState, StoredChange
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.rows import RowOutcome, RowState
from scalesync.model.summaries import ChangeSummary
from scalesync.model.targets import RequestClass, Target
from scalesync.ports.change_ledger import ChangeLedger
from scalesync.ports.changes import ChangeSpec
from scalesync.ports.operation import Repeat

LOAD = 512  # changes between two writes of intents; less where the rate is low, so a kill leaves few of them in doubt
LEAST = 16
ROOM_S = 0.01  # between two looks at how much the engine has not sent yet
_STATES = {
    RowState.PENDING: ChangeState.PENDING,
    RowState.SENDING: ChangeState.SENDING,
    RowState.CREATED: ChangeState.APPLIED,
    RowState.ADOPTED: ChangeState.UNCHANGED,
    RowState.FAILED: ChangeState.FAILED,
}


def nouns_of(spec: ChangeSpec) -> Nouns:
    """What messages of the engine call the items and requests."""
    plural = {"batch": "batches"}.get(spec.subject, f"{spec.subject}s")
    return Nouns(plural, spec.name, "the arguments or the targets")


class ChangeRun:
    """Sends what waits in an opened job, and ends the run."""

    def __init__(
        self,
        spec: ChangeSpec,
        connection: Connection,
        job: ChangeLedger,
        observer: Observer,
        limits: EngineLimits,
    ) -> None:
        changer = connection.platform.changer
        assert changer is not None, "offers say whether the platform changes tasks"
        self._spec = spec
        self._connection = connection
        self._job = job
        self._observer = observer
        self._meter = RateMeter()
        self._outbox = Outbox(self._record)
        self._operation = ChangeOperation(spec, changer, self._witness)
        self._total = 0
        connection.gate.holds = job.holds_lease
        self._dispatcher = Dispatcher(
            *(self._operation, connection.gate, self._outbox, self._operation.resolve),
            replace(limits, nouns=nouns_of(spec)),
            waits=connection.waits,
        )

    async def go(self, collected: Collected, target: Target, *, signals: bool) -> ChangeSummary:
        """Send what waits, end the run in the ledger, and return the summary."""
        reason: ScalesyncError | None = None
        counts = await self._job.counts()
        self._total = counts[ChangeState.PENDING] + counts[ChangeState.SENDING]
        try:
            with taking_signals(self._dispatcher.stop, wanted=signals):
                reason = await self._serve()
        except StopRun as stop:
            reason = stop
        except BaseException as error:
            await self._abandon(error)
            raise
        with anyio.CancelScope(shield=True):
            await self._outbox.flush()
        await save_limits(self._job, self._connection.pace)
        return await self._end(collected, target, reason)

    async def _end(self, collected: Collected, target: Target, reason: ScalesyncError | None) -> ChangeSummary:
        counts, figures = await self._job.counts(), self._figures()
        end = ending(counts, collected, reason, self._dispatcher.tally.last_trouble, nouns_of(self._spec).items)
        if not (reason or end.message or self._total or end.exit_code):
            end = end._replace(message=already(counts[ChangeState.APPLIED], nouns_of(self._spec).items))
        await self._job.finish(complete=end.complete, exit_code=end.exit_code, figures=figures, message=end.message)
        return summary(self._job.name, target, self._spec.name, counts, collected, figures=figures, end=end)

    async def _serve(self) -> ScalesyncError | None:
        engine = self._dispatcher
        async with anyio.create_task_group() as group:
            group.start_soon(guarded, engine.run, engine.stop)
            group.start_soon(guarded, self._outbox.run, engine.stop)
            learned = partial(save_limits, self._job, self._connection.pace)
            group.start_soon(guarded, lambda: heartbeat(self._job.heartbeat, learned), engine.stop)
            group.start_soon(report, self._observer, self._progress)
            try:
                with anyio.CancelScope() as feeding:
                    engine.journeys.on_stop = feeding.cancel
                    await self._feed()
                    await engine.drain()
            except ScalesyncError as error:
                engine.stop(error)
            if engine.stopped is not None:
                self._connection.gate.close()
                await engine.shut()
            group.cancel_scope.cancel()
        self._observer.progress(self._progress())
        return engine.stopped

    async def _feed(self) -> None:
        after = ""
        while page := await self._job.waiting(after, self._load()):
            after = page[-1].change.ref
            new = [stored for stored in page if stored.state is ChangeState.PENDING]
            doubts = [stored for stored in page if stored.state is ChangeState.SENDING]
            self._operation.expect([stored.change for stored in page])
            with anyio.CancelScope(shield=True):  # what is durable as sent must reach the engine, which takes it back
                await self._job.intend([stored.change.ref for stored in new])
            await self._dispatcher.put(_outgoing(new), _outgoing(doubts))
            await self._room()

    async def _room(self) -> None:
        """Wait until the engine has sent nearly all: a kill leaves in doubt what is marked as sent and was not."""
        while len(self._dispatcher.queue.ready) > self._load() // 2:
            await anyio.sleep(ROOM_S)

    def _load(self) -> int:
        rate = self._connection.pace.rate(RequestClass.MUTATE)
        if self._spec.repeat is not Repeat.IDEMPOTENT:
            return LEAST  # a kill must leave few in doubt, where a doubt may stay one
        return LOAD if rate is None else max(LEAST, min(LOAD, int(rate)))

    async def _witness(self) -> Change | None:
        made = await self._job.pages({ChangeState.APPLIED}, "", 1)
        return made[0].change if made else None

    async def _record(self, outcomes: Sequence[RowOutcome]) -> None:
        await self._job.record([self._told(outcome) for outcome in outcomes])
        self._operation.forget([outcome.key for outcome in outcomes])

    def _told(self, outcome: RowOutcome) -> ChangeOutcome:
        state = _STATES[outcome.state]
        if state is ChangeState.SENDING and (outcome.event == UNSEEN or self._spec.repeat is Repeat.ONCE):
            state = ChangeState.UNCLEAR
        return ChangeOutcome(outcome.key, state, outcome.status, outcome.reason, outcome.attempts, event=outcome.event)

    def _progress(self) -> Progress:
        tally = self._dispatcher.tally
        settled = tally.settled - tally.exhausted
        return self._connection.watch.snapshot(
            f"apply {self._spec.name}",
            self._meter,
            settled,
            total=self._total,
            left=self._total - settled,
            failed=tally.failed,
        )

    async def _abandon(self, error: BaseException) -> None:
        """Write everything known and release the lease, whatever ended the run."""
        cause = next(leaves(error)) if isinstance(error, BaseExceptionGroup) else error
        words = str(error) if isinstance(error, ScalesyncError) else f"ended by {type(cause).__name__}"
        with anyio.CancelScope(shield=True), suppress(ScalesyncError):
            await self._outbox.flush()
            await self._job.finish(complete=False, exit_code=3, figures={}, message=words)

    def _figures(self) -> JsonObject:
        tally, seconds = self._dispatcher.tally, self._meter.seconds
        return {
            **self._connection.traffic(),
            "retries": tally.retries + self._connection.call.retries,
            "seconds": round(seconds, 3),
            "tasks_per_second": round(tally.created / seconds, 1) if seconds > 0 else 0.0,
            "peak_in_flight": self._connection.gate.peak_in_flight,
        }


def _outgoing(changes: Sequence[StoredChange]) -> list[Outgoing]:
    return [
        Outgoing(
            key=stored.change.ref,
            content=b"",
            body=b"",
            source=stored.change.source,
            line=stored.change.line,
        )
        for stored in changes
    ]
