"""Retry: failed records become pending, then their job runs again; tasks in error are freed and sent again."""

from __future__ import annotations

from dataclasses import replace

import anyio

from scalesync.config import Settings
from scalesync.engine.dispatch import EngineLimits
from scalesync.errors import ConfigError
from scalesync.events import Observer
from scalesync.flows import endings
from scalesync.flows.holding import holding, import_job_of
from scalesync.flows.identity import STANDARD_INPUT, stored_options
from scalesync.flows.ingest import run_import
from scalesync.flows.inspect import group_of
from scalesync.flows.options import ImportOptions
from scalesync.flows.plan import make_plan
from scalesync.flows.refresh import refresh_job
from scalesync.ledger.store import SqliteLedger, StoredJob
from scalesync.model import ImportSummary, RowState


async def run_retry(
    settings: Settings,
    job: str | None,
    group: str | None,
    observer: Observer,
    *,
    errored: bool = False,
    yes: bool = False,
    limits: EngineLimits | None = None,
    signals: bool = True,
) -> ImportSummary:
    """Send the failed records of a job again, all or one group of `failures`; pending ones go along.

    errored: instead of them the records whose tasks turned to `error`. The server is asked which these are, their
    unique_ids are freed, and they are sent again.
    Raises ConfigError when there is no such job for this target, or its source cannot be read again.
    """
    if errored and group is not None:
        raise ConfigError("--errored takes every task in error; leave --group out")
    ledger = SqliteLedger.open(settings.ledger, note=observer.note, create=False)
    try:
        found = await import_job_of(ledger, settings, job)
        options = await readable_options(found)
        if errored:
            await refresh_job(ledger, found, settings, observer, limits=limits)
            options = replace(options, reclaim=frozenset({"error"}), rescan=True)
            left = (await ledger.counts(found))["conflicts"]
            what = "no task in error"
        else:
            left = await _reopen(ledger, found, group)
            what = "no failed records" if group is None else f"no failed records in group {group}"
        counts = await ledger.counts(found)
        if not left and not counts["pending"]:
            findings = sum(counts[state] for state in endings.FINDINGS)
            ending = endings.Ending(int(findings > 0), True, f"nothing to send: the job has {what}")
            return endings.summary(found.name, settings, counts, endings.NOTHING_DONE, ending)
    finally:
        ledger.close()
    if not errored:
        observer.note(f"{left} failed records are sent again")
    return await run_import(replace(options, yes=yes), settings, observer, limits=limits, stored=found, signals=signals)


async def readable_options(found: StoredJob) -> ImportOptions:
    """The options of a stored job whose sources can be read again. Raises ConfigError when they cannot."""
    options = stored_options(found.settings)
    if STANDARD_INPUT in options.sources:
        raise ConfigError(
            f"job {found.name} read standard input, which is gone: write the failed records out with"
            f" scalesync failures --job {found.name} --out FILE, or pipe the same input into the same import"
        )
    await anyio.to_thread.run_sync(make_plan, options)  # a source that is gone must not cost the failures
    return options


async def _reopen(ledger: SqliteLedger, found: StoredJob, group: str | None) -> int:
    async with holding(ledger, found) as hold:
        reopened = await hold.job.reopen(
            lambda key, status, reason: group is None or group_of(RowState.FAILED, status, reason, key) == group
        )
        hold.complete = found.complete and not reopened
        hold.exit_code, hold.figures = 0, {"reopened": reopened}
    return reopened
