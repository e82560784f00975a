"""Retry: failed records become pending, then their job runs again."""

from __future__ import annotations

from dataclasses import replace

from scalesync.config import Settings
from scalesync.engine.dispatch import EngineLimits
from scalesync.errors import ConfigError
from scalesync.events import Observer
from scalesync.flows import endings
from scalesync.flows.identity import STANDARD_INPUT, stored_options
from scalesync.flows.ingest import run_import
from scalesync.flows.inspect import group_of, only_job
from scalesync.ledger.store import SqliteLedger
from scalesync.model import ImportSummary
from scalesync.ports import JobSpec


async def run_retry(
    settings: Settings,
    job: str | None,
    group: str | None,
    observer: Observer,
    *,
    yes: bool = False,
    limits: EngineLimits | None = None,
    signals: bool = True,
) -> ImportSummary:
    """Send the failed records of a job again, all or one group of `failures`; pending ones go along.

    Raises ConfigError when there is no such job for this target, or its source cannot be read again.
    """
    ledger = SqliteLedger.open(settings.ledger, note=observer.note, create=False)
    try:
        name = await only_job(ledger, settings.target, job)
        found = await ledger.find_job(settings.target, name)
        if found is None or found.command != "import":
            raise ConfigError(f"there is no import job {name} for {settings.target}; see scalesync status")
        options = stored_options(found.settings)
        if STANDARD_INPUT in options.sources:
            raise ConfigError(
                f"job {name} read standard input, which is gone: write the failed records out with"
                f" scalesync failures --job {name} --out FILE, or pipe the same input into the same import"
            )
        spec = JobSpec(name, found.command, found.target, found.identity, found.settings)
        store = await ledger.open_job(spec)
        reopened = await store.reopen(
            lambda state, status, reason: group is None or group_of(state, status, reason) == group
        )
        counts = await store.counts()
        await store.finish(complete=found.complete and not reopened, exit_code=0, figures={"reopened": reopened})
        if not reopened and not counts["pending"]:
            what = "no failed records" if group is None else f"no failed records in group {group}"
            findings = sum(counts[state] for state in endings.FINDINGS)
            ending = endings.Ending(int(findings > 0), True, f"nothing to send: the job has {what}")
            return endings.summary(name, settings, counts, endings.NOTHING_DONE, ending)
    finally:
        ledger.close()
    observer.note(f"{reopened} failed records are sent again")
    return await run_import(replace(options, yes=yes), settings, observer, limits=limits, stored=found, signals=signals)
