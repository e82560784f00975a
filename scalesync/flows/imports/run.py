"""Import: every record of the sources becomes exactly one task, whatever happens on the way.

sources --loads---> prepare --> batches --> ledger.admit --> dispatcher --> outbox --> ledger.record
                      |                        |  (durable intent)
                      +-- others --------------+
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence, Set
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import BinaryIO

import anyio

from scalesync.config.settings import Settings
from scalesync.engine.dispatcher import Dispatcher, keeps_chunks
from scalesync.engine.limits import EngineLimits
from scalesync.engine.outbox import Outbox
from scalesync.engine.waits import LONG_S
from scalesync.errors import BudgetUsed, ConfigError, ScalesyncError, StopRun
from scalesync.events import Observer, Progress, duration
from scalesync.flows.imports import finish
from scalesync.flows.imports.as_begun import as_begun
from scalesync.flows.imports.batches import BatchKeeper
from scalesync.flows.imports.conflicts import ConflictPolicy
from scalesync.flows.imports.dry_run import dry_run
from scalesync.flows.imports.duplicates import find_duplicates
from scalesync.flows.imports.guards.canary import Canary
from scalesync.flows.imports.guards.limits import Bounds
from scalesync.flows.imports.guards.preflight import check_target, note_changed_bodies, note_other_bodies
from scalesync.flows.imports.guards.spending import Confirm, guard_spending
from scalesync.flows.imports.named import REST, Named
from scalesync.flows.imports.plan import ImportPlan, make_plan
from scalesync.flows.imports.reading.checkpoints import SourceCheckpoints
from scalesync.flows.imports.reading.first_look import first_look
from scalesync.flows.imports.reading.prepare import Preparer, read_loads
from scalesync.flows.imports.reading.read_progress import Reading
from scalesync.flows.imports.reading.source_changes import changed_meanwhile, nothing_left, vanished
from scalesync.flows.imports.vanished import resolve_vanished
from scalesync.flows.runtime.identity import find_import, import_job, job_target, sources_of
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.options import ImportOptions
from scalesync.flows.runtime.rate_meter import RateMeter
from scalesync.flows.runtime.run import guarded, heartbeat, leaves, report, save_limits, taking_signals
from scalesync.flows.runtime.setup.offers import require
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.flows.runtime.threads import in_daemon
from scalesync.flows.runtime.wiring import Connection, connect
from scalesync.home import Home
from scalesync.model.jobs import SourceCursor, SourceSplit, StoredJob
from scalesync.model.records import JsonObject, Load, Outgoing
from scalesync.model.rows import OtherRecord, RowOutcome, RowState, Verb
from scalesync.model.summaries import ImportSummary
from scalesync.model.targets import RequestClass, Target
from scalesync.ports.import_ledger import ImportLedger
from scalesync.ports.operation import Repeat
from scalesync.sources.blocks import Loads
from scalesync.sources.source_file import SourceFile
from scalesync.text import count


async def run_import(
    options: ImportOptions,
    settings: Settings,
    observer: Observer,
    *,
    limits: EngineLimits | None = None,
    stored: StoredJob | None = None,
    signals: bool = True,
    confirm: Confirm | None = None,
    given: BinaryIO | None = None,
) -> ImportSummary:
    """Import as asked.

    confirm: asks the person at the terminal.
    given: read in place of standard input.
    stored: send what waits of this job of the ledger, and nothing that the ledger does not know (retry, verify --fix).
    Raises ConfigError before anything is sent, StopRun if stopped before the job began; a job that stops later returns
        its summary with exit_code 3 and the reason as message. LeaseLost is raised at any time: that run may write
        nothing more, not even its own end.
    """
    limits = limits or EngineLimits()
    home = Home(settings.ledger.parent)
    platform = spec_of(settings.platform)
    require(platform, "import")
    if stored is None:
        options = await as_begun(options, settings, platform, observer.note)
    plan = await in_daemon(lambda: make_plan(options, platform, home, given))
    for note in plan.notes():
        observer.note(note)
    spec = import_job(options, job_target(settings.target, platform, options.project), plan.template, home)
    if stored is not None:
        spec = replace(spec, name=stored.name, target=stored.target, identity=stored.identity, settings=stored.settings)
    if options.dry_run:
        await first_look(plan, platform.types, observer)
        return await dry_run(plan, spec, settings.way, observer, limits=limits)
    ledger = open_ledger(settings.ledger, note=observer.note)
    try:
        if stored is None:
            found, spec = await find_import(ledger, spec, options)
        else:
            found = await ledger.find_job(spec.target, spec.name)
        named = None if stored is None else await Named.of(ledger, stored, plan)
        if (
            named is None
            and found is not None
            and (counts := await nothing_left(ledger, found, spec, plan)) is not None
        ):
            return finish.finished_already(found.name, counts, spec.target)
        if stored is None:
            await first_look(plan, platform.types, observer, again=found is not None)
            note_changed_bodies(found, spec, {} if found is None else await ledger.counts(found), observer)
        memory = await ledger.learned_limits(spec.target)
        async with connect(
            settings.way,
            observer,
            task_type=options.type,
            namespace=spec.target.namespace,
            limits=limits,
            memory=memory,
        ) as connection:
            await check_target(plan, connection, observer)
            free = await guard_spending(plan, ledger, spec.target, confirm) if named is None else None
            repeat = connection.platform.creator.repeat
            job = await ledger.open_import(spec, alone=repeat is not Repeat.IDEMPOTENT)
            bound = frozenset() if found is None else sources_of(found, home)
            run = ImportRun(plan, connection, job, observer, limits, bound=bound, named=named, free=free)
            return await run.go(spec.target, signals=signals)
    finally:
        ledger.close()


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
        self._plan = plan
        self._bound = bound
        self._connection = connection
        self._job = job
        self._observer = observer
        self._meter = RateMeter()
        options = plan.options
        self._reading = Reading(limit=options.limit)
        policy = ConflictPolicy(options.on_conflict, options.reclaim, connection.platform.creator.release, job.event)
        self._outbox = Outbox(self._record)
        self._inside: dict[str, tuple[str, int]] = {}  # of records of folders that are under way, by key
        limits = replace(limits, max_failures=plan.max_failures)
        creator, commands = connection.platform.creator, connection.platform.commands
        self._repeat = creator.repeat
        connection.gate.holds = job.holds_lease
        self._log = job.chunks if keeps_chunks(creator, commands) else None
        self._dispatcher = Dispatcher(
            *(creator, connection.gate, self._outbox, policy, limits),
            waits=connection.waits,
            commands=commands,
            log=self._log,
        )
        self._dispatcher.patience.on_landing = self._tell_landing
        self._told_landing = False
        self._several = 0  # records that have more than one task
        self._batches = BatchKeeper(connection.platform.containers, connection.call)
        most = None if named is not None else options.max_invalid
        self._preparer = Preparer(plan.builder, job.peek, options.limit, most_invalid=most)
        self._bounds = Bounds(job.known, canary=options.canary, max_new=options.max_new, free=free)
        self._checkpoints = SourceCheckpoints(job.checkpoints, plan.shaping, trusted=plan.trusts_ledger)
        self._places: Mapping[int, int] = {}  # of the sources in the plan, by number
        self._changed: list[str] = []  # sources that changed after they were opened
        self._learned: frozenset[str] = frozenset()
        self._beside = 0  # records that share the row of another job
        self._adopted = 0  # records that accept a task which was made for another content, since this run
        self._finalizing = anyio.CancelScope()
        self._named = named
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

    async def _finalize(self) -> list[str]:
        await self._outbox.flush()
        if self._rest():
            return [f"{name} stays open: the rest of the input is still to come" for name in self._batches.projects]
        invalid = self._reading.invalid_in
        return await finish.finalize(self._plan, self._job, self._batches, self._observer, invalid)

    async def _abandon(self, error: BaseException) -> None:
        """Write everything known and release the lease, whatever ended the run."""
        # The messages of other errors may hold anything, including secrets.
        cause = next(leaves(error)) if isinstance(error, BaseExceptionGroup) else error
        words = str(error) if isinstance(error, ScalesyncError) else f"ended by {type(cause).__name__}"
        with anyio.CancelScope(shield=True), suppress(ScalesyncError):
            await self._outbox.flush()
            await self._job.finish(complete=False, exit_code=3, figures={}, message=words)

    async def _serve(self) -> ScalesyncError | None:
        """Run the engine until everything is finished or something stops it. Returns the error that stopped it."""
        engine = self._dispatcher
        await self._recall()
        async with anyio.create_task_group() as group:
            group.start_soon(guarded, engine.run, engine.stop)
            group.start_soon(guarded, self._outbox.run, engine.stop)
            learned = partial(save_limits, self._job, self._connection.pace)
            group.start_soon(guarded, lambda: heartbeat(self._job.heartbeat, learned), engine.stop)
            group.start_soon(report, self._observer, self._progress)
            try:
                with anyio.CancelScope() as feeding:
                    engine.journeys.on_stop = feeding.cancel
                    await engine.recall()
                    await self._feed()
                    await engine.drain()
                    if engine.repeated:
                        seen = engine.repeated, self._connection, self._job, self._observer
                        self._several = await find_duplicates(*seen)
                    if self._named is not None:
                        await self._outbox.flush()
                        await self._look_up_gone(self._named.back)
            except ScalesyncError as error:
                engine.stop(error)
            if engine.stopped is not None:
                self._connection.gate.close()
                await engine.shut()
            group.cancel_scope.cancel()
        self._observer.progress(self._progress())
        return engine.stopped

    def _tell_landing(self, wait_s: float) -> None:
        """Report once why nothing seems to happen at the end of a run."""
        if not self._told_landing and wait_s >= LONG_S:
            self._told_landing = True
            self._observer.note(
                f"some requests were not answered and may still take effect: their records wait {duration(wait_s)},"
                " and are sent again only if there is no task then"
            )

    # --- reading and admitting -----------------------------------------------------------------

    async def _feed(self) -> None:
        numbers = await self._job.register_sources(self._plan.splits())
        gone, among = await self._about(frozenset(numbers))
        self._job.reads(among)
        self._places = {number: place for place, number in enumerate(numbers)}
        stretches = await self._checkpoints.stretches(numbers, self._plan.sources)
        self._reading.stretches = len(stretches)
        for some in stretches:
            async with aclosing(await self._open(some)) as loads:
                async for load in loads:
                    await self._read(load)
                    if self._full:
                        return
        self._reading.whole = True
        if self._named is not None:
            await self._miss(frozenset(numbers))
            return
        if self._changed:
            self._observer.note(changed_meanwhile(self._changed))
        await self._take_leave(gone, among)

    async def _about(self, numbers: Set[int]) -> tuple[Sequence[SourceSplit], Set[int] | None]:
        """The splits that no longer exist, and the splits of this run; None for all.

        numbers: the splits that it reads.

        A source that only another run named stays as it is, because its current content is unknown.
        """
        others = await self._job.source_splits(but=numbers)
        gone = vanished(others, (), self._plan.named, self._bound)
        left = {split.number for split in others if not split.is_gone} - {split.number for split in gone}
        return gone, {*numbers, *(split.number for split in gone)} if left else None

    async def _take_leave(self, gone: Sequence[SourceSplit], among: Set[int] | None) -> None:
        """Flag records that are no longer in any source. Call it after all named sources were read."""
        await self._job.lose_sources([split.number for split in gone])
        await self._job.drop_stale_other_records(among)
        if among is not None:
            await self._retire(among)
        if await self._job.mark_gone(self._reading.homes, self._preparer.seen.__contains__, among):
            await self._look_up_gone()

    async def _retire(self, among: Set[int]) -> None:
        """Forget moved sources of earlier runs: they no longer exist, and this run met all their records."""
        others = [split for split in await self._job.source_splits(but=among) if not split.is_gone]
        missing = {split.number: split for split in others if not self._plan.is_there(split)}
        for number in await self._job.retire_sources(missing, among):
            name = missing[number].spec.get("name", "")
            self._observer.note(f"{name}: no longer there, and all its records are in the sources of this run now")

    async def _miss(self, numbers: Set[int]) -> None:
        """A run that names records read its sources to the end: those that it did not meet there are gone.

        numbers: what it read. A source that is missing today, or was only named another time, keeps its records.
        """
        if self._named is None or not self._named.missing:
            return
        before = (await self._job.counts())["gone"]
        gone = await self._job.mark_gone(self._reading.homes, self._preparer.seen.__contains__, numbers) - before
        if gone > 0:
            no_longer = (
                "is no longer in any source and counts" if gone == 1 else "are no longer in any source and count"
            )
            self._observer.note(f"{count(gone, 'record')} {no_longer} as gone")

    async def _look_up_gone(self, back: Set[str] = frozenset()) -> None:
        """Look up records that are no longer in any source and may have been sent; the engine does not know them."""
        self._reading.unclear = await resolve_vanished(self._job.gone_rows, self._connection, back)

    async def _open(self, numbers: Sequence[int]) -> AsyncGenerator[Load, None]:
        """The loads of some sources. The part of the first one that an earlier run finished stays unread."""
        known = await self._checkpoints.find(numbers[0], self._preparer.seen)
        if known is not None:
            self._preparer.taken += known.records
            self._preparer.invalid += known.invalid
            self._reading.homes += known.homes
            self._reading.invalid += known.invalid
        lines = None if known is None else known.lines
        opened = (self._source(one).opened(one, lines if one == numbers[0] else None) for one in numbers)
        size = self._plan.load_records(self._connection.pace, self._connection.platform.creator.most)
        return read_loads(Loads(opened, size), self._reading.ended)

    def _source(self, number: int) -> SourceFile:
        return self._plan.sources[self._places[number]]

    async def _read(self, load: Load) -> None:
        """Give the engine a load, then write the progress in its sources to the ledger."""
        whole = await self._take(load)
        for block in load:
            if block.last:
                self._reading.bytes_before += self._source(block.source).size or 0
        self._reading.came(0 if load[-1].last else load[-1].consumed, self._preparer.taken)
        self._expect()
        if self._named is None:
            await self._keep(load[:whole])

    async def _keep(self, load: Load) -> None:
        """Write the progress in the sources of these blocks, in one commit. Their records are in the ledger."""
        ended: list[tuple[int, JsonObject, SourceCursor]] = []
        for block in load:
            if not block.last:
                cursor = self._checkpoints.note(block)
                if cursor is not None:
                    await self._job.checkpoints.keep(block.source, cursor)
                continue
            facts = self._plan.facts(self._places[block.source])
            ended.append((block.source, facts, self._checkpoints.end(block)))
            source = self._source(block.source)
            if source.has_changed():
                self._changed.append(source.name)
        await self._job.close_sources(ended)

    @property
    def _full(self) -> bool:
        """Whether to leave the rest of the input."""
        return self._preparer.full or (self._named is not None and self._named.done)

    def _rest(self) -> bool:
        """Whether the input holds more than this run should take."""
        named, whole = self._named, self._reading.whole
        return not whole if named is None else named.rest(whole=whole)

    def _is_in(self) -> bool:
        """Whether all of the input is in the ledger although the run stopped while it read."""
        preparer = self._preparer
        return self._reading.is_in and not preparer.full and not preparer.spoiled

    def _expect(self) -> None:
        expected = self._reading.expected(self._plan.total_bytes, self._preparer.taken)
        if expected is not None:
            self._preparer.seen.expect(expected)

    async def _take(self, load: Load) -> int:
        """Prepare a load and give it to the engine, in pieces if --canary or --max-new cut it.

        Returns how many of its blocks were taken whole.
        """
        options = self._plan.options
        self._reading.open = True
        prepared = await self._preparer.prepare(load)
        self._reading.count_invalid(prepared.invalid)
        if self._named is not None:
            prepared.records, prepared.other_records = await self._named.pick(prepared.records), []
        known = len(prepared.other_records)
        rest = await self._batches.admit(prepared)
        other_records: Sequence[OtherRecord] = prepared.other_records
        self._reading.count_invalid(prepared.other_records[known:])
        while rest or other_records:
            records, rest = await self._bounds.cut(rest)
            await self._admit(records, other_records, last=not rest)
            other_records = ()
            if self._bounds.canary_is_out():
                await self._watch_canary()
            if rest and self._bounds.used_up:
                await self._dispatcher.drain()
                raise BudgetUsed(self._bounds.stopped)
        self._reading.open = False
        await self._remember()
        if self._named is None and options.max_invalid is not None and self._reading.invalid > options.max_invalid:
            raise BudgetUsed(f"stopped by --max-invalid: {count(self._reading.invalid, 'record')} cannot be used")
        return prepared.whole

    async def _watch_canary(self) -> None:
        async def recorded() -> None:
            await self._dispatcher.drain()
            await self._outbox.flush()

        canary = Canary(self._connection, self._job.checks, self._dispatcher.tally, self._observer.note)
        await canary.judge(self._bounds.watched, recorded, wait_s=self._plan.options.canary_wait)
        self._bounds.watched.clear()

    async def _admit(self, records: Sequence[Outgoing], other_records: Sequence[OtherRecord], *, last: bool) -> None:
        """Make the intent durable, then give the records to the engine. A stop in between loses none.

        last: whether these are the last records of the load.
        """
        now_ms = self._connection.platform.server_now_ms
        with anyio.CancelScope(shield=True):
            admissions = await self._job.admit(
                records, other_records, now_ms=now_ms, recheck=self._plan.recheck, adopt=self._plan.adopts
            )
        self._adopted += sum(admission.adopts for admission in admissions)
        pairs = list(zip(records, admissions, strict=True))
        homes = [(record.source, record.line) for record, admission in pairs if admission.home]
        self._reading.open = not last
        self._reading.homes += len(homes)
        self._beside += len(pairs) - len(homes)
        self._checkpoints.met(homes)
        self._inside.update(
            (record.key, record.inside)
            for record, admission in pairs
            if record.inside is not None and admission.verb is not Verb.SKIP
        )
        send = [record for record, admission in pairs if admission.verb is Verb.SEND]
        look_up = [record for record, admission in pairs if admission.verb is Verb.LOOK_UP]
        if self._repeat is Repeat.COMPARE_FIRST:
            # The server would accept an existing key a second time; another ledger may have sent it.
            await self._dispatcher.put([], look_up, unseen=send)
        else:
            await self._dispatcher.put(send, look_up)

    async def _record(self, group: Sequence[RowOutcome]) -> None:
        await self._job.record([self._placed(settled) for settled in group] if self._inside else group)

    def _placed(self, settled: RowOutcome) -> RowOutcome:
        """The outcome with the file of a folder that holds its record, for people."""
        inside = self._inside.pop(settled.key, None)
        if inside is None or settled.state not in (RowState.FAILED, RowState.CONFLICT):
            return settled
        return settled._replace(detail={**(settled.detail or {}), "inside": inside})

    async def _recall(self) -> None:
        self._learned = await self._job.unechoed_fields()
        self._connection.platform.creator.learned = self._learned
        batch, project = self._plan.options.batch, self._plan.options.project
        if batch and project and "{" not in batch:
            await self._batches.ensure(batch, project)

    async def _remember(self) -> None:
        news = self._connection.platform.creator.learned - self._learned
        if news:
            self._learned = self._connection.platform.creator.learned
            await self._job.add_unechoed_fields(sorted(news))
        while self._batches.created:
            name = self._batches.created.pop()
            await self._job.remember_batch(name, self._batches.projects.get(name), created=True)

    def _progress(self) -> Progress:
        tally, reading = self._dispatcher.tally, self._reading
        size, taken, waiting = self._plan.total_bytes, self._preparer.taken, self._dispatcher.queue.outstanding
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

    async def _end(self, target: Target, reason: ScalesyncError | None, open_batches: list[str]) -> ImportSummary:
        await self._remember()
        counts = await self._job.counts()
        tally = self._dispatcher.tally
        counters = self._connection.transport.counters
        if isinstance(reason, ConfigError) and counters.attempts[RequestClass.CREATE]:
            # For example, a source broke off. Sent records stay, and the same command resumes once it is fixed.
            reason = StopRun(str(reason))
        if self._adopted:
            which = "record differs from its task" if self._adopted == 1 else "records differ from their tasks"
            self._observer.note(
                f"{self._adopted:,} {which}: --on-conflict adopt accepts that, and changes no task; scalesync verify"
                " counts them"
            )
        if self._beside and self._named is None:
            await note_other_bodies(self._job, self._plan, self._observer)
        rest = finish.REST if self._named is None else REST
        vanished = await self._job.gone_rows.waiting() if counts["gone"] and counts["pending"] else 0
        ending = finish.exit_status(
            *(counts, tally, reason, open_batches),
            whole=not self._rest() or (reason is not None and self._is_in()),
            rest=rest,
            unclear=self._reading.unclear,
            vanished=vanished,
            several=self._several,
        )
        if self._named is not None and not self._named.read:
            ending = replace(ending, complete=False)  # the import has not read the new records of the sources yet
        seconds = self._meter.seconds
        figures = {
            **self._connection.traffic(),
            "retries": tally.retries + self._connection.call.retries,
            "seconds": round(seconds, 3),
            "tasks_per_second": round(tally.created / seconds, 1) if seconds > 0 else 0.0,
            "peak_in_flight": self._connection.gate.peak_in_flight,
        }
        if self._log is not None:
            await self._log.end()
        await save_limits(self._job, self._connection.pace)
        await self._job.finish(
            complete=ending.complete, exit_code=ending.exit_code, figures=figures, message=ending.message
        )
        return finish.summary(self._job.name, target, counts, figures, ending)
