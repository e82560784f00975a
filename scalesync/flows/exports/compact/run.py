"""Compact: the newest version of each task in a folder of increments, written into another folder.

    manifest --> check every sha256 --> first reading: task_id -> newest line, on disk
                                        second reading: those lines, byte for byte --> manifest.json, the commit point

Lines are in the order in which the newest versions were written, so the same folder gives the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from scalesync.disk import holding_folder
from scalesync.errors import ConfigError
from scalesync.events import Observer, Progress
from scalesync.flows.exports import filters
from scalesync.flows.exports.compact.source_lines import SourceLines
from scalesync.flows.exports.folder.finished import loss, lost_files
from scalesync.flows.exports.folder.manifests import NUMBERS, highest
from scalesync.flows.runtime.identity import derived_name
from scalesync.flows.runtime.ledgers import open_versions_index
from scalesync.flows.runtime.rate_meter import RateMeter
from scalesync.flows.runtime.setup.services import default_spec, spec_of
from scalesync.model.records import JsonObject
from scalesync.model.targets import Mode, Target
from scalesync.outputs.encoders.registry import of_lines
from scalesync.outputs.manifest import (
    LAYOUT,
    NAME,
    PART,
    PLATFORM,
    STAGES,
    FileEntry,
    Manifest,
    check_folder,
    load,
    remove_orphans,
    under_of,
)
from scalesync.outputs.writer import Placing, SegmentWriter, clean_parts
from scalesync.ports.export_ledger import VersionsIndex
from scalesync.text import count
from scalesync.times import iso, local_ms, milliseconds, now_iso

STEMS = ("tasks", STAGES)
CARRIED = ("unsettled", "responses_failed", PLATFORM)


@dataclass(frozen=True, slots=True)
class CompactOptions:
    """One compaction as asked for.

    as_of: ISO 8601 or an age such as "7d"; without a zone it is UTC.
    """

    source: Path
    to: Path
    as_of: str | None = None
    format: str = "jsonl"


@dataclass(frozen=True, slots=True)
class CompactSummary:
    """What was read and written.

    stages: deliveries of stages, the newest of each.
    left: tasks that no longer belonged to the export.
    read: lines of the source.
    """

    job: str
    source: str
    as_of: str | None
    read: int
    tasks: int
    left: int
    files: int
    bytes: int
    watermark: str | None
    seconds: float
    stages: int = 0
    message: str = ""
    exit_code: int = 0


async def run_compact(options: CompactOptions, observer: Observer) -> CompactSummary:
    """Compact as asked. Raises ConfigError before anything is written; a cancelled run leaves no data."""
    as_of_ms = None if options.as_of is None else filters.moment(options.as_of, local_ms(), "--as-of")
    with holding_folder(options.to):
        return await _compact(options, as_of_ms, observer)


async def _compact(options: CompactOptions, as_of_ms: int | None, observer: Observer) -> CompactSummary:
    work = await anyio.to_thread.run_sync(lambda: _Compaction(options, as_of_ms))
    done = await anyio.to_thread.run_sync(work.prepare)
    if done is not None:
        return done
    meter = RateMeter()
    try:
        steps = work.steps()
        while (progress := await anyio.to_thread.run_sync(next, steps, None)) is not None:
            rate, share = meter.rate(progress.done), progress.share
            left_s = meter.left_s(progress.done * (1 - share) / share) if share else None
            observer.progress(replace(progress, seconds=meter.seconds, rate=rate, left_s=left_s))
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(work.give_up)
        raise
    await anyio.to_thread.run_sync(work.finish)
    return work.summary(meter.seconds)


def _source(folder: Path) -> tuple[Manifest, str]:
    """The manifest of a folder, and a hash of this state of it or an older one."""
    with _option("--from"):
        try:
            digest = hashlib.sha256((folder / NAME).read_bytes()).hexdigest()
        except OSError:
            digest = ""
        manifest = load(folder)
    if manifest is None:
        raise ConfigError(f"{folder}: holds no {NAME}; --from takes the folder of an export")
    return manifest, digest


@contextmanager
def _option(name: str) -> Iterator[None]:
    """Names another option here where a message names an export's --out."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(str(error).replace("--out", name)) from error


class _Compaction:
    """One run, in blocking steps for a thread."""

    def __init__(self, options: CompactOptions, as_of_ms: int | None) -> None:
        self._options = options
        self._as_of = None if as_of_ms is None else iso(as_of_ms)
        source, self._digest = _source(options.source)
        self._source = source
        platform = spec_of(source.platform or default_spec().name)
        self._columns = platform.columns
        self._lines = SourceLines(options.source, source.files, platform.view, as_of_ms)
        self._folder = options.to
        identity = {"from": str(options.source.absolute()), "as_of": options.as_of}
        self._job = derived_name("compact", Target(source.target, Mode(source.mode)), identity, options.source.name)
        self._marker = self._folder / f"{PART}{self._job}.db"
        self._writers: dict[str | None, SegmentWriter] = {None: SegmentWriter(self._folder, "tasks", options.format)}
        self._before: Manifest | None = None
        self._lost = ""
        self._index: VersionsIndex | None = None
        self._entries: list[FileEntry] = []
        self._left = 0
        self._written: dict[str | None, int] = {None: 0, STAGES: 0}
        self._all_rows = max(1, sum(entry.rows for entry in source.files))

    def prepare(self) -> CompactSummary | None:
        """Check the folders and take the lock; returns the summary of the run before if nothing changed."""
        if self._folder.resolve().is_relative_to(self._options.source.resolve()):
            raise ConfigError("--to must be another folder than --from, and outside of it")
        if {entry.kind for entry in self._source.files} - {None, "left", STAGES}:
            raise ConfigError(f"{self._options.source}: holds files of a kind that this program does not know")
        with _option("--to"):
            manifest = self._before = check_folder(self._folder, self._job, stems=STEMS, begun=self._marker.exists())
        if manifest is not None and manifest.extra.get("source") == self._origin():
            lost = lost_files(self._folder, manifest)
            if not lost:
                return self._unchanged(manifest)
            self._lost = loss(self._folder, lost, "made again from --from")
        taken, format = highest(manifest), self._options.format
        under = under_of(manifest)
        tasks = Placing(1 + taken.get("tasks", 0), under=under)
        stages = Placing(1 + taken.get(STAGES, 0))
        self._writers = {
            None: SegmentWriter(self._folder, "tasks", format, placing=tasks, typed=bool(under), columns=self._columns),
            STAGES: SegmentWriter(self._folder, STAGES, of_lines(format), placing=stages),
        }
        self._index = open_versions_index(self._marker)
        self._clean()
        return None

    def _clean(self) -> None:
        clean_parts(self._folder, keep={self._marker.name.removeprefix(PART)})
        remove_orphans(self._folder, set(), stems=STEMS)

    def _origin(self) -> JsonObject:
        """The input of the result: equal if the result would be equal."""
        return {
            "job": self._source.job,
            "manifest_sha256": self._digest,
            "format": self._options.format,
            "as_of": self._as_of,
        }

    def _unchanged(self, manifest: Manifest) -> CompactSummary:
        self._entries = manifest.files
        self._lines.read = sum(entry.rows for entry in self._source.files)
        for entry in manifest.files:
            self._written[entry.kind] += entry.rows
        self._left = manifest.extra.get("left", 0)
        done = self.summary(0.0)
        reason = f"nothing to do: made at {manifest.finished_at}, --from has not changed since"
        return replace(done, message="; ".join(filter(None, (reason, done.message))))

    def steps(self) -> Iterator[Progress]:
        """Check, read, and write, a step at a time."""
        for entry in self._source.files:
            self._check(entry)
            yield self._progress(0.0)
        yield from self._find_newest()
        yield from self._write_newest()

    def _check(self, entry: FileEntry) -> None:
        """Raises ConfigError for a file that differs from the listed one."""
        path = self._options.source / entry.path
        try:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read ({error.strerror}); the manifest lists it") from error
        if digest != entry.sha256:
            raise ConfigError(f"{path}: is not what the manifest lists (its sha256 differs); restore it first")

    def _find_newest(self) -> Iterator[Progress]:
        assert self._index is not None
        for read in self._lines.find(self._index):
            yield self._progress(read / self._all_rows / 2)

    def _write_newest(self) -> Iterator[Progress]:
        assert self._index is not None
        for kind, lines, read in self._lines.newest(self._index):
            if lines:  # of `left` there are none
                self._put(kind, lines)
            yield self._progress((1 + read / self._all_rows) / 2)
        self._left = self._index.gone()
        for kind in self._writers:
            self._end_file(kind)

    def _put(self, kind: str | None, lines: list[bytes]) -> None:
        self._writers[kind].write(lines)
        self._written[kind] += len(lines)
        if self._writers[kind].full:
            self._end_file(kind)

    def _end_file(self, kind: str | None) -> None:
        entry = self._writers[kind].finish()
        if entry is not None:
            self._entries.append(replace(entry, kind=kind))

    def finish(self) -> None:
        """Publish the manifest, then remove what it does not list."""
        assert self._index is not None
        extra: JsonObject = {"source": self._origin(), "as_of": self._as_of, "left": self._left}
        extra |= {LAYOUT: 1} if under_of(self._before) else {}
        extra[NUMBERS] = highest(self._before, [entry.path for entry in self._entries])
        extra |= {name: self._source.extra[name] for name in CARRIED if self._source.extra.get(name)}
        manifest = Manifest(
            job=self._job,
            target=self._source.target,
            mode=self._source.mode,
            filters=self._source.filters,
            watermark=self._watermark(),
            started_at=self._source.started_at,
            finished_at=now_iso(),
            files=self._entries,
            extra=extra,
        )
        manifest.commit(self._folder)
        remove_orphans(self._folder, set(), stems=STEMS)
        self._index.close(remove=True)

    def give_up(self) -> None:
        """Remove everything that this run wrote."""
        for writer in self._writers.values():
            writer.abort()
        if self._index is not None:
            self._clean()
            self._index.close(remove=True)

    def _watermark(self) -> str | None:
        """The source's, but never later than --as-of allows."""
        watermark = self._source.watermark
        return min(watermark, self._as_of, key=milliseconds) if watermark and self._as_of else watermark

    def summary(self, seconds: float) -> CompactSummary:
        """The figures so far."""
        unsettled = self._source.extra.get("unsettled", 0)
        found = f"{count(unsettled, 'unsettled partition')} in the export it was made from" if unsettled else ""
        return CompactSummary(
            job=self._job,
            source=str(self._options.source),
            as_of=self._as_of,
            read=self._lines.read,
            tasks=self._written[None],
            stages=self._written[STAGES],
            left=self._left,
            files=len(self._entries),
            bytes=sum(entry.bytes for entry in self._entries),
            watermark=self._watermark(),
            seconds=round(seconds, 3),
            message="; ".join(filter(None, (self._lost, found))),
        )

    def _progress(self, share: float) -> Progress:
        return Progress("compact", self._written[None], None, share, 0, 0, 0.0, 0, 0.0)
