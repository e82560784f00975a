"""Verify: compare the source with the ledger and the server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from scalesync.config.settings import Settings
from scalesync.engine.limits import EngineLimits
from scalesync.events import Observer
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
from scalesync.home import Home
from scalesync.sources.places.named import STANDARD_INPUT
from scalesync.text import count


@dataclass(frozen=True, slots=True)
class VerifySummary:
    """The result of a verification.

    findings: numbers by kind.
    fixes: numbers by the action of --fix.
    read: records in the sources now. Each is with_task, one of the duplicates, or in without by its kind of finding.
    accepted: of those with a task, the ones that --on-conflict adopt accepted although they differ.
    checked: records and rows that were looked up.
    listed: tasks read from lists, in search of tasks that belong to no record.
    others: tasks that belong to no record.
    file: the file of findings; None if there is none.
    """

    job: str
    target: str
    mode: str
    read: int
    with_task: int
    duplicates: int
    accepted: int
    without: Mapping[str, int]
    checked: int
    listed: int
    others: int
    findings: Mapping[str, int]
    fixes: Mapping[str, int]
    file: Path | None
    requests: int
    throttled: int
    seconds: float
    server_errors: int
    retry_after_seconds: float
    waited_seconds: float
    limit_per_second: float | None
    message: str = ""
    exit_code: int = 0


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
        plan = (
            None
            if STANDARD_INPUT in options.sources
            else await in_daemon(lambda: plan_of(options, spec_of(settings.platform), home))
        )
        path = out if out is not None else default_file(found.name)
        sources = [source.place for source in plan.sources if source.place is not None] if plan is not None else []
        await in_daemon(lambda: check_place(path, settings.ledger, sources))
        async with connect_for_lookups(found, settings.way, observer, limits=limits) as connection:
            with FindingsFile(path, keep_empty=out is not None) as report:
                async with holding(ledger, found) as hold:
                    check = Checking(hold.job, connection, report, observer, home=home, unexpected=unexpected)
                    await check.go(_home(options), plan)
                    hold.exit_code = 1 if report.kinds else 0
                    hold.figures = {"findings": dict(report.kinds), "requests": connection.transport.counters.requests}
                summary = VerifySummary(
                    job=found.name,
                    target=settings.base_url,
                    mode=settings.mode.value,
                    read=check.read,
                    with_task=check.with_task,
                    duplicates=check.duplicates,
                    accepted=check.accepted,
                    without=dict(sorted(check.without.items())),
                    checked=check.checked,
                    listed=check.strangers.listed,
                    others=check.strangers.others,
                    findings=dict(sorted(report.kinds.items())),
                    fixes=dict(sorted(report.fixes.items())),
                    file=None,
                    **connection.traffic(),
                    seconds=round(meter.seconds, 3),
                    message=_message(check, counted=plan is not None, reported=unexpected),
                    exit_code=hold.exit_code,
                )
                return replace(summary, file=report.keep())
    finally:
        ledger.close()


def _home(options: ImportOptions) -> Scope | None:
    """The project of a job's records, else their batch."""
    if options.project:
        return "project", options.project
    return ("batch", options.batch) if options.batch else None


def default_file(job: str) -> Path:
    """`verify-JOB.jsonl` in the working folder."""
    return Path(f"verify-{re.sub(r'[^A-Za-z0-9._-]+', '-', job)}.jsonl")


def _message(check: Checking, *, counted: bool, reported: bool) -> str:
    sentences = [_counted(check)] if counted else []
    if check.strangers.others and not reported:
        others = count(check.strangers.others, "listed task")
        sentences.append(
            f"{others} belong{'s' if check.strangers.others == 1 else ''} to no record (--unexpected lists them)"
        )
    return "; ".join([*sentences, *check.left_out])


def _counted(check: Checking) -> str:
    """`200 records read, 190 have their task, 4 repeat an earlier one, 6 do not: 5 pending, 1 failed`."""
    without = sum(check.without.values())
    have = "has its" if check.with_task == 1 else "have their"
    parts = [f"{count(check.read, 'record')} read, {check.with_task:,} {have} task"]
    if check.accepted:
        parts.append(f"accepted as they are: {check.accepted:,}")
    if check.duplicates:
        parts.append(f"{check.duplicates:,} {'repeats' if check.duplicates == 1 else 'repeat'} an earlier one")
    if without:
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(check.without.items()))
        parts.append(f"{without:,} {'does' if without == 1 else 'do'} not: {kinds}")
    return ", ".join(parts)
