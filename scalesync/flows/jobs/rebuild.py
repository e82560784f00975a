"""Rebuild a lost ledger from source and server, so the next import creates no task twice."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace

from scalesync.config.settings import Settings
from scalesync.engine.limits import EngineLimits
from scalesync.errors import ConfigError, ScalesyncError
from scalesync.events import Observer
from scalesync.flows.imports import finish
from scalesync.flows.imports.conflicts import ConflictPolicy
from scalesync.flows.imports.guards.blueprints import BlueprintCheck
from scalesync.flows.imports.guards.preflight import check_target
from scalesync.flows.imports.plan import ImportPlan, make_plan
from scalesync.flows.imports.reading.prepare import Preparer, read_all
from scalesync.flows.runtime.bulk_lookup import BulkLookup
from scalesync.flows.runtime.identity import find_import, import_job, job_target
from scalesync.flows.runtime.lease import Hold, holding
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.options import ImportOptions
from scalesync.flows.runtime.rate_meter import RateMeter
from scalesync.flows.runtime.run import plain_errors
from scalesync.flows.runtime.setup.offers import require
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.flows.runtime.threads import in_daemon
from scalesync.flows.runtime.wiring import Connection, connect_for_lookups
from scalesync.home import Home
from scalesync.ledger.states import other_record_of
from scalesync.model.jobs import StoredJob
from scalesync.model.outcomes import LookupResult, Presence
from scalesync.model.records import Outgoing
from scalesync.model.rows import OtherRecord, RowOutcome, RowState
from scalesync.model.summaries import ImportSummary
from scalesync.model.targets import Target
from scalesync.ports.import_ledger import ImportLedger
from scalesync.ports.ledger import Ledger
from scalesync.text import count


async def run_rebuild(
    options: ImportOptions, settings: Settings, observer: Observer, *, limits: EngineLimits | None = None
) -> ImportSummary:
    """Look up every record of the sources and record the result. Sends nothing and changes no task.

    Equal tasks become created or adopted rows, different and dead ones conflicts, records without a task pending.
    The same call resumes an interrupted rebuild. Raises ConfigError if the ledger already holds the job.
    """
    home = Home(settings.ledger.parent)
    platform = spec_of(settings.platform)
    require(platform, "ledger rebuild")
    plan = await in_daemon(lambda: make_plan(options, platform, home))
    spec = import_job(options, job_target(settings.target, platform, options.project), plan.template, home)
    ledger = open_ledger(settings.ledger, note=observer.note)
    try:
        found, spec = await find_import(ledger, spec, options)
        await _check_new(ledger, found)
        async with connect_for_lookups(spec, settings.way, observer, limits=limits) as connection:
            await check_target(plan, connection, observer)
            async with holding(ledger, spec) as hold:
                hold.message = _stopped()
                try:
                    with plain_errors():
                        return await _rebuild(plan, connection, hold, spec.target, observer)
                except ScalesyncError as error:
                    hold.message = _stopped(error)
                    raise
    finally:
        ledger.close()


async def _check_new(ledger: Ledger, found: StoredJob | None) -> None:
    if found is not None and not await ledger.checks(found).rebuilding():
        raise ConfigError(
            f"the ledger {ledger.path} holds job {found.name} already, and rebuild is for a lost one: repair it with"
            " verify --fix, or name a new file with --ledger"
        )


def _stopped(error: ScalesyncError | None = None) -> str:
    """What `status` says of a rebuild that stopped early."""
    why = "" if error is None else f": {error}"
    return f"the rebuild did not come to its end{why}; run the same scalesync ledger rebuild again"


async def _rebuild(
    plan: ImportPlan, connection: Connection, hold: Hold, target: Target, observer: Observer
) -> ImportSummary:
    meter = RateMeter()
    mode = plan.options.on_conflict
    policy = ConflictPolicy(mode, frozenset(), connection.platform.creator.release, hold.job.event)
    recorder = Recorder(plan, connection, hold.job, policy, observer)
    await hold.job.checks.begin_rebuild()
    numbers = await hold.job.register_sources(plan.splits())
    await recorder.go(numbers)
    await hold.job.checks.end_rebuild()
    counts = await hold.job.counts()
    await hold.job.event(None, "rebuilt", dict(counts))
    figures = {
        **connection.traffic(),
        "retries": connection.call.retries,
        "seconds": round(meter.seconds, 3),
        "tasks_per_second": 0.0,
        "peak_in_flight": connection.gate.peak_in_flight,
    }
    findings = sum(counts[name] for name in finish.FINDINGS)
    pending = counts["pending"]
    message = f"{count(pending, 'record')} {'has' if pending == 1 else 'have'} no task" if pending else ""
    ending = finish.RunEnd(1 if findings else 0, not pending, message)
    hold.complete, hold.exit_code, hold.figures = ending.complete, ending.exit_code, figures
    hold.message = message
    return finish.summary(hold.job.name, target, counts, figures, ending)


class Recorder:
    """Records rows that the ledger lost, in the state that the server reports.

    named: record only these keys. None: record all, and mark each source as read, so the job can finish.
    """

    def __init__(
        self,
        plan: ImportPlan,
        connection: Connection,
        job: ImportLedger,
        policy: ConflictPolicy,
        observer: Observer,
        *,
        named: Container[str] | None = None,
    ) -> None:
        self._plan = plan
        self._connection = connection
        self._job = job
        self._policy = policy
        self._observer = observer
        self._store = job.checks
        self._finder = BulkLookup(connection)
        self._blueprints = BlueprintCheck(plan, connection, observer.note)
        self._meter = RateMeter()
        self._done = 0
        self._named = named

    async def go(self, numbers: Sequence[int]) -> None:
        """Read the sources.

        numbers: their splits.
        """
        preparer = Preparer(self._plan.builder, None, look=self._job.peek)
        waiting: list[Outgoing] = []
        places = {number: place for place, number in enumerate(numbers)}
        async for load in read_all(zip(numbers, self._plan.sources, strict=True)):
            prepared = await preparer.prepare(load)
            waiting += [record for record in prepared.records if self._named is None or record.key in self._named]
            ended = [block.source for block in load if block.last]
            other_records: Sequence[OtherRecord] = prepared.other_records if self._named is None else ()
            while other_records or len(waiting) >= self._finder.wave or (ended and waiting):
                wave = self._finder.wave if ended or len(waiting) >= self._finder.wave else 0
                await self._take(waiting[:wave], other_records)
                del waiting[:wave]
                other_records = ()
            if self._named is None:
                await self._job.close_sources([(number, self._plan.facts(places[number]), None) for number in ended])
        await self._take(waiting, ())

    async def _take(self, records: Sequence[Outgoing], other_records: Sequence[OtherRecord]) -> None:
        rows = await self._store.held([record.key for record in records])
        lost = [record for record in records if record.key not in rows]
        shared = [
            other_record_of(row, record)
            for record in records
            if (row := rows.get(record.key)) is not None and not row.home
        ]
        await self._finder.know_projects(lost)
        await self._know_again(lost)
        found = await self._finder.find([record.key for record in lost], {record.key: record.batch for record in lost})
        absent = [record for record in lost if found[record.key].presence is Presence.ABSENT]
        _, unfit = await self._blueprints.sort(absent)
        invalid = {other.key for other in unfit}
        pairs = [(each, await self._state(each, found[each.key])) for each in lost if each.key not in invalid]
        await self._store.record(pairs, [*other_records, *unfit, *shared])
        self._done += len(records)
        self._show()

    async def _know_again(self, lost: Sequence[Outgoing]) -> None:
        """Give records the id under which an older version made their task, if the server has one."""
        old = {record.former.key: record for record in lost if record.former is not None and record.former.key}
        if not old:
            return
        for key, finding in (
            await self._finder.find(list(old), {key: record.batch for key, record in old.items()})
        ).items():
            if finding.presence is not Presence.ABSENT:
                self._plan.builder.known_as(old[key], {key: (None, b"")})

    async def _state(self, record: Outgoing, finding: LookupResult) -> RowOutcome:
        if finding.presence is Presence.ABSENT:
            return RowOutcome(record.key, RowState.PENDING)
        record.intent_ms = self._connection.platform.server_now_ms
        if finding.task is None:
            return RowOutcome(record.key, RowState.SENDING)
        comparison = self._connection.platform.creator.compare(record, finding.task)
        outcome = await self._policy(record, replace(comparison, others=finding.others))
        if outcome is None:
            return RowOutcome(record.key, RowState.SENDING)
        if self._named is None and outcome.state is not RowState.CONFLICT:
            return outcome._replace(event=None)  # no history for a million rows that are correct
        return outcome

    def _show(self) -> None:
        self._observer.progress(self._connection.watch.snapshot("rebuild", self._meter, self._done))
