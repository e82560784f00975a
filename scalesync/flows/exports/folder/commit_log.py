"""CommitLog: writes the pages of an export to disk and ledger, in groups.

    put --> group --> lines into the open files --> fsync --> ledger: file lengths, partitions, versions --> put returns

A page counts once its group is durable. A reader waits for that before it requests the next page, so a kill costs
each partition at most one page. Files are finished (renamed) by size and age.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio

from scalesync.model.exports import Commit, Version
from scalesync.model.records import JsonObject
from scalesync.outputs.manifest import FileEntry
from scalesync.outputs.writer import OPEN_PART, OpenPart, SegmentWriter
from scalesync.ports.export_ledger import ExportLedger

SEGMENT_S = 600.0
BACKLOG = 64  # pages that may wait while a file cannot be resumed (Parquet)


@dataclass(slots=True)
class PageCommit:
    """The content of one page: states of its partitions, lines by kind of file, versions and delivered parts."""

    partitions: list[JsonObject] = field(default_factory=list)
    lines: dict[str, Sequence[bytes]] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    parts: dict[str, dict[str, str]] = field(default_factory=dict)


class CommitLog:
    """Writes entries in the order of `put`. `run` works until it is cancelled; `close` finishes every file."""

    def __init__(self, writers: Mapping[str, SegmentWriter], store: ExportLedger) -> None:
        self.written: dict[str, int] = dict.fromkeys(writers, 0)
        self.progress: Callable[[], JsonObject] = dict
        self._writers = writers
        self._store = store
        self._resumable = all(writer.resumable for writer in writers.values())
        self._waiting: list[PageCommit] = []
        self._held = Commit()
        self._held_pages = 0
        self._ready = anyio.Event()
        self._durable = anyio.Event()
        self._since = time.monotonic()
        self._busy = anyio.Lock()  # a stop must not close files under a group that is being written
        self._error: Exception | None = None

    async def put(self, entry: PageCommit) -> None:
        """Queue an entry and wait until it is durable. Parquet is durable later, so there it waits for the write."""
        durable = self._durable
        self._waiting.append(entry)
        self._ready.set()
        await durable.wait()
        if self._error is not None:
            raise self._error

    async def versions(self, refs: Sequence[str]) -> dict[str, Version]:
        """The known versions of these tasks, also those that wait for their file: a Parquet file is durable late."""
        held = self._held.versions
        return {**await self._store.versions(refs), **{ref: held[ref] for ref in refs if ref in held}}

    async def parts(self, refs: Sequence[str]) -> dict[str, dict[str, str]]:
        """The newest deliveries of these tasks' parts, also those that wait for their file. See `ExportLedger`."""
        held, known = self._held.parts, await self._store.parts(refs)
        return {ref: {**known.get(ref, {}), **held.get(ref, {})} for ref in refs}

    async def run(self) -> None:
        """Write groups until cancelled. Every waiting `put` raises an error of its group."""
        while True:
            await self._ready.wait()
            try:
                await self._group()
            except Exception as error:
                self._error = error
                self._durable.set()
                raise

    async def _group(self) -> None:
        with anyio.CancelScope(shield=True):
            async with self._busy:
                await self._take_group()

    async def _take_group(self) -> None:
        group, self._waiting = self._waiting, []
        self._ready = anyio.Event()
        durable, self._durable = self._durable, anyio.Event()
        await anyio.to_thread.run_sync(self._write, group)
        for entry in group:
            for state in entry.partitions:
                self._held.partitions[state["number"]] = state
            self._held.versions.update(entry.versions)
            for ref, parts in entry.parts.items():
                self._held.parts.setdefault(ref, {}).update(parts)
        self._held_pages += len(group)
        full = any(writer.full for writer in self._writers.values())
        if full or time.monotonic() - self._since > SEGMENT_S:
            await self._finish()
        elif self._resumable:
            await self._sync()
        elif self._held_pages > BACKLOG * 100:
            await self._finish()
        durable.set()

    def _write(self, group: Sequence[PageCommit]) -> None:
        for kind, writer in self._writers.items():
            lines = [line for entry in group for line in entry.lines.get(kind, ())]
            writer.write(lines)
            self.written[kind] += len(lines)

    async def _sync(self) -> None:
        """Make the open files durable, and then partitions and versions that belong to them."""
        parts = await anyio.to_thread.run_sync(self._sync_files)
        for kind, part in parts.items():
            self._held.files[part.name] = (f"{kind}:open", OPEN_PART.write(part))
        await self._commit()

    def _sync_files(self) -> dict[str, OpenPart]:
        parts = {kind: writer.sync() for kind, writer in self._writers.items()}
        return {kind: part for kind, part in parts.items() if part is not None}

    async def _finish(self) -> None:
        """Finish the open files: make them durable and rename them, then record them in the ledger."""
        finished = await anyio.to_thread.run_sync(self._finish_files)
        for kind, entry in finished.items():
            self._held.files[entry.path] = (kind, entry.to_json())
        self._since = time.monotonic()
        await self._commit()

    def _finish_files(self) -> dict[str, FileEntry]:
        finished = {kind: writer.finish() for kind, writer in self._writers.items()}
        return {kind: entry for kind, entry in finished.items() if entry is not None}

    async def _commit(self) -> None:
        step, self._held = self._held, Commit()
        self._held_pages = 0
        step.plan = self.progress()
        await self._store.commit(step)

    async def close(self) -> None:
        """Write all waiting entries and finish every file."""
        with anyio.CancelScope(shield=True):
            async with self._busy:
                if self._waiting:
                    await self._take_group()
                await self._finish()

    async def put_down(self) -> None:
        """Stop in order: keep everything read in files that a later run can continue."""
        with anyio.CancelScope(shield=True):
            async with self._busy:
                try:
                    if self._error is None and self._waiting:
                        await self._take_group()
                    if self._error is None and not self._resumable:
                        await self._finish()
                finally:
                    for writer in self._writers.values():
                        writer.leave()

    async def take_up(self) -> None:
        """Continue the open files of the run before, cut to their durable length.

        A missing file raises nothing; then `complete` returns False and the run must start over.
        """
        for kind, writer in self._writers.items():
            for entry in await self._store.files(f"{kind}:open"):
                part = OPEN_PART.read(entry)
                resumed = await anyio.to_thread.run_sync(writer.resume, part)
                self.complete = self.complete and resumed
                self.written[kind] += part.rows
            self.written[kind] += sum(entry["rows"] for entry in await self._store.files(kind))

    complete = True
