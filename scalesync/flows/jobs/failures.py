"""Writes failing records back out as a source, with the reason of each beside it.

scalesync looks for a record in its old place, then in the rest of its source, then in the others: for a record by its
unique_id, built as the import builds it, for an invalid place by its stored text. It reports records that it does not
find, or not whole.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import anyio

from scalesync.config.settings import Settings
from scalesync.errors import ConfigError, RecordError
from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.imports.reading.prepare import RAW_LIMIT
from scalesync.flows.imports.stored import options_of, plan_of
from scalesync.flows.jobs.status import example_of, failure_group, group_of, open_to_read
from scalesync.flows.jobs.write_failures import NotWritten, WrittenOut, bad_of, check_places, outputs, writing
from scalesync.flows.runtime.lease import is_of
from scalesync.flows.runtime.options import ImportOptions
from scalesync.flows.runtime.output_guard import same_file
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.home import Home
from scalesync.jsonvalue import as_text, dumps
from scalesync.model.jobs import Failure, JobRow
from scalesync.model.records import BadRecord, SourceRecord
from scalesync.model.rows import RecordState
from scalesync.ports.ledger import Ledger
from scalesync.sources.about import written_out
from scalesync.sources.places.named import is_read_once, placed_in, read_once

SHOWN_FILES = 3
Where = Callable[[str, int], Hashable]
# The parts of a record's place that must be the same in each reading of the sources: all, the file, nothing.
PLACES: tuple[Where, ...] = (lambda path, line: (path, line), lambda path, line: path, lambda path, line: None)


async def write_failures(
    settings: Settings, job: str | None, group: str | None, out: Path, project: str | None = None
) -> WrittenOut:
    """Write failing records back out as a source (JSON lines), with the reasons in `OUT.reasons.jsonl` beside it.

    A place that is not a record is written unchanged into `OUT.bad.txt`. If the ledger has several targets, the key in
    the settings selects one. Files are replaced only after everything is written. Raises ConfigError if the target is
    unclear, or if another file, or an earlier output that a person changed, would be lost.
    """
    ledger = open_to_read(settings.ledger)
    try:
        jobs = await _failing(ledger, settings, job, group, project)
        changes = await _changes(ledger, job, group, project)
    finally:
        ledger.close()
    written = await anyio.to_thread.run_sync(_write, out, settings.ledger, jobs)
    return replace(written, left=(*written.left, *changes))


async def _changes(ledger: Ledger, job: str | None, group: str | None, project: str | None) -> list[NotWritten]:
    """Failing changes of `apply`, which are not records that an import could take."""
    found = []
    for row in await _jobs(ledger, "apply", job, project):
        if count := len(await _failures(ledger, row, group)):
            why = f"{count:,} of job {row.name} are changes, not records to import: without --out they are listed"
            found.append(NotWritten(row.name, count, why))
    return found


async def _jobs(ledger: Ledger, command: str, job: str | None, project: str | None) -> list[JobRow]:
    return [
        row
        for row in await ledger.jobs()
        if row.command == command and job in {None, row.name} and is_of(row.target, row.settings, project)
    ]


Failing = Sequence[tuple[JobRow, ImportOptions, Sequence[Failure]]]


async def _failing(
    ledger: Ledger, settings: Settings, job: str | None, group: str | None, project: str | None
) -> Failing:
    rows = await _jobs(ledger, "import", job, project)
    if not rows and job is not None and await _jobs(ledger, "apply", job, project):
        raise ConfigError(f"job {job} makes changes, which are not records to import: without --out they are listed")
    if not rows:
        what = f"{f' {job}' if job else ''}{f' of project {project}' if project else ''}"
        raise ConfigError(f"the ledger {settings.ledger} has no import job{what}")
    if settings.api_key:
        rows = [row for row in rows if row.target.whole == settings.target] or rows
    jobs = [(row, await _options(ledger, row), await _failures(ledger, row, group)) for row in rows]
    targets = list(dict.fromkeys(str(row.target.whole) for row, _, failures in jobs if failures))
    if len(targets) > 1:
        what = f"job {job} has failing records" if job else "there are failing records"
        key = spec_of(settings.platform).variables.key
        raise ConfigError(
            f"{what} of {' and of '.join(targets)}: set {key}, and --base-url where the addresses differ, to say which"
            " are meant"
        )
    return jobs


async def _options(ledger: Ledger, row: JobRow) -> ImportOptions:
    job = await ledger.find_job(row.target, row.name)
    assert job is not None
    return await options_of(ledger, job)


async def _failures(ledger: Ledger, row: JobRow, group: str | None) -> list[Failure]:
    found: list[Failure] = []

    def keep(failure: Failure) -> None:
        if group is None or failure_group(failure) == group:
            found.append(failure)

    await ledger.visit_failures(keep, number=row.id)
    return found


def _write(out: Path, ledger: Path, jobs: Failing) -> WrittenOut:
    folders = [(options.folder or "", row.sources) for row, options, _ in jobs]
    check_places(out, ledger, [placed_in(folder, name) for folder, names in folders for name in names])
    left: list[NotWritten] = []
    with writing(out) as written:
        for row, options, failures in jobs:
            search = Search(row, options, failures, outputs(out), Home(ledger.parent))
            for text, failure in search.found():
                written.add(text, example_of(failure))
            left += search.left()
    return WrittenOut(written.records, tuple(left), written.bad, bad_of(out) if written.bad else None)


class Search:
    """A search for the failing records of one job in its sources.

    spared: files to skip, because they are not sources.
    """

    def __init__(
        self, row: JobRow, options: ImportOptions, failures: Sequence[Failure], spared: Sequence[Path], home: Home
    ) -> None:
        self._job = row.name
        self._platform = spec_of(row.target.platform)
        self._options = options
        self._home = home
        self._all = len(failures)
        ordered = sorted(failures, key=lambda failure: (failure.repeat, failure.path, failure.line))
        self._piped = [failure for failure in ordered if is_read_once(failure.path)]
        self._missing = [failure for failure in ordered if not is_read_once(failure.path)]
        self._spared = spared
        self._taken: set[tuple[str, int]] = set()
        self._unkept = self._cut = self._blank = 0

    def found(self) -> Iterator[tuple[bytes, Failure]]:
        """Each record that can be written, as text, in the order of the sources; moved records come last."""
        yield from self._kept()
        if not self._missing:
            return
        sources = tuple(source for source in self._options.sources if not is_read_once(source))
        plan = plan_of(replace(self._options, sources=sources), self._platform, self._home)
        for where in PLACES:
            if self._missing:
                yield from self._read(plan, where)

    def left(self) -> list[NotWritten]:
        """The records that could not be written, with reasons. Call it after `found` has ended."""
        every = (
            (self._gone(), len(self._missing)),
            (
                f"came from {read_once(self._options.sources)}, and its records are not kept: scalesync retry --job"
                f" {self._job} and the same input piped into the same import send what failed again",
                self._unkept,
            ),
            (f"are too long: only their first {RAW_LIMIT:,} characters are left", self._cut),
            ("hold no text that could be written", self._blank),
        )
        return [
            NotWritten(self._job, count, f"{count:,} of {self._all:,} failing records of job {self._job} {why}")
            for why, count in every
            if count
        ]

    def _gone(self) -> str:
        files = list(dict.fromkeys(failure.file for failure in self._missing))
        more = f" and {len(files) - SHOWN_FILES:,} more" if len(files) > SHOWN_FILES else ""
        return f"are no longer in {', '.join(files[:SHOWN_FILES])}{more}: they changed or were removed"

    def _kept(self) -> Iterator[tuple[bytes, Failure]]:
        """Of a pipe there is only the text that the ledger kept of invalid places."""
        for failure in self._piped:
            raw = failure.raw or ""
            if failure.state != RecordState.INVALID:
                self._unkept += 1
            elif len(raw) >= RAW_LIMIT:
                self._cut += 1
            elif not raw.strip():
                self._blank += 1
            else:
                yield raw.encode("utf-8", "replace"), failure

    def _read(self, plan: ImportPlan, where: Where) -> Iterator[tuple[bytes, Failure]]:
        """Read the sources once; a record counts if `where` accepts its place."""
        queues: dict[Hashable, deque[Failure]] = defaultdict(deque)
        for failure in self._missing:
            queues[where(failure.path, failure.line), _handle(failure)].append(failure)
        wanted = {where(failure.path, failure.line) for failure in self._missing}
        for path, place in self._places(plan):
            at = where(path, place.line)
            if at not in wanted or (path, place.line) in self._taken:
                continue
            sights = _sights(plan, place)
            found = [queue for handle, _ in sights if (queue := queues.get((at, handle)))]
            if not found or (found[0][0].repeat and any(found[0][0].content == content for _, content in sights)):
                continue
            self._taken.add((path, place.line))
            yield from self._usable(place, found[0].popleft())
        self._missing = [failure for queue in queues.values() for failure in queue]

    def _places(self, plan: ImportPlan) -> Iterator[tuple[str, SourceRecord | BadRecord]]:
        for (path, _), source in zip(plan.splits(), plan.sources, strict=True):
            if source.place is not None and any(same_file(spared, source.place) for spared in self._spared):
                continue  # a pattern may match files that an earlier run wrote
            for block in source.blocks():
                for place in block.records:
                    yield path, place

    def _usable(self, place: SourceRecord | BadRecord, failure: Failure) -> Iterator[tuple[bytes, Failure]]:
        text = _text(place)
        if text is None:
            self._cut += 1
        elif not text.strip():
            self._blank += 1
        else:
            yield text, failure


def _handle(failure: Failure) -> Hashable:
    """What identifies a failing record anywhere."""
    return (failure.raw or "", failure_group(failure)) if failure.unique_id is None else failure.unique_id


def _sights(plan: ImportPlan, place: SourceRecord | BadRecord) -> list[tuple[Hashable, bytes]]:
    """(handle, content) of a place as this version has it, then as older versions had it."""
    if isinstance(place, BadRecord):
        return [((place.raw[:RAW_LIMIT], _invalid(place.reason)), b"")]
    try:
        record = plan.builder.build(place, 0)
    except RecordError as error:
        raw = as_text(written_out(place.value, place.about))[:RAW_LIMIT]
        return [((raw, _invalid(str(error))), b"")]
    former = record.former
    return [(record.key, record.content), *([(former.key or record.key, former.content)] if former else ())]


def _invalid(reason: str) -> str:
    return group_of(RecordState.INVALID, None, reason, None)


def _text(place: SourceRecord | BadRecord) -> bytes | None:
    """The text to write for a place; None if only its beginning is known."""
    if isinstance(place, BadRecord):
        short = len(place.raw) < RAW_LIMIT
        return place.raw.encode("utf-8", "replace") if place.whole is None and short else place.whole
    value = written_out(place.value, place.about)
    try:
        return dumps(value)
    except ValueError:
        return as_text(value).encode()
