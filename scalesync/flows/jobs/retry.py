"""Retry: failed records become pending, then their job runs again; tasks in error are freed and sent again.

Standard input cannot be read again: its failed records become pending, and the same input must be piped once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import anyio

from scalesync.config.settings import Settings
from scalesync.engine.limits import EngineLimits
from scalesync.errors import ConfigError
from scalesync.events import Observer
from scalesync.flows.imports import finish
from scalesync.flows.imports.guards.spending import Confirm, guard_resending
from scalesync.flows.imports.run import run_import
from scalesync.flows.imports.stored import options_of, plan_of
from scalesync.flows.jobs.refresh import refresh_job
from scalesync.flows.jobs.status import group_of
from scalesync.flows.runtime.lease import holding, import_job_of
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.options import ImportOptions, RetryOptions
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.home import Home
from scalesync.model.jobs import StoredJob
from scalesync.model.rows import RowState
from scalesync.model.summaries import IMPORT_AGAIN, ImportSummary
from scalesync.ports.ledger import Ledger
from scalesync.sources.places.named import read_once
from scalesync.text import be, count


async def run_retry(
    options: RetryOptions,
    settings: Settings,
    observer: Observer,
    *,
    limits: EngineLimits | None = None,
    signals: bool = True,
    confirm: Confirm | None = None,
) -> ImportSummary:
    """Send the failed records of a job again, all or one group of `failures`, together with its pending records.

    It looks up records that are no longer in any source and may have been sent. It leaves records that the ledger does
    not know to the import, and the summary's message says so.

    With `errored`, the server says which tasks turned to `error`, and frees their unique_ids. If the source was
    standard input, nothing is sent, and the summary's message says what to do.
    Raises ConfigError when there is no such job for this target, or its source cannot be read again.
    """
    group, errored = options.group, options.errored
    if errored and group is not None:
        raise ConfigError("--errored takes every task in error; leave --group out")
    ledger = open_ledger(settings.ledger, note=observer.note, create=False)
    try:
        found = await import_job_of(ledger, settings.target, options.job, options.project)
        if _piped(found) and not errored:
            return await _wait_for_input(ledger, found, group)
        stored = await readable_options(ledger, found, "--reclaim error" if errored else "")
        # The bounds of a first run count new records, and a retry sends none.
        again = replace(stored, canary=None, max_new=None, reclaim=frozenset({"error"} if errored else ()))
        if errored:
            await refresh_job(ledger, found, settings.way, observer, limits=limits)
            what = "no task in error"
        else:
            what = _nothing(group)
        waiting = await _waiting(ledger, found, group, again.reclaim)
        await guard_resending(waiting, found.target, yes=options.yes, confirm=confirm)
        left = 0 if errored else await _reopen(ledger, found, group)
        gone = await ledger.checks(found).gone_in_doubt()
        if not gone and not await ledger.checks(found).waiting(again.reclaim):
            return _nothing_sent(found, await ledger.counts(found), what)
    finally:
        ledger.close()
    if not errored and (left or not gone):
        observer.note(f"{count(left, 'failed record')} {be(left)} sent again")
    return await run_import(again, settings, observer, limits=limits, stored=found, signals=signals)


async def _waiting(ledger: Ledger, found: StoredJob, group: str | None, dead: frozenset[str]) -> int:
    """How many tasks a retry may make: for waiting records, and for failed ones unless it is about dead tasks."""
    checks = ledger.checks(found)
    failed = 0 if dead else await checks.failed(_in_group(group))
    return failed + await checks.waiting(dead)


def _in_group(group: str | None) -> Callable[[str, int | None, str], bool]:
    return lambda key, status, reason: group is None or group_of(RowState.FAILED, status, reason, key) == group


def _piped(found: StoredJob) -> str | None:
    """The source of a stored job that nobody can read again, for people."""
    return read_once(found.settings["sources"])


async def _wait_for_input(ledger: Ledger, found: StoredJob, group: str | None) -> ImportSummary:
    """Mark the failed records as pending; the import of the same input sends them."""
    marked = await _reopen(ledger, found, group, exit_code=1)
    counts = await ledger.counts(found)
    if not counts["pending"]:
        return _nothing_sent(found, counts, _nothing(group))
    result = (
        f"{count(marked, 'failed record')} {be(marked)} pending again" if marked else f"the job has {_nothing(group)}"
    )
    message = (
        f"nothing was sent: job {found.name} read {_piped(found)}, which is gone; {result}; pipe the same input"
        f" into the same import to send {count(counts['pending'], 'pending record')}"
    )
    return finish.summary(found.name, found.target, counts, finish.NOTHING_DONE, finish.RunEnd(1, False, message))


def _nothing(group: str | None) -> str:
    return "no failed records" if group is None else f"no failed records in group {group}"


def _nothing_sent(found: StoredJob, counts: Mapping[str, int], what: str) -> ImportSummary:
    findings = sum(counts[state] for state in finish.FINDINGS)
    pending = counts["pending"]
    more = f"; {count(pending, 'record')} {be(pending)} pending: {IMPORT_AGAIN}" if pending else ""
    ending = finish.RunEnd(int(findings > 0 or pending > 0), not pending, f"nothing to send: the job has {what}{more}")
    return finish.summary(found.name, found.target, counts, finish.NOTHING_DONE, ending)


async def readable_options(ledger: Ledger, found: StoredJob, switch: str = "") -> ImportOptions:
    """The options of a stored job. Raises ConfigError if its sources cannot be read again.

    switch: the option that an import of the same input needs for the same effect; used in the message.
    """
    options = await options_of(ledger, found)
    if pipe := _piped(found):
        more = f", with {switch}" if switch else ""
        raise ConfigError(
            f"job {found.name} read {pipe}, which is gone: pipe the same input into the same import{more}"
        )
    platform, home = spec_of(found.target.platform), Home(ledger.path.parent)
    await anyio.to_thread.run_sync(plan_of, options, platform, home)  # fails first on a missing source
    return options


async def _reopen(ledger: Ledger, found: StoredJob, group: str | None, exit_code: int = 0) -> int:
    async with holding(ledger, found) as hold:
        whole, hold.complete = hold.complete, False  # an error below must leave the job incomplete
        reopened = await hold.job.reopen(_in_group(group))
        hold.complete = whole and not reopened
        hold.exit_code, hold.figures = exit_code, {"reopened": reopened}
    return reopened
