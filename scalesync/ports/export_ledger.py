"""The ledger as one run of one export or backfill job sees it, and the index that a compaction keeps on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from scalesync.model.exports import Commit, Seen, StoredRun, Version, WindowRow
from scalesync.model.records import JsonObject
from scalesync.ports.job_ledger import JobLedger


class ExportLedger(JobLedger, Protocol):
    """Plan, partitions, files and versions of an export. What a `Commit` holds moves in one transaction."""

    async def begin_run(self, name: str, plan: JsonObject) -> None:
        """Forget partitions and files of earlier runs and write the plan of this one."""

    async def end_run(self) -> None:
        """The run begun last is finished: its files are in the manifest."""

    async def stored_run(self) -> StoredRun | None:
        """The run begun last; None when there was none."""

    async def commit(self, step: Commit) -> None:
        """Write one step; durable when it returns."""

    async def files(self, kind: str) -> Sequence[JsonObject]:
        """Entries of the files of a kind ("tasks", "left", "responses", or one of these with ":open"), by path."""

    # --- versions ------------------------------------------------------------------------------

    async def versions(self, refs: Sequence[str]) -> Mapping[str, Version]:
        """The versions met of these tasks."""

    async def forget_versions(self) -> None:
        """Start the memory of versions again."""

    async def updated_marks(self, every: int) -> Sequence[int]:
        """Update times, in ms, that cut the remembered tasks into groups of about `every`; ascending, ends included."""

    async def count_updated(self, first_ms: int, last_ms: int) -> int:
        """Remembered tasks with first_ms <= updated < last_ms."""

    # --- windows -------------------------------------------------------------------------------

    async def replace_windows(self, windows: Sequence[WindowRow]) -> None:
        """Write the whole table of a backfill's windows. What counts is the manifest; this follows it."""

    async def update_window(self, window: WindowRow) -> None:
        """Set the state and the figures of one window."""


class VersionsIndex(Protocol):
    """ref -> its newest line, for one run. Also the lock of the folder where it lies, until it is closed."""

    def add(self, lines: Iterable[Seen]) -> None:
        """Keep what is newer than what is known; of two lines with one time the later."""

    def positions(self) -> Iterator[int]:
        """Where the newest lines stand, in no order; of tasks that left none."""

    def gone(self) -> int:
        """How many tasks left."""

    def close(self, *, remove: bool) -> None:
        """Free the lock.

        remove: the file was of use for this run only.
        """
