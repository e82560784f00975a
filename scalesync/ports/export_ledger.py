"""The ledger for one run of one export or backfill job, and the index that a compaction keeps on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from scalesync.model.exports import Commit, Seen, StoredRun, Version, WindowRow
from scalesync.model.records import JsonObject
from scalesync.ports.job_ledger import JobLedger


class ExportLedger(JobLedger, Protocol):
    """Plan, partitions, files and versions of an export. The content of a `Commit` is written in one transaction."""

    async def begin_run(self, name: str, plan: JsonObject) -> None:
        """Forget partitions and files of earlier runs and write the plan of this one."""

    async def end_run(self) -> None:
        """The latest run is finished: its files are in the manifest."""

    async def stored_run(self) -> StoredRun | None:
        """The latest run; None if there was none."""

    async def commit(self, step: Commit) -> None:
        """Write one step; durable when it returns."""

    async def files(self, kind: str) -> Sequence[JsonObject]:
        """Entries of the files of a kind, by path: tasks, left, stages, responses, or one of these with ":open"."""

    # --- versions ------------------------------------------------------------------------------

    async def versions(self, refs: Sequence[str]) -> Mapping[str, Version]:
        """The known versions of these tasks."""

    async def forget_versions(self) -> None:
        """Forget all versions."""

    async def updated_marks(self, every: int) -> Sequence[int]:
        """Update times, in ms, that cut the remembered tasks into groups of about `every`; ascending, ends included."""

    async def count_updated(self, first_ms: int, last_ms: int) -> int:
        """Remembered tasks with first_ms <= updated < last_ms."""

    # --- parts that were delivered apart ----------------------------------------------------------

    async def parts(self, refs: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Of these tasks: ref -> name of a part -> the time of its newest written delivery."""

    async def forget_parts(self) -> None:
        """Forget all deliveries of parts."""

    # --- windows -------------------------------------------------------------------------------

    async def replace_windows(self, windows: Sequence[WindowRow]) -> None:
        """Write the whole table of a backfill's windows. The manifest decides; this table follows it."""

    async def update_window(self, window: WindowRow) -> None:
        """Set the state and the figures of one window."""


class VersionsIndex(Protocol):
    """ref -> its newest line, for one run. It also locks its folder until it is closed."""

    def add(self, lines: Iterable[Seen]) -> None:
        """Keep versions newer than the known ones; of two lines with one time, the later."""

    def positions(self) -> Iterator[int]:
        """The places of the newest lines, in no order, without those of tasks that left."""

    def gone(self) -> int:
        """How many tasks left."""

    def left(self, refs: Iterable[str]) -> set[str]:
        """Those of these tasks that left."""

    def close(self, *, remove: bool) -> None:
        """Free the lock.

        remove: delete the file, which was for this run only.
        """
