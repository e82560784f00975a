"""The options and results of flows: frozen, without I/O. The flow validates its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from scalesync.model.targets import DEFAULT_PLATFORM
from scalesync.ports.spec import ONE_LIST, Reading
from scalesync.sources.places.named import as_named
from scalesync.stored import Form, Member

OnConflict = Literal["report", "adopt", "stop"]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """One import as asked for; field by field the options of `scalesync import`.

    template: path of a TOML or JSON file, or the mapping itself.
    sets: KEY=JSON strings as typed.
    max_failures: a number or a percentage such as "5%".
    canary_wait: seconds at most for the canary's attachments.
    folder: where relative sources lie, None for the working folder.
    some: of several sources, those that are gone are skipped.
    at_least_once: on a platform without keys, a record may become two tasks.
    describe_all: each file of a folder that holds no record is one, which only describes it.
    blueprint: of records that name none; their tasks follow it.
    """

    sources: tuple[str, ...]
    type: str
    job: str | None = None
    project: str | None = None
    batch: str | None = None
    unique_id: str | None = None
    template: str | Path | Mapping[str, Any] | None = None
    sets: tuple[str, ...] = ()
    limit: int | None = None
    dry_run: bool = False
    on_conflict: OnConflict = "report"
    reclaim: frozenset[str] = frozenset()
    finalize: bool = False
    finalize_anyway: bool = False
    canary: int | None = None
    canary_wait: float = 30.0
    max_new: int | None = None
    max_failures: str | None = None
    max_invalid: int | None = None
    force: bool = False
    yes: bool = False
    rescan: bool = False
    format: str | None = None
    delimiter: str | None = None
    quotechar: str | None = None
    header: tuple[str, ...] | None = None
    encoding: str = "utf-8"
    records: str | None = None
    skip_rows: int = 0
    folder: str | None = None
    some: bool = False
    at_least_once: bool = False
    describe_all: bool = False
    blueprint: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(as_named(source) for source in self.sources))


IMPORT_OPTIONS = Form(
    ImportOptions,
    "the options of an import",
    [
        Member("sources", read=tuple),
        Member("type"),
        *(Member(name, absent=None) for name in ("job", "project", "batch", "unique_id", "template")),
        Member("sets", absent=(), read=tuple),
        Member("limit", absent=None),
        Member("dry_run", absent=False),
        Member("on_conflict", absent="report"),
        Member("reclaim", absent=(), write=sorted, read=frozenset),
        Member("finalize", absent=False),
        Member("finalize_anyway", absent=False),
        Member("canary", absent=None),
        Member("canary_wait", absent=30.0),
        *(Member(name, absent=None) for name in ("max_new", "max_failures", "max_invalid")),
        *(Member(name, absent=False) for name in ("force", "yes", "rescan")),
        *(Member(name, absent=None) for name in ("format", "delimiter", "quotechar")),
        Member("header", absent=None, read=lambda names: None if names is None else tuple(names)),
        Member("encoding", absent="utf-8"),
        Member("records", absent=None),
        Member("skip_rows", absent=0),
        Member("folder", absent=None),
        Member("some", absent=False),
        Member("at_least_once", absent=False),
        Member("describe_all", absent=True),  # as earlier versions read folders
        Member("blueprint", absent=None),
    ],
)
"""As a job keeps them, beside what it keeps of earlier runs."""


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """One retry as asked for.

    job: None for the only import job of the target.
    group: of `failures`, None for all.
    project: of the job, where several have its name.
    errored: the records whose tasks turned to `error`, in place of the failed ones.
    yes: answers the question about many records with a live key.
    """

    job: str | None = None
    group: str | None = None
    project: str | None = None
    errored: bool = False
    yes: bool = False


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """One export as asked for. Times are ISO 8601 or ages such as "7d"; without a zone they are UTC.

    via: lists in pages, a file that the platform makes, or auto: the file where the platform makes one.
    reading: which of the platform's lists; the flow finds it in the settings.
    """

    out: Path
    job: str | None = None
    project: str | None = None
    batch: str | None = None
    type: str | None = None
    status: tuple[str, ...] = ()
    review_status: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    created_after: str | None = None
    created_before: str | None = None
    updated_after: str | None = None
    updated_before: str | None = None
    completed_after: str | None = None
    completed_before: str | None = None
    format: str = "jsonl"
    download_responses: bool = False
    fields: tuple[str, ...] = ()
    again: bool = False
    incremental: bool = False
    full_every: str | None = None
    overlap: str = "10m"
    via: Literal["auto", "pages", "job"] = "auto"
    page_size: int | None = None
    reading: Reading = ONE_LIST


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job as the ledger knows it.

    state: "running", "finished", "unfinished".
    windows: of a backfill, earliest first: start, end, state, and figures of what was read.
    message: the sentence that the last run ended with.
    """

    job: str
    command: str
    target: str
    mode: str
    state: str
    counts: Mapping[str, int]
    started_at: str | None
    ended_at: str | None
    running: str | None
    sources: tuple[str, ...]
    last: str | None
    windows: tuple[Mapping[str, Any], ...] = ()
    tasks: Mapping[str, int] | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class StoppedJob:
    """A job whose last run stopped before its end.

    message: the sentence that it ended with.
    """

    job: str
    target: str
    mode: str
    account: str
    exit_code: int
    message: str


CHANGED = (
    "the record, or the type, project or batch asked for, differs from what the task was created for; the task stays as"
    " it is, and --on-conflict adopt accepts it"
)
CHANGED_REASON = "changed_after_creation"
_IN_WORDS = {CHANGED_REASON: CHANGED}


def in_words(reason: str) -> str:
    """A reason in words for people: the names that programs read are spelled out."""
    return _IN_WORDS.get(reason, reason)


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Failures of one kind in one job.

    group: what `retry --group` takes.
    state: failed, invalid or conflict.
    examples: at most three of {"unique_id", "file", "line", "reason", "task_id", "differences"}.
    """

    job: str
    target: str
    mode: str
    account: str
    group: str
    state: str
    status: int | None
    message: str
    count: int
    examples: tuple[Mapping[str, Any], ...] = field(default=())
    platform: str = DEFAULT_PLATFORM
