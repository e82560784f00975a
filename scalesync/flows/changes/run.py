"""Apply: one change of many tasks, each once, whatever happens on the way.

options --> rows that name tasks --> ledger --> engine --> summary
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from scalesync.config.settings import Settings
from scalesync.engine.limits import EngineLimits
from scalesync.errors import ConfigError, Interrupted, Refused, ScalesyncError
from scalesync.events import Observer
from scalesync.flows.changes import arguments, ending
from scalesync.flows.changes.collecting import Collected, Sorter, Targets, collect
from scalesync.flows.changes.dry_run import DryRun
from scalesync.flows.changes.job_run import ChangeRun, nouns_of
from scalesync.flows.changes.options import ChangeOptions
from scalesync.flows.changes.plan_file import check_place, open_plan
from scalesync.flows.changes.targets.folder import open_folder
from scalesync.flows.changes.targets.imported import Imported
from scalesync.flows.changes.targets.listed import Matching
from scalesync.flows.changes.targets.table import open_table
from scalesync.flows.exports import filters
from scalesync.flows.exports.checks import check_options, first_look
from scalesync.flows.imports.guards.limits import failures_bound
from scalesync.flows.imports.guards.preflight import refused_first
from scalesync.flows.runtime.identity import derived_name, export_target
from scalesync.flows.runtime.lease import import_job_of
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.setup.offers import require
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.flows.runtime.threads import in_daemon
from scalesync.flows.runtime.wiring import Connection, connect
from scalesync.model.jobs import JobSpec
from scalesync.model.records import JsonObject
from scalesync.model.summaries import ChangeSummary
from scalesync.model.targets import RequestClass, Target
from scalesync.ports.change_ledger import ChangeLedger
from scalesync.ports.changes import ChangeSpec
from scalesync.ports.ledger import Ledger
from scalesync.ports.spec import PlatformSpec
from scalesync.text import did_you_mean, either

WAYS = "--tasks FILE, --from EXPORT_DIR, --job NAME, --plan FILE, or the filters of export"
Confirm = Callable[[str], bool]


async def run_changes(
    options: ChangeOptions,
    settings: Settings,
    observer: Observer,
    *,
    limits: EngineLimits | None = None,
    signals: bool = True,
    confirm: Confirm | None = None,
) -> ChangeSummary:
    """Apply as asked.

    confirm: asks the person at the terminal; None if nobody can answer.
    Raises ConfigError before anything is sent; a run stopped later returns its summary with exit_code 3.
    """
    platform = spec_of(settings.platform)
    spec = change_of(platform, options.change)
    _check(options, spec, platform, confirm)
    common = arguments.typed(spec, options.arguments)
    bounds = replace(limits or EngineLimits(), max_failures=failures_bound(options.max_failures))
    project = options.filters.project if options.filters is not None else None
    order = Order(options, settings, observer, bounds, spec, common, confirm, signals)
    ledger = open_ledger(settings.ledger, note=observer.note, to_read=options.dry_run)
    try:
        return await order.carry_out(ledger, export_target(settings.target, platform, project), platform)
    finally:
        ledger.close()


def change_of(platform: PlatformSpec, name: str) -> ChangeSpec:
    """The change of this name. Raises ConfigError with the nearest one."""
    found = platform.changes.get(name)
    if found is None:
        require(platform, f"apply {name}")
        known = f"use {either(sorted(platform.changes))}" if platform.changes else "it has none"
        raise ConfigError(f"{platform.title} has no change {name!r}{did_you_mean(name, platform.changes)}; {known}")
    require(platform, f"apply {name}")
    return found


def _check(options: ChangeOptions, spec: ChangeSpec, platform: PlatformSpec, confirm: Confirm | None) -> None:
    planned = options.plan is not None and not options.dry_run
    ways = (bool(options.tasks), options.folder is not None, options.job is not None, planned)
    named = sum(ways) + (options.filters is not None)
    if named != 1:
        raise ConfigError(f"name the {spec.subject}s in one way: {WAYS}")
    if planned and options.arguments:
        raise ConfigError("--plan holds the arguments; leave them out")
    if spec.subject != "task" and not options.tasks and not planned:
        raise ConfigError(f"`apply {spec.name}` is about {nouns_of(spec).items}: name them with --tasks FILE")
    if options.plan is not None and options.dry_run:
        check_place(options.plan)
    if options.filters is not None:
        check_options(options.filters, platform)
    if not (spec.undone_by or options.yes or options.dry_run) and confirm is None:
        raise ConfigError(
            f"`apply {spec.name}` cannot be taken back, and there is no terminal to ask at; look at --dry-run first,"
            " then add --yes"
        )


@dataclass(frozen=True, slots=True)
class Order:
    """An `apply` that is checked, before its job is opened. common: the arguments that were typed."""

    options: ChangeOptions
    settings: Settings
    observer: Observer
    limits: EngineLimits
    spec: ChangeSpec
    common: JsonObject
    confirm: Confirm | None
    signals: bool

    async def carry_out(self, ledger: Ledger, target: Target, platform: PlatformSpec) -> ChangeSummary:
        """Connect, find what to change, and change it."""
        job_spec = self._job(target)
        memory = await ledger.learned_limits(target)
        way, namespace = self.settings.way, target.namespace
        async with connect(
            way,
            self.observer,
            namespace=namespace,
            paced=RequestClass.MUTATE,
            limits=self.limits,
            memory=memory,
        ) as connection:
            targets = await self._targets(ledger, target, platform, connection)
            await self._look(connection)
            sorter = Sorter(self.spec, self.common, connection)
            if self.options.dry_run:
                dry = DryRun(self.spec, connection, self.observer)
                return await dry.go(targets, sorter, job_spec, self.options.plan)
            job = await ledger.open_changes(job_spec)
            return await self._send(job, connection, targets, sorter, target)

    def _job(self, target: Target) -> JobSpec:
        options = self.options
        identity: dict[str, Any] = {
            "change": self.spec.name,
            "arguments": self.common,
            "subject": self.spec.subject,
            "of": _described(options),
        }
        name = options.name or derived_name("apply", target, identity, self.spec.name.replace(" ", "-"))
        settings = {**identity, "folder": str(Path.cwd()), "max_failures": options.max_failures}
        return JobSpec(name=name, command="apply", target=target, identity=identity, settings=settings)

    async def _targets(self, ledger: Ledger, target: Target, platform: PlatformSpec, connection: Connection) -> Targets:
        options = self.options
        if options.tasks:
            return await in_daemon(lambda: open_table(options.tasks, self.spec.subject, platform.vocabulary))
        if options.folder is not None:
            folder = options.folder
            return await in_daemon(lambda: open_folder(folder, platform.name, platform.view))
        if options.job is not None:
            job = await import_job_of(ledger, target.whole, options.job)
            return Imported(ledger.checks(job), self.observer.note)
        if options.filters is not None:
            await first_look(connection, options.filters, self.observer.note)
            selection = filters.selection(options.filters, connection.platform.server_now_ms)
            return Matching(connection, selection, self.observer.note)
        assert options.plan is not None
        plan = options.plan
        return await in_daemon(lambda: open_plan(plan, self.spec.name, target))

    async def _look(self, connection: Connection) -> None:
        """Check with one call that key and address work."""
        try:
            await connection.call(connection.platform.lister.probe)
        except Refused as error:
            raise refused_first(error, connection) from error

    async def _send(
        self, job: ChangeLedger, connection: Connection, targets: Targets, sorter: Sorter, target: Target
    ) -> ChangeSummary:
        run = ChangeRun(self.spec, connection, job, self.observer, self.limits)
        try:
            collected = await self._collected(job, targets, sorter)
            await self._ask(job, target)
        except ScalesyncError as error:
            await job.finish(complete=False, exit_code=3, figures={}, message=str(error))
            raise
        return await run.go(collected, target, signals=self.signals)

    async def _collected(self, job: ChangeLedger, targets: Targets, sorter: Sorter) -> Collected:
        """What the job is about: read again unless an unfinished run has read just that."""
        mark = _mark(targets)
        before = await job.collection()
        if before is not None and not job.was_complete and not before["invalid"] and before.get("mark") == mark:
            return Collected(before["read"], before["duplicates"], before["invalid"])
        self.observer.note(f"reading which {nouns_of(self.spec).items} to change; nothing is sent before all are known")
        return await collect(targets, sorter, job, mark)

    async def _ask(self, job: ChangeLedger, target: Target) -> None:
        waiting = (await job.counts())["pending"]
        if self.spec.undone_by or self.options.yes or not waiting or self.confirm is None:
            return
        confirm, question = self.confirm, ending.asked(self.spec.words, waiting, self.spec.subject, target)
        if not await in_daemon(lambda: confirm(question)):
            raise Interrupted("nothing was changed, as you answered; the same command asks again")


def _described(options: ChangeOptions) -> JsonObject:
    """The targets, as they make an `apply` another job."""
    if options.tasks:
        return {"tasks": [str(Path(source).absolute()) for source in options.tasks]}
    if options.folder is not None:
        return {"from": str(options.folder.absolute())}
    if options.job is not None:
        return {"job": options.job}
    if options.filters is not None:
        return {"filters": filters.typed(options.filters)}
    return {"plan": str(options.plan.absolute()) if options.plan is not None else ""}


def _mark(targets: Targets) -> int:
    """A number that differs once the sources are other ones; 0 where they are not files."""
    sources = targets.sources()
    if not sources:
        return 0
    facts = repr(sources)
    return int.from_bytes(blake2b(facts.encode(), digest_size=6).digest(), "big")
