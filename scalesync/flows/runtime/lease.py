"""Hold a job of the ledger for work other than its imports: its lease, its heartbeat and its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio

from scalesync.errors import ConfigError, ScalesyncError
from scalesync.flows.runtime.run import heartbeat, plain_errors
from scalesync.flows.runtime.setup.services import option_for
from scalesync.model.jobs import JobSpec, StoredJob
from scalesync.model.targets import Target
from scalesync.ports.import_ledger import ImportLedger
from scalesync.ports.ledger import Ledger
from scalesync.text import either


@dataclass(slots=True)
class Hold:
    """A job that this run holds, and the result to record at its end.

    complete: whether an import has nothing left to do.
    message: the sentence that the job's own work ends with; None for work beside it, after which the end of the job's
        last run still holds.
    """

    job: ImportLedger
    complete: bool
    exit_code: int = 3
    figures: Mapping[str, Any] = field(default_factory=dict)
    message: str | None = None


async def import_job_of(ledger: Ledger, target: Target, job: str | None, project: str | None = None) -> StoredJob:
    """The import job of this name, or the only one of the target, in any of its namespaces.

    project: only jobs of this project.
    Raises ConfigError if there is none, or if it is not clear which one is meant.
    """
    found = None if job is None or project is not None else await ledger.find_job(target, job)
    if found is None:
        found = await _only_job(ledger, target, job, project)
    if found.command != "import":
        raise ConfigError(f"there is no import job {job} for {target}; see scalesync status")
    return found


async def import_jobs_of(
    ledger: Ledger, target: Target, job: str | None, project: str | None = None
) -> list[StoredJob]:
    """The import jobs of a target and of its namespaces, oldest first; of those, the ones of a name or a project."""
    rows = [
        row
        for row in await ledger.jobs()
        if row.command == "import"
        and row.target.whole == target
        and job in {None, row.name}
        and is_of(row.target, row.settings, project)
    ]
    found = [await ledger.find_job(row.target, row.name) for row in rows]
    return [one for one in found if one is not None]


def is_of(target: Target, settings: Mapping[str, Any], project: str | None) -> bool:
    """Whether a job with this target and these settings is of a project, None for any."""
    return project in {None, target.namespace, settings.get("project")}


async def _only_job(ledger: Ledger, target: Target, job: str | None, project: str | None) -> StoredJob:
    found = await import_jobs_of(ledger, target, job, project)
    if len(found) == 1:
        return found[0]
    if not found and job is None and project is None:
        way_out = await elsewhere(ledger, target, job)
        raise ConfigError(f"the ledger {ledger.path} has no import job for {target}{way_out and f'; {way_out}'}")
    if not found:
        which = "".join((f" {job}" if job else "", f" of project {project}" if project else ""))
        way_out = await elsewhere(ledger, target, job) or "see scalesync status"
        raise ConfigError(f"there is no import job{which} for {target}; {way_out}")
    if job is None:
        names = dict.fromkeys(one.name for one in found)
        raise ConfigError(f"name the job with --job; the ledger has {', '.join(names)}")
    places = ", ".join(one.target.namespace for one in found)
    raise ConfigError(f"there are several jobs {job}: in {places}; name one of these with --project")


async def elsewhere(ledger: Ledger, target: Target, job: str | None) -> str:
    """Where a job of this name is, with the options that lead there: another platform, or another version of the API.

    Empty if there is none.
    """
    names = {row.target.platform for row in await ledger.jobs() if row.command == "import" and job in {None, row.name}}
    others = [option_for(name, target.platform) for name in sorted(names - {target.platform})]
    return f"there is one elsewhere: use {either(others)}" if others else ""


@asynccontextmanager
async def holding(ledger: Ledger, job: StoredJob | JobSpec) -> AsyncIterator[Hold]:
    """Take the job's lease and release it in any case. Raises JobRunning if another run has it.

    Another run may have changed the job since the caller read it. So the caller's settings are not written back, and
    whether the job is complete is read under the lease.
    """
    spec = JobSpec(job.name, job.command, job.target, job.identity, job.settings)
    beside = isinstance(job, StoredJob)
    store = await ledger.open_import(spec, beside=beside)
    hold = Hold(store, beside and store.was_complete)
    with plain_errors():
        async with anyio.create_task_group() as group:
            group.start_soon(heartbeat, store.heartbeat)
            try:
                yield hold
            finally:
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True), suppress(ScalesyncError):
                    await store.finish(
                        complete=hold.complete, exit_code=hold.exit_code, figures=hold.figures, message=hold.message
                    )
