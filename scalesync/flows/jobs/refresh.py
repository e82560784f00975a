"""Refresh: the current status of a job's tasks; tasks that died after they were created are recorded in the ledger.

The server fetches attachments after it has answered the create call, so a task can turn to `error` minutes later. Its
row then becomes a conflict with the server's own reason; so does the row of a task that somebody canceled. If the task
lives again, the row returns to its earlier state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from scalesync.config.settings import Settings, Way
from scalesync.engine.limits import EngineLimits
from scalesync.errors import ConfigError, JobRunning
from scalesync.events import Observer, Progress
from scalesync.flows.jobs.status import job_status
from scalesync.flows.runtime.bulk_lookup import BulkLookup
from scalesync.flows.runtime.dead_tasks import turn_of
from scalesync.flows.runtime.lease import elsewhere, holding, import_jobs_of
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.options import JobStatus
from scalesync.flows.runtime.rate_meter import RateMeter
from scalesync.flows.runtime.setup.offers import require
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.flows.runtime.wiring import Connection, connect_for_lookups
from scalesync.model.contents import batch_in
from scalesync.model.jobs import StoredJob
from scalesync.model.outcomes import LookupResult, Presence
from scalesync.model.targets import Target
from scalesync.ports.ledger import Ledger
from scalesync.ports.verify_ledger import VerifyLedger

MISSING, UNCLEAR = "missing", "unclear"
STATELESS = "without a status"  # on platforms that have none


async def refreshed_status(
    settings: Settings, job: str | None, observer: Observer, *, limits: EngineLimits | None = None
) -> list[JobStatus]:
    """Refresh the tasks of the target's import jobs, or of one job, and return their `job_status`.

    Raises ConfigError if the ledger has no such job for this target.
    """
    require(spec_of(settings.platform), "status --refresh")
    ledger = open_ledger(settings.ledger, note=observer.note, create=False)
    tasks: dict[str, Mapping[str, int]] = {}
    try:
        for found in await _jobs(ledger, settings.target, job):
            tasks[found.name] = await refresh_job(ledger, found, settings.way, observer, limits=limits)
    finally:
        ledger.close()
    here = (settings.base_url, settings.mode.value, "import")
    return [
        replace(row, tasks=tasks.get(row.job)) if (row.target, row.mode, row.command) == here else row
        for row in await job_status(settings.ledger, job)
    ]


async def _jobs(ledger: Ledger, target: Target, job: str | None) -> list[StoredJob]:
    jobs = await import_jobs_of(ledger, target, job)
    if not jobs:
        which = f"import job {job}" if job is not None else "import job"
        way_out = await elsewhere(ledger, target, job)
        raise ConfigError(f"the ledger {ledger.path} has no {which} for {target}{way_out and f'; {way_out}'}")
    return jobs


async def refresh_job(
    ledger: Ledger,
    found: StoredJob,
    way: Way,
    observer: Observer,
    *,
    limits: EngineLimits | None = None,
) -> Mapping[str, int]:
    """Read the job's tasks, a hundred in a call, and return how many have each status.

    While a run holds the job, the tasks are only counted and nothing is written.
    """
    async with connect_for_lookups(found, way, observer, limits=limits) as connection:
        try:
            async with holding(ledger, found) as hold:
                counts = await _ask(hold.job.checks, connection, observer)
                hold.exit_code = 0
        except JobRunning as running:
            observer.note(f"{running}; its tasks are counted, and nothing is written")
            return await _ask(ledger.checks(found), connection, observer)
    return counts


async def _ask(store: VerifyLedger, connection: Connection, observer: Observer) -> Mapping[str, int]:
    finder, meter = BulkLookup(connection), RateMeter()
    counts: Counter[str] = Counter()
    async for page in store.pages(finder.wave):
        rows = [row for row in page if row.ours]
        found = await finder.find([row.key for row in rows], {row.key: batch_in(row.content) for row in rows})
        counts.update(_status(found[row.key]) for row in rows)
        turns = [turn for row in rows if (turn := turn_of(row, found[row.key], connection)) is not None]
        if turns and store.writable:
            await store.turn(turns)
        observer.progress(_progress(counts, meter, connection))
    return dict(sorted(counts.items()))


def _status(finding: LookupResult) -> str:
    if finding.view is None:
        return MISSING if finding.presence is Presence.ABSENT else UNCLEAR
    return finding.view.status or STATELESS


def _progress(counts: Counter[str], meter: RateMeter, connection: Connection) -> Progress:
    done = counts.total()
    failed = sum(counts[name] for name in (*connection.words.dead, MISSING, UNCLEAR))
    return connection.watch.snapshot("refresh", meter, done, failed=failed)
