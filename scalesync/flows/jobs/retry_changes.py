"""Retry of a job of `apply`: its failed changes, all or one group of `failures`, together with its pending ones."""

from __future__ import annotations

from scalesync.config.settings import Settings
from scalesync.engine.limits import EngineLimits
from scalesync.errors import ConfigError
from scalesync.events import Observer
from scalesync.flows.changes.retry import changes_job, retry_changes
from scalesync.flows.jobs.status import group_of
from scalesync.flows.runtime.options import RetryOptions
from scalesync.model.changes import ChangeState
from scalesync.model.summaries import ChangeSummary


async def run_changes_retry(
    options: RetryOptions,
    settings: Settings,
    observer: Observer,
    *,
    limits: EngineLimits | None = None,
    signals: bool = True,
) -> ChangeSummary | None:
    """Send failed changes again; None if the job is not one of `apply`. Raises ConfigError."""
    found = await changes_job(settings, options.job, observer)
    if found is None:
        return None
    if options.errored:
        raise ConfigError(f"--errored is about tasks that an import made; job {found.name} changes tasks")
    group = options.group

    def wanted(ref: str, status: int | None, reason: str) -> bool:
        return group is None or group_of(ChangeState.FAILED, status, reason, ref) == group

    return await retry_changes(found, wanted, settings, observer, limits=limits, signals=signals)
