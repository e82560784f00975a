"""The Python API: the flows of the command line as async functions with typed results.

Each function resolves its settings as the command line does: arguments, else environment, else profile, else default.
They run in the caller's event loop (asyncio, by way of anyio), take no signals, and raise the errors of
`scalesync.errors`. A run that stopped early returns its summary with exit_code 3 and the reason in `message`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scalesync.config import Settings, resolve_settings
from scalesync.events import Observer, Silent
from scalesync.flows.export import run_export
from scalesync.flows.ingest import run_import
from scalesync.flows.inspect import job_status as read_status
from scalesync.flows.inspect import list_failures as read_failures
from scalesync.flows.options import ExportOptions, FailureGroup, ImportOptions, JobStatus
from scalesync.flows.retry import run_retry
from scalesync.model import ExportSummary, ImportSummary


async def import_tasks(
    sources: str | Path | Sequence[str | Path],
    *,
    type: str,
    settings: Settings | None = None,
    observer: Observer | None = None,
    template: str | Path | Mapping[str, Any] | None = None,
    **options: Any,
) -> ImportSummary:
    """Import records as tasks of a type; the options are the fields of `ImportOptions`.

    sources: paths, globs or URLs. settings: from `resolve_settings`, which is called when None is given. In a program
    without a terminal, more than 1,000 new tasks with a live key want yes=True.
    Raises ConfigError or SourceError before anything is sent.
    """
    named = [sources] if isinstance(sources, str | Path) else list(sources)
    options = _listed(options, ("sets", "header", "reclaim"))
    options["reclaim"] = frozenset(options.get("reclaim") or ())
    asked = ImportOptions(sources=tuple(str(source) for source in named), type=type, template=template, **options)
    return await run_import(asked, settings or resolve_settings(), observer or Silent(), signals=False)


async def export_tasks(
    out: str | Path, *, settings: Settings | None = None, observer: Observer | None = None, **options: Any
) -> ExportSummary:
    """Export matching tasks into a folder; the options are the fields of `ExportOptions`.

    Raises ConfigError when the folder holds something else.
    """
    asked = ExportOptions(out=Path(out), **_listed(options, ("status", "review_status", "tags", "fields")))
    return await run_export(asked, settings or resolve_settings(), observer or Silent(), signals=False)


def _listed(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Options that take several values take one text as well: a text is no list of its letters."""
    lists = {name: options[name] for name in names if options.get(name) is not None}
    return {**options, **{name: (value,) if isinstance(value, str) else tuple(value) for name, value in lists.items()}}


async def retry_failed(
    job: str | None = None,
    *,
    group: str | None = None,
    settings: Settings | None = None,
    observer: Observer | None = None,
) -> ImportSummary:
    """Send the failed records of an import job again, all or one group of `list_failures`."""
    return await run_retry(settings or resolve_settings(), job, group, observer or Silent(), signals=False)


async def job_status(job: str | None = None, *, settings: Settings | None = None) -> list[JobStatus]:
    """Jobs of the ledger with their counts, oldest first; no request is made."""
    return await read_status(settings or resolve_settings(need_key=False), job)


async def list_failures(
    job: str | None = None, *, group: str | None = None, examples: int = 3, settings: Settings | None = None
) -> list[FailureGroup]:
    """Failed, invalid and conflicting records by kind, largest first; no request is made."""
    return await read_failures(settings or resolve_settings(need_key=False), job, group, examples)
