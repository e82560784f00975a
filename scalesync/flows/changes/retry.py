"""Failed changes sent again: they become pending, and the job's run sends all that waits. No target is read again."""

from __future__ import annotations

from collections.abc import Callable

from scalesync.config.settings import Settings
from scalesync.engine.limits import EngineLimits
from scalesync.errors import ConfigError
from scalesync.events import Observer
from scalesync.flows.changes.collecting import Collected
from scalesync.flows.changes.job_run import ChangeRun
from scalesync.flows.changes.run import change_of
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.flows.runtime.wiring import connect
from scalesync.model.jobs import JobSpec, StoredJob
from scalesync.model.summaries import ChangeSummary
from scalesync.model.targets import RequestClass
from scalesync.text import be, count

Wanted = Callable[[str, int | None, str], bool]


async def changes_job(settings: Settings, job: str | None, observer: Observer) -> StoredJob | None:
    """The job of `apply` of this name; None if there is none, so that a retry is about an import."""
    if job is None or not settings.ledger.exists():
        return None
    ledger = open_ledger(settings.ledger, note=observer.note, create=False)
    try:
        found = await ledger.find_job(settings.target, job)
    finally:
        ledger.close()
    return found if found is not None and found.command == "apply" else None


async def retry_changes(
    found: StoredJob,
    wanted: Wanted,
    settings: Settings,
    observer: Observer,
    *,
    limits: EngineLimits | None = None,
    signals: bool = True,
) -> ChangeSummary:
    """Send the failed changes of a job again for which wanted(ref, status, reason) holds, with its pending ones.

    Raises ConfigError if the platform has no such change any longer.
    """
    bounds = limits or EngineLimits()
    spec = change_of(spec_of(settings.platform), str(found.identity.get("change")))
    ledger = open_ledger(settings.ledger, note=observer.note, create=False)
    try:
        async with connect(
            settings.way,
            observer,
            namespace=found.target.namespace,
            paced=RequestClass.MUTATE,
            limits=bounds,
            memory=await ledger.learned_limits(found.target),
        ) as connection:
            job = await ledger.open_changes(
                JobSpec(found.name, found.command, found.target, found.identity, found.settings)
            )
            figures = await job.collection()
            if figures is None:
                await job.finish(complete=False, exit_code=2, figures={})
                raise ConfigError(f"job {found.name} has not read what to change; run the same `apply` again first")
            again = await job.reopen(wanted)
            observer.note(f"{count(again, 'failed change')} {be(again)} sent again")
            collected = Collected(figures["read"], figures["duplicates"], figures["invalid"])
            run = ChangeRun(spec, connection, job, observer, bounds)
            return await run.go(collected, found.target, signals=signals)
    finally:
        ledger.close()
