"""Import: every record of the sources becomes exactly one task, whatever happens on the way.

From the options of a caller to the opened job; `job_run` does the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO

from scalesync.config.settings import Settings
from scalesync.engine.limits import EngineLimits
from scalesync.events import Observer
from scalesync.flows.imports import finish
from scalesync.flows.imports.as_begun import as_begun
from scalesync.flows.imports.dry_run import dry_run
from scalesync.flows.imports.guards.preflight import check_target, note_changed_bodies
from scalesync.flows.imports.guards.spending import Confirm, guard_spending
from scalesync.flows.imports.job_run import ImportRun
from scalesync.flows.imports.named import Named
from scalesync.flows.imports.plan import ImportPlan, make_plan
from scalesync.flows.imports.reading.first_look import first_look
from scalesync.flows.imports.reading.source_changes import nothing_left
from scalesync.flows.runtime.identity import find_import, import_job, job_target, sources_of
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.options import ImportOptions
from scalesync.flows.runtime.setup.offers import require
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.flows.runtime.threads import in_daemon
from scalesync.flows.runtime.wiring import connect
from scalesync.home import Home
from scalesync.model.jobs import JobSpec, StoredJob
from scalesync.model.selection import TaskFields
from scalesync.model.summaries import ImportSummary
from scalesync.ports.ledger import Ledger
from scalesync.ports.operation import Repeat
from scalesync.ports.spec import PlatformSpec


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
        await first_look(plan, _open_types(platform), observer)
        return await dry_run(plan, spec, settings.way, observer, limits=limits)
    ledger = open_ledger(settings.ledger, note=observer.note)
    try:
        order = ImportOrder(plan, settings, observer, limits, ledger, confirm, signals)
        return await (order.everything(spec, _open_types(platform)) if stored is None else order.waiting(spec, stored))
    finally:
        ledger.close()


def _open_types(platform: PlatformSpec) -> Mapping[str, TaskFields]:
    """The known task types, without those that are checked record by record."""
    checked = platform.blueprints.types if platform.blueprints is not None else frozenset()
    return {name: fields for name, fields in platform.types.items() if name not in checked}


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """An import that is checked and planned, before its job is opened.

    confirm: asks the person at the terminal; None if nobody can answer.
    signals: whether SIGINT and others end the run in order.
    """

    plan: ImportPlan
    settings: Settings
    observer: Observer
    limits: EngineLimits
    ledger: Ledger
    confirm: Confirm | None
    signals: bool

    async def everything(self, spec: JobSpec, types: Mapping[str, TaskFields]) -> ImportSummary:
        """Send all that the sources hold, unless the job is finished and they have not changed.

        types: the known task types.
        """
        found, spec = await find_import(self.ledger, spec, self.plan.options)
        if found is not None and (counts := await nothing_left(self.ledger, found, spec, self.plan)) is not None:
            return finish.finished_already(found.name, counts, spec.target)
        await first_look(self.plan, types, self.observer, again=found is not None)
        note_changed_bodies(found, spec, {} if found is None else await self.ledger.counts(found), self.observer)
        return await self._send(spec, found, None)

    async def waiting(self, spec: JobSpec, stored: StoredJob) -> ImportSummary:
        """Send what waits of a job of the ledger."""
        found = await self.ledger.find_job(spec.target, spec.name)
        named = await Named.of(self.ledger, stored, self.plan)
        return await self._send(spec, found, named)

    async def _send(self, spec: JobSpec, found: StoredJob | None, named: Named | None) -> ImportSummary:
        """Connect, ask the first questions, open the job, and do its work.

        found: the job as the ledger knows it.
        named: the records to send; None for all.
        """
        plan, observer, limits, target = self.plan, self.observer, self.limits, spec.target
        async with connect(
            self.settings.way,
            observer,
            task_type=plan.options.type,
            namespace=target.namespace,
            limits=limits,
            memory=await self.ledger.learned_limits(target),
        ) as connection:
            await check_target(plan, connection, observer)
            free = await guard_spending(plan, self.ledger, target, self.confirm) if named is None else None
            repeat = connection.platform.creator.repeat
            job = await self.ledger.open_import(spec, alone=repeat is not Repeat.IDEMPOTENT)
            bound = frozenset() if found is None else sources_of(found, plan.home)
            run = ImportRun(plan, connection, job, observer, limits, bound=bound, named=named, free=free)
            return await run.go(target, signals=self.signals)
