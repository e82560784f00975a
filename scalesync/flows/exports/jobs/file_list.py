"""A downloaded export file, read as a list: its documents in pages, byte for byte.

The cursor of a page is an offset in the file, so a resumed run continues after the durable documents.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from sys import maxsize
from typing import Any, cast

import anyio

from scalesync.disk import output_error, sync_folder
from scalesync.errors import BudgetUsed, OutcomeUnknown
from scalesync.http.partial_file import CHUNK_BYTES
from scalesync.model.outcomes import LookupResult
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.model.task_view import TaskView
from scalesync.ports.platform import Axis, ExportJobs, Lister, ListPage, Span
from scalesync.sources.bytestream import ByteStream
from scalesync.sources.formats.jsonarray import Splitter

LINES = ".lines"  # suffix for the lines of a file that is an array


class FileLists:
    """The lister of an export job. `path` is set once the file is there; each line holds one document.

    view: reads a document of the platform.
    spoiled: called before the run stops because the file holds something that is not a task.
    """

    axis = Axis.NONE

    def __init__(
        self,
        jobs: ExportJobs,
        lister: Lister,
        view: Callable[[bytes], TaskView],
        spoiled: Callable[[], Awaitable[None]],
    ) -> None:
        self.path: Path | None = None
        self.changes = jobs.changes
        self.filters = jobs.filters
        self.version_of = jobs.version_of
        self.cursor = jobs.cursor
        self._lister = lister
        self._view = view
        self._spoiled = spoiled

    def query(self, selection: Selection, page_size: int, within: tuple[int, int] | None = None) -> JsonObject:
        """The size of a page. The filters were part of the export job."""
        return {"documents": page_size}

    async def page(self, query: Mapping[str, Any], cursor: str | None) -> ListPage:
        """The documents from an offset on. Raises BudgetUsed for an entry that is not a task."""
        assert self.path is not None, "the file comes before its pages"
        documents, end = await anyio.to_thread.run_sync(_read, self.path, int(cursor or 0), query["documents"])
        try:
            for document in documents:
                self._view(document)
        except OutcomeUnknown as error:
            await self._spoiled()
            raise BudgetUsed(
                "the export file holds something that is not a task; run the same command again to have another made"
            ) from error
        return ListPage(documents, None if end is None else str(end), None)

    async def span(self, selection: Selection, now_ms: int) -> Span:
        """One chain."""
        return Span(0, 1)

    def place_of(self, task: TaskView) -> int:
        """The same place for all tasks, because there is one chain."""
        return 0

    async def probe(self) -> None:
        """Ask the platform's lists. Raises RemoteError."""
        await self._lister.probe()

    async def read(self, ref: str) -> LookupResult:
        """Read one task from the platform. Raises RemoteError."""
        return await self._lister.read(ref)


def _read(path: Path, offset: int, most: int) -> tuple[list[bytes], int | None]:
    """Up to `most` documents from an offset on, and the offset after them; None at the end."""
    documents: list[bytes] = []
    with open(path, "rb") as file:
        file.seek(offset)
        while len(documents) < most:
            line = file.readline()
            if not line:
                return documents, None
            if line.strip():
                documents.append(line.rstrip(b"\r\n"))
        return documents, file.tell()


def array_as_lines(path: Path) -> Path:
    """Write the elements of a JSON array into a file beside it, one in each line. Blocking.

    Raises OutcomeUnknown for a broken array, DiskFull.

    A line end within an element can only be between tokens, so it is removed, as in every data file.
    """
    lines = path.with_name(path.name + LINES)
    if lines.exists():
        return lines
    part = path.with_name(f".part-{lines.name}")
    try:
        with open(part, "wb") as file:
            file.writelines(element.translate(None, b"\r\n") + b"\n" for element in _elements(path))
            file.flush()
            os.fsync(file.fileno())  # the ledger names the file next, so it must be complete
        part.rename(lines)
        sync_folder(lines.parent)
    except OSError as error:
        raise output_error(path.parent, error) from error
    return lines


def _elements(path: Path) -> Iterator[bytes]:
    split = Splitter(cast(ByteStream, _chunks(path)), maxsize)
    if split.peek() != ord("["):
        raise OutcomeUnknown("the export file is not a JSON array", op="export")
    split.pos += 1
    while (byte := split.peek()) != ord("]"):
        if byte == ord(","):
            split.pos += 1
        elif byte == -1 or not split.element():
            raise OutcomeUnknown("the export file ends within its array", op="export")
        else:
            yield split.text()


def _chunks(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
