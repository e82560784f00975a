"""Reads the files of an export folder back: the refs of tasks by range, the newest version of each task."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import anyio

from scalesync.errors import ConfigError
from scalesync.model.exports import Commit, Version
from scalesync.model.task_view import TaskView
from scalesync.outputs.manifest import STAGES, FileEntry, Manifest, hidden
from scalesync.outputs.reader import left_lines_of, lines_of, stage_lines_of, views_of
from scalesync.ports.export_ledger import ExportLedger
from scalesync.ports.platform import Axis, Lister
from scalesync.times import milliseconds

TIMES = {Axis.CREATED: "creation", Axis.VERSIONS: "change"}
READ_BACK = 5_000  # lines of a file read back at a time

Ranges = Sequence[tuple[int, int]]
Already = Callable[[Ranges], AsyncIterator[tuple[int, Sequence[str]]]]


def already(folder: Path, store: ExportLedger, lister: Lister, view: Callable[[bytes], TaskView]) -> Already:
    """A function that returns the refs in this run's files by range, or raises ValueError if the lines lack them."""

    async def look(ranges: Ranges) -> AsyncIterator[tuple[int, Sequence[str]]]:
        whole = [(folder / entry["path"], None) for entry in await store.files("tasks")]
        parts = [(hidden(folder, entry["name"]), entry["bytes"]) for entry in await store.files("tasks:open")]
        batches = _ids_in([*whole, *parts], ranges, lister, view)
        while (batch := await anyio.to_thread.run_sync(next, batches, None)) is not None:
            for number, refs in batch.items():
                yield number, refs

    return look


def _ids_in(
    files: Sequence[tuple[Path, int | None]], ranges: Ranges, lister: Lister, view: Callable[[bytes], TaskView]
) -> Iterator[dict[int, list[str]]]:
    """Batches of refs by the number of their range.

    ranges: none overlaps another.
    """
    ordered = sorted((lo, hi, number) for number, (lo, hi) in enumerate(ranges))
    starts = [lo for lo, _, _ in ordered]
    for path, limit in files:
        tasks = views_of(path, view, limit)
        while group := list(islice(tasks, READ_BACK)):
            batch: dict[int, list[str]] = {}
            for task in group:
                place = lister.place_of(task)
                if lister.axis in TIMES and not place:
                    raise ValueError(f"{path}: holds a line without its time of {TIMES[lister.axis]}")
                lo, hi, number = ordered[max(0, bisect_right(starts, place) - 1)]
                if lo <= place < hi:
                    batch.setdefault(number, []).append(task.ref)
            yield batch


async def recall_versions(
    store: ExportLedger, folder: Path, manifest: Manifest | None, *, version: Callable[[bytes], tuple[str, int]]
) -> None:
    """Replace the ledger's versions by those in the folder's files, which are the truth.

    version: the ref and the version of a task by its line.
    """
    await store.forget_versions()
    if manifest is None:
        return
    batches = _versions_in(folder, manifest, version)
    while (batch := await anyio.to_thread.run_sync(next, batches, None)) is not None:
        await store.commit(Commit(versions=batch))


def _versions_in(
    folder: Path, manifest: Manifest, version: Callable[[bytes], tuple[str, int]]
) -> Iterator[dict[str, Version]]:
    """Versions in the order in which they were written, so the newest comes last."""
    for entry in manifest.files:
        batch: dict[str, Version] = {}
        path = folder / entry.path
        try:
            if entry.kind == STAGES:
                continue
            if entry.kind == "left":
                for line in left_lines_of(path):
                    batch[line.task_id] = Version(milliseconds(line.updated_at), matched=False)
            else:
                for ref, number in map(version, lines_of(path)):
                    batch[ref] = Version(number, matched=True)
                    if len(batch) >= READ_BACK:
                        yield batch
                        batch = {}
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read back ({error}); choose another --out") from error
        yield batch


async def recall_parts(store: ExportLedger, folder: Path, files: Sequence[FileEntry]) -> None:
    """Replace the ledger's deliveries of parts by those in these files, which are the truth. Raises ConfigError."""
    await store.forget_parts()
    batches = _parts_in(folder, files)
    while (batch := await anyio.to_thread.run_sync(next, batches, None)) is not None:
        await store.commit(Commit(parts=batch))


def _parts_in(folder: Path, files: Sequence[FileEntry]) -> Iterator[dict[str, dict[str, str]]]:
    """Deliveries in the order in which they were written, so the newest of a part comes last."""
    for entry in files:
        lines = stage_lines_of(folder / entry.path)
        try:
            while group := list(islice(lines, READ_BACK)):
                batch: dict[str, dict[str, str]] = {}
                for line in group:
                    batch.setdefault(line.task_id, {})[line.stage] = line.delivered_at
                yield batch
        except (OSError, EOFError, ValueError) as error:
            raise ConfigError(f"{folder / entry.path}: cannot be read back ({error}); choose another --out") from error
