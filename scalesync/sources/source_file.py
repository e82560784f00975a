"""One opened source: what is known of it, whether it changed, and its records."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from typing import NamedTuple

from scalesync.errors import SourceError
from scalesync.file_names import readable
from scalesync.model.records import Block, Checkpoint, JsonObject
from scalesync.sources.blocks import Opened, blocks_of
from scalesync.sources.bytestream import Progress
from scalesync.sources.checkpoints import Fingerprint
from scalesync.sources.source import Reader


class Facts(NamedTuple):
    """What is kept of a source as it was when it was opened.

    path: a string, with bytes that are not UTF-8 written out.
    size, mtime_ns: None for standard input and URLs.
    more: of a folder, its files and their digest.
    """

    path: str
    size: int | None = None
    mtime_ns: int | None = None
    more: JsonObject = {}  # noqa: RUF012  a field of a tuple, never changed


class SourceFile:
    """One opened source.

    name: for people.
    reader: how it is read; its notes are sentences that follow the name.
    left_out: paths inside a folder of files that are read elsewhere.
    file: the path of a file that can be read again.
    place: the path of a file or folder, to open it; None for sources that are not on this machine.
    """

    __slots__ = ("_facts", "_file", "_reader", "left_out", "name", "place")

    def __init__(
        self,
        name: str,
        reader: Reader,
        facts: Facts,
        *,
        left_out: frozenset[str] = frozenset(),
        file: str | None = None,
        place: str | None = None,
    ) -> None:
        self.name = readable(name)
        self.place = place
        self.left_out = left_out
        self._reader = reader
        self._facts = facts
        self._file = file

    @property
    def size(self) -> int | None:
        """Bytes; None for standard input and URLs."""
        return self._facts.size

    @property
    def mtime_ns(self) -> int | None:
        """Time of the last change; None for standard input and URLs."""
        return self._facts.mtime_ns

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know about how it is read."""
        return self._reader.notes

    def __repr__(self) -> str:
        return f"SourceFile({self.name!r})"

    def fingerprint(self) -> JsonObject:
        """path (absolute), size and mtime_ns, as they were when the source was opened; see docs/sources.md."""
        path, size, mtime_ns, more = self._facts
        return {"path": path, "size": size, "mtime_ns": mtime_ns, **more}

    def has_changed(self) -> bool:
        """Whether a file changed since it was opened: the records may be neither of the old nor of the new content."""
        if self._file is None:
            return False
        try:
            info = os.stat(self._file)
        except OSError:
            return True
        return (info.st_size, info.st_mtime_ns) != (self.size, self.mtime_ns)

    @property
    def has_lines(self) -> bool:
        """Whether its lines identify its beginning, without reading records: see `known`."""
        return self._reader.seek is not None

    @property
    def can_repeat(self) -> bool:
        """Whether it can be read more than once at little cost: a file or folder, not a pipe or a URL."""
        return self.mtime_ns is not None

    def known(self, marks: Sequence[Checkpoint]) -> Fingerprint | None:
        """The longest beginning of the source that matches one of the marks; `blocks` can begin after it.

        None if there is none, or if lines are unknown without reading records. Raises SourceError.
        """
        if self._reader.seek is None or not marks:
            return None
        try:
            return self._reader.seek(marks)
        except OSError as error:
            raise SourceError(f"cannot be read: {error.strerror or error}", self.name) from None

    def opened(self, number: int = 1, behind: Fingerprint | None = None) -> Opened:
        """The source for `Loads` to read, with this number.

        behind: the result of `known`.
        """
        progress = Progress(behind)
        return Opened(number, self.name, self._reader.read(progress), progress)

    def blocks(self, max_records: int = 256, behind: Fingerprint | None = None) -> Generator[Block, None, None]:
        """Records in order, in blocks of at most `max_records`.

        behind: the result of `known`.
        Raises SourceError.
        """
        return blocks_of(self.opened(behind=behind), max_records)
