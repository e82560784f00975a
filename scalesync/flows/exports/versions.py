"""What increments need beside their reader: the memory of versions, and the check of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise

import anyio

from scalesync.engine.partitions import Partition
from scalesync.errors import ConfigError
from scalesync.events import Observer
from scalesync.flows.exports.folder import ExportPlan, Folder
from scalesync.flows.exports.origin import Origin
from scalesync.flows.exports.reader import PartitionReader
from scalesync.model.exports import Commit, Version
from scalesync.model.selection import Selection
from scalesync.outputs.manifest import Manifest
from scalesync.outputs.reader import left_lines_of, lines_of
from scalesync.ports.export_ledger import ExportLedger
from scalesync.ports.platform import Changes
from scalesync.times import iso, milliseconds

GROUP = 5_000  # tasks per window of the check of everything: one request each


async def recall_versions(
    plan: ExportPlan,
    store: ExportLedger,
    folder: Folder,
    manifest: Manifest | None,
    observer: Observer,
    *,
    version: Callable[[bytes], tuple[str, int]],
) -> None:
    """Make sure that a run that starts over knows exactly the versions in the folder's files.

    version: the ref and the version of a task by its line.

    The ledger may be new or lost, may be behind the folder, or may know versions of a run that ended before its files
    counted. Then the files are read again: they are the truth.
    """
    if not plan.fresh or plan.versions_hold:
        return
    await store.forget_versions()
    if manifest is None:
        return
    observer.note("reading the versions back from the files of this folder")
    batches = _batches(folder, manifest, version)
    while (batch := await anyio.to_thread.run_sync(next, batches, None)) is not None:
        await store.commit(Commit(versions=batch))


def _batches(
    folder: Folder, manifest: Manifest, version: Callable[[bytes], tuple[str, int]]
) -> Iterator[dict[str, Version]]:
    """Versions in the order in which they were written, so that the newest is written last."""
    for entry in manifest.files:
        batch: dict[str, Version] = {}
        path = folder.path / entry.path
        try:
            if entry.kind == "left":
                for line in left_lines_of(path):
                    batch[line.task_id] = Version(milliseconds(line.updated_at), matched=False)
            else:
                for ref, number in map(version, lines_of(path)):
                    batch[ref] = Version(number, matched=True)
                    if len(batch) >= GROUP:
                        yield batch
                        batch = {}
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read back ({error}); choose another --out") from error
        yield batch


async def check_everything(
    reader: PartitionReader, plan: ExportPlan, store: ExportLedger, origin: Origin, observer: Observer
) -> None:
    """Compare counts per window of updates with the server's, one request each; read again where they differ.

    This finds exceptions from the assumption of increments: changes that did not raise `updated_at`, or appeared later
    than the overlap. If the platform does not count, everything is read again.
    """
    if origin.changes is Changes.NONE:
        return  # this increment has read everything
    if origin.changes is not Changes.TIME:
        await _read_everything(reader, plan, origin, observer)
        return
    marks = [0, *await store.updated_marks(GROUP), plan.started_ms]
    windows = [(lo, hi) for lo, hi in pairwise(sorted(set(marks))) if hi > lo]
    differing = 0
    lister = origin.lister
    for lo, hi in windows:
        bounds = {name: ms for name, ms in plan.asked.bounds.items() if name.startswith("created")}
        bounds |= {"updated_before": hi} | ({"updated_after": lo} if lo else {})
        asked = replace(plan.asked, bounds=bounds)
        page = await origin.call(partial(lister.page, lister.query(asked, 1), None))
        if page.total is None:
            await _read_everything(reader, plan, origin, observer)
            return
        # The server is asked from lo - 1 to hi + 1, and either end may be inclusive or not.
        counts = {await store.count_updated(first, last) for first in (lo - 1, lo) for last in (hi + 1, hi + 2)}
        if page.total in counts:
            continue
        differing += 1
        span = await origin.span(plan.selection, plan.started_ms)
        await reader.run_again(asked, Partition.over(reader.next_number(), span.lo, span.hi))
    told = f"{differing} of {len(windows)} windows differed and were read again" if differing else "nothing differed"
    observer.note(f"checked everything up to {iso(plan.started_ms)}: {told}")


def everything(plan: ExportPlan) -> Selection:
    """What an increment asks for, whenever it changed."""
    bounds = {name: ms for name, ms in plan.asked.bounds.items() if name.startswith("created")}
    return replace(plan.asked, bounds=bounds, since=None)


async def _read_everything(reader: PartitionReader, plan: ExportPlan, origin: Origin, observer: Observer) -> None:
    span = await origin.span(plan.selection, plan.started_ms)
    await reader.run_again(everything(plan), Partition.over(reader.next_number(), span.lo, span.hi))
    observer.note(f"read everything up to {iso(plan.started_ms)} again: the server does not count what changed")
