"""Reads the lines of a folder of increments twice: first to find the newest of each task, then to return those."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from scalesync.errors import ConfigError
from scalesync.model.exports import Seen
from scalesync.model.task_view import TaskView
from scalesync.outputs.manifest import STAGES, FileEntry
from scalesync.outputs.reader import left_lines_of, lines_of, stage_line, stage_lines_of, views_of
from scalesync.ports.export_ledger import VersionsIndex
from scalesync.times import milliseconds

STEP = 2_000  # lines between two looks at the clock and at a stop
LINES_BYTES = 4 * 1024 * 1024  # lines held in memory before they are written


class SourceLines:
    """The lines of some files, in the manifest's order.

    as_of_ms: later versions do not count; None for all.
    read: lines met by `find`.
    """

    def __init__(
        self, folder: Path, files: Sequence[FileEntry], view: Callable[[bytes], TaskView], as_of_ms: int | None
    ) -> None:
        self.read = 0
        self._folder = folder
        self._files = files
        self._view = view
        self._as_of_ms = as_of_ms

    def find(self, index: VersionsIndex) -> Iterator[int]:
        """Put every line that counts into the index. Yields the number of lines read so far, after each step.

        Raises ConfigError for a file that cannot be read.
        """
        lines = self._seen()
        while batch := list(islice(lines, STEP)):
            index.add(batch)
            yield self.read

    def _seen(self) -> Iterator[Seen]:
        """The lines that count, in the manifest's order."""
        for entry in self._files:
            path = self._folder / entry.path
            try:
                for ref, updated_ms in self._versions(path, entry.kind):
                    position, self.read = self.read, self.read + 1
                    if not updated_ms and self._as_of_ms is not None:
                        raise ConfigError(f"{path}: holds lines without updated_at; --as-of needs their time")
                    if self._as_of_ms is None or updated_ms <= self._as_of_ms:
                        yield Seen(ref, updated_ms, position, entry.kind == "left")
            except (OSError, EOFError, ValueError) as error:
                raise ConfigError(f"{path}: cannot be read ({error}); restore it first") from error

    def _versions(self, path: Path, kind: str | None) -> Iterator[tuple[str, int]]:
        """Id and time of change of each line of a file; for a part of a task, what no task has as its id."""
        if kind == "left":
            return ((line.task_id, milliseconds(line.updated_at)) for line in left_lines_of(path))
        if kind == STAGES:
            return (
                (f"\0{line.task_id}\0{line.stage}", milliseconds(line.delivered_at)) for line in stage_lines_of(path)
            )
        return ((task.ref, task.updated_ms()) for task in views_of(path, self._view))

    def newest(self, index: VersionsIndex) -> Iterator[tuple[str | None, list[bytes], int]]:
        """The newest line of each task that still belongs to the export, and of each of its parts that came apart.

        Each step has the kind of their file, the lines, and how many lines were read so far.

        Call it after a complete `find`.
        """
        wanted = bytearray(self.read // 8 + 1)  # one bit for each line: 125 kB per million
        for position in index.positions():
            wanted[position >> 3] |= 1 << (position & 7)
        position = 0
        held: list[bytes] = []
        size = 0
        some_left = index.gone() > 0
        for entry in self._files:
            parts = entry.kind == STAGES and some_left
            for line in lines_of(self._folder / entry.path):
                if wanted[position >> 3] >> (position & 7) & 1:
                    held.append(line)
                    size += len(line)
                position += 1
                if size >= LINES_BYTES or position % STEP == 0:
                    yield entry.kind, _of_tasks_there(held, index) if parts else held, position
                    held, size = [], 0
            yield entry.kind, _of_tasks_there(held, index) if parts else held, position
            held, size = [], 0


def _of_tasks_there(parts: list[bytes], index: VersionsIndex) -> list[bytes]:
    """Lines of parts, without those of tasks that left."""
    refs = [stage_line(line).task_id for line in parts]
    left = index.left(refs)
    return [line for line, ref in zip(parts, refs, strict=True) if ref not in left]
