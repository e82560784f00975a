"""One run of one import job: what feeds it, what it sends, how it ends.

sources --loads--> feeder --> intake --> dispatcher --> outbox --> ledger.record
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial

import anyio

from scalesync.engine.dispatcher import Dispatcher, keeps_chunks
from scalesync.engine.limits import EngineLimits
from scalesync.engine.waits import LONG_S
from scalesync.errors import ConfigError, ScalesyncError, StopRun
from scalesync.events import Observer, Progress, duration
from scalesync.flows.imports import finish
from scalesync.flows.imports.conflicts import ConflictPolicy
from scalesync.flows.imports.duplicates import find_duplicates
from scalesync.flows.imports.guards.preflight import note_other_bodies
from scalesync.flows.imports.intake import Intake, PlacedOutbox
from scalesync.flows.imports.named import REST, Named
from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.imports.reading.feeder import Feeder
from scalesync.flows.runtime.rate_meter import RateMeter
from scalesync.flows.runtime.run import guarded, heartbeat, leaves, report, save_limits, taking_signals
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.records import JsonObject
from scalesync.model.summaries import ImportSummary
from scalesync.model.targets import RequestClass, Target
from scalesync.ports.import_ledger import ImportLedger


class ImportRun:
    """One run of one import job, from the opened job to its summary."""

    def __init__(
        self,
        plan: ImportPlan,
        connection: Connection,
        job: ImportLedger,
        observer: Observer,
        limits: EngineLimits,
        *,
        bound: frozenset[str],
        named: Named | None = None,
        free: int | None = None,
    ) -> None:
        """bound: the sources to which the job's name was bound before.

        named: the records of a run that sends only some.
        free: how many tasks the run may create without a person's yes; None for any number.
        """
        self._plan = plan
        self._connection = connection
        self._job = job
        self._observer = observer
        self._named = named
        self._meter = RateMeter()
        self._outbox = PlacedOutbox(job.record)
        creator, commands = connection.platform.creator, connection.platform.commands
        connection.gate.holds = job.holds_lease
        self._log = job.chunks if keeps_chunks(creator, commands) else None
        options = plan.options
        policy = ConflictPolicy(options.on_conflict, options.reclaim, creator.release, job.event)
        self._dispatcher = Dispatcher(
            *(creator, connection.gate, self._outbox, policy, replace(limits, max_failures=plan.max_failures)),
            waits=connection.waits,
            commands=commands,
            log=self._log,
        )
        self._dispatcher.patience.on_landing = self._tell_landing
        self._told_landing = False
        self._feeder = Feeder(plan, connection, job, observer, bound=bound, named=named)
        self._reading = self._feeder.reading
        self._intake = Intake(
            *(plan, connection, job, observer, self._dispatcher),
            outbox=self._outbox,
            reading=self._reading,
            checkpoints=self._feeder.checkpoints,
            named=named,
            free=free,
        )
        self._several = 0  # records that have more than one task
        self._finalizing = anyio.CancelScope()
        if named is not None:
            job.touch_few()

    async def go(self, target: Target, *, signals: bool) -> ImportSummary:
        """Do the work, end the run in the ledger, and return the summary."""
        reason: ScalesyncError | None = None
        open_batches: list[str] = []
        try:
            with taking_signals(self._interrupt, wanted=signals):
                reason = await self._serve()
                if reason is None and self._plan.options.finalize:
                    with self._finalizing:
                        open_batches = await self._finalize()
                    reason = self._dispatcher.stopped if self._finalizing.cancelled_caught else None
        except StopRun as stop:
            reason = stop
        except BaseException as error:
            await self._abandon(error)
            raise
        with anyio.CancelScope(shield=True):
            await self._outbox.flush()
        return await self._end(target, reason, open_batches)

    def _interrupt(self, reason: ScalesyncError) -> None:
        self._dispatcher.stop(reason)
        self._finalizing.cancel()

    async def _serve(self) -> ScalesyncError | None:
        """Run the engine until everything is finished or something stops it. Returns the error that stopped it."""
        engine = self._dispatcher
        await self._intake.recall()
        async with anyio.create_task_group() as group:
            group.start_soon(guarded, engine.run, engine.stop)
            group.start_soon(guarded, self._outbox.run, engine.stop)
            learned = partial(save_limits, self._job, self._connection.pace)
            group.start_soon(guarded, lambda: heartbeat(self._job.heartbeat, learned), engine.stop)
            group.start_soon(report, self._observer, self._progress)
            try:
                with anyio.CancelScope() as feeding:
                    engine.journeys.on_stop = feeding.cancel
                    await self._work()
            except ScalesyncError as error:
                engine.stop(error)
            if engine.stopped is not None:
                self._connection.gate.close()
                await engine.shut()
            group.cancel_scope.cancel()
        self._observer.progress(self._progress())
        return engine.stopped

    async def _work(self) -> None:
        """Feed the engine, wait for the end of all its work, and look up what needs a last look."""
        engine = self._dispatcher
        await engine.recall()
        await self._feeder.feed(self._intake.take)
        await engine.drain()
        if self._connection.transport.counters.attempts[RequestClass.CREATE]:
            await self._intake.end()
        if engine.repeated:
            seen = engine.repeated, self._connection, self._job, self._observer
            self._several = await find_duplicates(*seen)
        if self._named is not None:
            await self._outbox.flush()
            await self._feeder.gone.look_up(self._named.back)

    def _tell_landing(self, wait_s: float) -> None:
        """Report once why nothing seems to happen at the end of a run."""
        if not self._told_landing and wait_s >= LONG_S:
            self._told_landing = True
            self._observer.note(
                f"some requests were not answered and may still take effect: their records wait {duration(wait_s)},"
                " and are sent again only if there is no task then"
            )

    def _progress(self) -> Progress:
        tally, reading = self._dispatcher.tally, self._reading
        size, taken, waiting = self._plan.total_bytes, self._feeder.taken, self._dispatcher.queue.outstanding
        settled = tally.settled - tally.exhausted
        done, total = max(0, taken - waiting), reading.total(size, taken)
        if self._named is not None:  # how much of the input was looked through for them says little
            done, total = settled, self._named.wanted
        return self._connection.watch.snapshot(
            "import",
            self._meter,
            done,
            moved=settled,
            total=None if self._named is None else self._named.wanted,
            share=None if self._named is not None else reading.share(size, taken, waiting),
            left=None if total is None else total - done,
            failed=tally.failed + tally.conflicts + reading.invalid,
        )

    # --- the end -------------------------------------------------------------------------------

    async def _finalize(self) -> list[str]:
        await self._outbox.flush()
        batches = self._intake.batches
        if self._feeder.rest():
            return [f"{name} stays open: the rest of the input is still to come" for name in batches.projects]
        return await finish.finalize(self._plan, self._job, batches, self._observer, self._reading.invalid_in)

    async def _abandon(self, error: BaseException) -> None:
        """Write everything known and release the lease, whatever ended the run."""
        # The messages of other errors may hold anything, including secrets.
        cause = next(leaves(error)) if isinstance(error, BaseExceptionGroup) else error
        words = str(error) if isinstance(error, ScalesyncError) else f"ended by {type(cause).__name__}"
        with anyio.CancelScope(shield=True), suppress(ScalesyncError):
            await self._outbox.flush()
            await self._job.finish(complete=False, exit_code=3, figures={}, message=words)

    async def _end(self, target: Target, reason: ScalesyncError | None, open_batches: list[str]) -> ImportSummary:
        await self._intake.remember()
        counts = await self._job.counts()
        attempts = self._connection.transport.counters.attempts
        if isinstance(reason, ConfigError) and attempts[RequestClass.CREATE]:
            # For example, a source broke off. Sent records stay, and the same command resumes once it is fixed.
            reason = StopRun(str(reason))
        await self._tell_kept()
        vanished = await self._job.gone_rows.waiting() if counts["gone"] and counts["pending"] else 0
        ending = finish.exit_status(
            *(counts, self._dispatcher.tally, reason, open_batches),
            whole=not self._feeder.rest() or (reason is not None and self._feeder.is_in()),
            rest=finish.REST if self._named is None else REST,
            unclear=self._reading.unclear,
            vanished=vanished,
            several=self._several,
        )
        if self._named is not None and not self._named.read:
            ending = replace(ending, complete=False)  # the import has not read the new records of the sources yet
        figures = self._figures()
        if self._log is not None:
            await self._log.end()
        await save_limits(self._job, self._connection.pace)
        await self._job.finish(
            complete=ending.complete, exit_code=ending.exit_code, figures=figures, message=ending.message
        )
        return finish.summary(self._job.name, target, counts, figures, ending)

    async def _tell_kept(self) -> None:
        """Report tasks that stay as they are although their records, or the bodies of this run, differ from them."""
        if adopted := self._intake.adopted:
            which = "record differs from its task" if adopted == 1 else "records differ from their tasks"
            self._observer.note(
                f"{adopted:,} {which}: --on-conflict adopt accepts that, and changes no task; scalesync verify"
                " counts them"
            )
        if self._intake.beside and self._named is None:
            await note_other_bodies(self._job, self._plan, self._observer)

    def _figures(self) -> JsonObject:
        tally, seconds = self._dispatcher.tally, self._meter.seconds
        return {
            **self._connection.traffic(),
            "retries": tally.retries + self._connection.call.retries,
            "seconds": round(seconds, 3),
            "tasks_per_second": round(tally.created / seconds, 1) if seconds > 0 else 0.0,
            "peak_in_flight": self._connection.gate.peak_in_flight,
        }
