"""Verify: compare the source with the ledger and the server."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from scalesync.config.settings import Settings
from scalesync.engine.limits import EngineLimits
from scalesync.events import Observer
from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.imports.stored import options_of, plan_of
from scalesync.flows.runtime.lease import holding, import_job_of
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.options import ImportOptions
from scalesync.flows.runtime.rate_meter import RateMeter
from scalesync.flows.runtime.setup.offers import require
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.flows.runtime.threads import in_daemon
from scalesync.flows.runtime.wiring import connect_for_lookups
from scalesync.flows.verify.findings_file import FindingsFile, check_place
from scalesync.flows.verify.passes import Checking
from scalesync.flows.verify.strangers import Scope
from scalesync.flows.verify.summary import VerifySummary, message_of, summary_of
from scalesync.home import Home
from scalesync.ports.spec import PlatformSpec
from scalesync.sources.places.named import read_once


async def run_verify(
    settings: Settings,
    job: str | None,
    out: Path | None,
    observer: Observer,
    *,
    project: str | None = None,
    unexpected: bool = False,
    limits: EngineLimits | None = None,
) -> VerifySummary:
    """Compare a job's source, ledger and tasks.

    out: the file of findings; by default `verify-JOB.jsonl` in the working folder.
    project: of the job, where several have its name.
    unexpected: report tasks of the project or batch that belong to no record, instead of only counting them.
    Raises ConfigError if there is no such job, its source cannot be read, or `out` is not a file of findings, and
        JobRunning while an import runs.
    """
    require(spec_of(settings.platform), "verify")
    ledger = open_ledger(settings.ledger, note=observer.note, create=False)
    meter, home = RateMeter(), Home(ledger.path.parent)
    try:
        found = await import_job_of(ledger, settings.target, job, project)
        options = await options_of(ledger, found)
        plan = await _plan(options, spec_of(settings.platform), home)
        path = out if out is not None else default_file(found.name)
        sources = [source.place for source in plan.sources if source.place is not None] if plan is not None else []
        await in_daemon(lambda: check_place(path, settings.ledger, sources))
        async with connect_for_lookups(found, settings.way, observer, limits=limits) as connection:
            with FindingsFile(path, keep_empty=out is not None) as report:
                async with holding(ledger, found) as hold:
                    check = Checking(hold.job, connection, report, observer, home=home, unexpected=unexpected)
                    await check.go(_home(options), plan, read_once(options.sources))
                    hold.exit_code = 1 if report.kinds else 0
                    hold.figures = {"findings": dict(report.kinds), "requests": connection.transport.counters.requests}
                figures = {**connection.traffic(), "seconds": round(meter.seconds, 3)}
                summary = summary_of(found, check, report.kinds, report.fixes, figures)
                message = message_of(check, counted=plan is not None, reported=unexpected)
                return replace(summary, message=message, file=report.keep())
    finally:
        ledger.close()


async def _plan(options: ImportOptions, platform: PlatformSpec, home: Home) -> ImportPlan | None:
    """The plan of the stored import; None if it read a pipe, which nobody can read again."""
    if read_once(options.sources):
        return None
    return await in_daemon(lambda: plan_of(options, platform, home))


def _home(options: ImportOptions) -> Scope | None:
    """The project of a job's records, else their batch."""
    if options.project:
        return "project", options.project
    return ("batch", options.batch) if options.batch else None


def default_file(job: str) -> Path:
    """`verify-JOB.jsonl` in the working folder."""
    return Path(f"verify-{re.sub(r'[^A-Za-z0-9._-]+', '-', job)}.jsonl")
