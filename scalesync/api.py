"""The Python API: the flows of the command line as async functions with typed results.

Each function resolves its settings as the command line does (see `config`). They run in the caller's event loop
(asyncio, through anyio), handle no signals, and raise the errors of `scalesync.errors`; their sentences name arguments
instead of options. A run that stopped early returns its summary with exit_code 3 and the reason in `message`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, Unpack

from scalesync.addresses import is_address, refused_as_path
from scalesync.config.settings import Settings
from scalesync.errors import ConfigError, ScalesyncError
from scalesync.events import Observer, Progress, Silent
from scalesync.flows.exports.run import run_export
from scalesync.flows.imports.apis import choose_api
from scalesync.flows.imports.guards.spending import FREE_NEW_TASKS
from scalesync.flows.imports.run import run_import
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.jobs.status import job_status as read_status
from scalesync.flows.jobs.status import list_failures as read_failures
from scalesync.flows.runtime.options import ExportOptions, FailureGroup, ImportOptions, JobStatus, RetryOptions
from scalesync.flows.runtime.run import leaves
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.model.summaries import ExportSummary, ImportSummary
from scalesync.plugins import clashes
from scalesync.sources.given import given_records
from scalesync.text import did_you_mean

Watching = Observer | Literal["rich"] | None
S = TypeVar("S", ImportSummary, ExportSummary)
T = TypeVar("T")
_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*[a-z])(?![\w-])(?: (?:NAME|N|KEY)\b| (?=\d))?")
_NAMES = {"set": "sets", "tag": "tags", "input-format": "format"}  # options whose argument has another name
_SWITCHES = frozenset(
    {"again", "at_least_once", "describe_all", "dry_run", "finalize", "finalize_anyway", "force", "rescan", "yes"}
)
_PHRASES = (
    ("standard input needs a name for the job", "records that a program gives need a name for the job"),
    ("pipe the same input into the same import", "call import_tasks with the same records"),
    ("the same input piped into the same import", "import_tasks with the same records"),
    ("run the same command", "make the same call"),
    ("the same command", "the same call"),
    ("standard input", "records that a program gives"),
    ("a live key and no terminal to ask at", "a live key"),
)


class ImportArguments(TypedDict, total=False):
    """Options of `import_tasks`, the fields of `ImportOptions`."""

    job: str | None
    project: str | None
    batch: str | None
    blueprint: str | None
    unique_id: str | None
    sets: str | Iterable[str]
    limit: int | None
    dry_run: bool
    on_conflict: Literal["report", "adopt", "stop"]
    reclaim: str | Iterable[str]
    finalize: bool
    finalize_anyway: bool
    canary: int | None
    canary_wait: float
    max_new: int | None
    max_failures: str | None
    max_invalid: int | None
    force: bool
    yes: bool
    rescan: bool
    format: str | None
    delimiter: str | None
    quotechar: str | None
    header: str | Iterable[str] | None
    encoding: str
    records: str | None
    skip_rows: int
    folder: str | None
    some: bool
    at_least_once: bool
    describe_all: bool


class ExportArguments(TypedDict, total=False):
    """Options of `export_tasks`, the fields of `ExportOptions`."""

    job: str | None
    project: str | None
    batch: str | None
    type: str | None
    status: str | Iterable[str]
    review_status: str | Iterable[str]
    tags: str | Iterable[str]
    created_after: str | None
    created_before: str | None
    updated_after: str | None
    updated_before: str | None
    completed_after: str | None
    completed_before: str | None
    format: str
    download_responses: bool
    fields: str | Iterable[str]
    again: bool
    incremental: bool
    full_every: str | None
    overlap: str
    via: Literal["auto", "pages", "job"]
    page_size: int | None


async def import_tasks(
    sources: str | Path | Sequence[str | Path] | Iterable[Mapping[str, Any]] | Any,
    *,
    type: str = "",
    settings: Settings | None = None,
    observer: Watching = None,
    template: str | Path | Mapping[str, Any] | None = None,
    **options: Unpack[ImportArguments],
) -> ImportSummary:
    """Import records as tasks of a type; the options are the fields of `ImportOptions`.

    sources: paths, globs or URLs; or the records themselves: an iterable of dictionaries, a pandas or polars DataFrame,
        an Arrow table. Records need `job`, so that a later call knows them.
    type: of the tasks; left out where the platform has no types.
    settings: from `resolve_settings`, which is called for None.
    observer: "rich" shows progress on standard error.

    More than 1,000 new tasks with a live key require yes=True. An exception of an iterable comes out unchanged.
    Raises ConfigError or SourceError before anything is sent, TypeError for an unknown option.
    """
    asked = _listed("import_tasks", ImportOptions, options, ("sets", "header", "reclaim"))
    asked["reclaim"] = frozenset(asked.get("reclaim") or ())
    with _in_python(observer) as watching:
        given = given_records(sources)
        stream = None if given is None else given.stream
        if given is not None:
            few = given.size is not None and given.size <= FREE_NEW_TASKS
            asked |= {"format": given.format, "yes": few or bool(asked.get("yes"))}
        named = ["-"] if given is not None else [sources] if isinstance(sources, str | Path) else list(sources)
        wanted = ImportOptions(sources=tuple(str(source) for source in named), type=type, template=template, **asked)
        chosen = await choose_api(wanted, _settings(settings, watching), watching.note)
        return _summary(await run_import(wanted, chosen, watching, signals=False, given=stream))


async def export_tasks(
    out: str | Path,
    *,
    settings: Settings | None = None,
    observer: Watching = None,
    **options: Unpack[ExportArguments],
) -> ExportSummary:
    """Export matching tasks into a folder; the options are the fields of `ExportOptions`.

    Raises ConfigError if the folder holds something else, TypeError for an unknown option.
    """
    asked = _listed("export_tasks", ExportOptions, options, ("status", "review_status", "tags", "fields"))
    if is_address(str(out)):
        raise ConfigError(refused_as_path(str(out)))
    with _in_python(observer) as watching:
        chosen = _settings(settings, watching)
        return _summary(await run_export(ExportOptions(out=Path(out), **asked), chosen, watching, signals=False))


async def retry_failed(
    job: str | None = None,
    *,
    project: str | None = None,
    group: str | None = None,
    yes: bool = False,
    settings: Settings | None = None,
    observer: Watching = None,
) -> ImportSummary:
    """Send the failed records of an import job again, all or one group of `list_failures`.

    project: of the job, where jobs of several projects have this name.
    yes: required for more than 1,000 of them with a live key.
    """
    with _in_python(observer) as watching:
        options = RetryOptions(job=job, group=group, project=project, yes=yes)
        return _summary(await run_retry(options, _settings(settings, watching), watching, signals=False))


async def job_status(job: str | None = None, *, settings: Settings | None = None) -> list[JobStatus]:
    """Jobs of the ledger with their counts, oldest first; no request is made."""
    with _in_python(None):
        return await read_status((settings or resolve_settings(need_key=False)).ledger, job)


async def list_failures(
    job: str | None = None,
    *,
    project: str | None = None,
    group: str | None = None,
    examples: int = 3,
    settings: Settings | None = None,
) -> list[FailureGroup]:
    """Failed, invalid and conflicting records by kind, largest first; no request is made.

    project: only jobs of it.
    """
    with _in_python(None):
        return await read_failures((settings or resolve_settings(need_key=False)).ledger, job, group, examples, project)


def _settings(settings: Settings | None, observer: Observer) -> Settings:
    chosen = settings or resolve_settings()
    for note in chosen.notes:
        observer.note(note)
    return chosen


def _listed(function: str, kind: type[Any], options: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Known options; those that take several values also take one string, not a list of letters."""
    # The flow finds `reading` in the settings.
    ours = {"sources", "type", "template"} if kind is ImportOptions else {"out", "reading"}
    known = {field.name for field in fields(kind)} - ours
    for name in options:
        if name not in known:
            raise TypeError(f"{function}() has no option {name!r}{did_you_mean(name, known)}")
    lists = {name: options[name] for name in names if options.get(name) is not None}
    return {**options, **{name: (value,) if isinstance(value, str) else tuple(value) for name, value in lists.items()}}


def in_python(text: str) -> str:
    """A sentence of the command line with arguments in place of options."""
    for ours, theirs in _PHRASES:
        text = text.replace(ours, theirs)
    return _OPTION.sub(lambda found: _argument(found[1]), text)


def _argument(option: str) -> str:
    name = _NAMES.get(option, option).replace("-", "_")
    return f"{name}=True" if name in _SWITCHES else f"{name}="


def _summary(summary: S) -> S:
    return replace(summary, message=in_python(summary.message))


class _Translated:
    """An observer whose notes name arguments."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def progress(self, snapshot: Progress) -> None:
        self._observer.progress(snapshot)

    def note(self, text: str) -> None:
        self._observer.note(in_python(text))


@contextmanager
def _in_python(observer: Watching) -> Iterator[Observer]:
    """The observer to use, and errors whose sentences name arguments."""
    try:
        if observer == "rich":
            from scalesync.cli.progress import ProgressDisplay  # noqa: PLC0415

            with ProgressDisplay() as display:
                yield _Translated(display)
        elif isinstance(observer, str):
            raise TypeError(f"observer must be 'rich' or an Observer, not {observer!r}")
        else:
            yield _Translated(observer or Silent())
    except ScalesyncError as error:
        error.args = (in_python(str(error)), *error.args[1:])
        raise
    except BaseExceptionGroup as group:
        causes = list(leaves(group))
        if len(causes) > 1:
            raise
        raise causes[0] from causes[0].__cause__  # what the records' own program raised comes out as it was
    finally:
        if not isinstance(observer, str):
            for sentence in clashes():
                (observer or Silent()).note(sentence)
