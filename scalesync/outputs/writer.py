"""Data files of an export: written under a hidden name, hashed meanwhile, and renamed once they are durable.

    write -> .part-tasks-00001.jsonl     sync -> fsync: after a kill, a run resumes here
                                         finish -> fsync file -> rename -> fsync folder -> FileEntry

A file that is not in the manifest is not data yet, so the files of a killed run do not count.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from scalesync.disk import output_error, sync_folder
from scalesync.outputs.encoders.registry import Columns, Encoder, OutputFormat, find
from scalesync.outputs.fields import FieldPicker
from scalesync.outputs.manifest import PART, FileEntry, hidden
from scalesync.stored import Form, Member

MAX_BYTES = 256 * 1024 * 1024
HASH_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class OpenPart:
    """A hidden file that is durable up to `bytes`.

    name: its final name.
    size: bytes of the documents, uncompressed.
    """

    name: str
    rows: int
    bytes: int
    size: int


OPEN_PART = Form(OpenPart, "a file that is being written", [Member(n) for n in ("name", "rows", "bytes", "size")])


@dataclass(frozen=True, slots=True)
class Placing:
    """Where finished files go, and under which number.

    number: of the first file; numbers in use are skipped.
    route: the part of a divided export to which they belong.
    under: the sub-folder for finished files, such as `tasks/`; files being written stay outside it.
    """

    number: int = 1
    route: str | None = None
    under: str = ""


FIRST = Placing()
NO_COLUMNS: Columns = MappingProxyType({})


class SegmentWriter:
    """Writes documents into numbered files `{stem}-{number:05d}.{format}` of one folder, one file after the other.

    It blocks, so call it in a thread. Every method raises DiskFull if the disk or quota is full, after it removed its
    hidden file.

    format: the name of a format in encoders/registry.py.
    max_bytes: uncompressed size of a file. If `full`, call `finish()` and write on into the next file.
    fields: cuts each document down to fields.
    typed: Parquet columns for times, tags and flags have types; otherwise they hold strings.
    columns: where the documents have the values of columns, if they do not have them under their names.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        format: str = "jsonl",
        max_bytes: int = MAX_BYTES,
        fields: FieldPicker | None = None,
        *,
        placing: Placing = FIRST,
        typed: bool = True,
        columns: Columns = NO_COLUMNS,
    ) -> None:
        self._format: OutputFormat = find(format)
        if self._format.check is not None:
            self._format.check()  # report a missing package before the first request
        self._folder = folder
        self._stem = stem
        self._max_bytes = max_bytes
        self._fields = fields
        self._number = placing.number
        self._route = placing.route
        self._under = placing.under
        self._typed = typed
        self._columns = columns
        self._file: _HashedFile | None = None
        self._encoder: Encoder | None = None
        self._rows = 0
        self._size = 0
        self._name = ""

    @property
    def resumable(self) -> bool:
        """Whether a later run can continue the open file after `sync`. It cannot with Parquet, for example."""
        return self._format.resumable

    @property
    def full(self) -> bool:
        """Whether the open file has reached max_bytes."""
        return self._size >= self._max_bytes

    @property
    def rows(self) -> int:
        """Documents in the open file."""
        return self._rows

    def write(self, lines: Sequence[bytes]) -> None:
        """Append documents, each the raw bytes of one JSON value from the server.

        A raw line break can only be white space between tokens, so it is removed. All other bytes stay as they are.
        """
        if not lines:
            return
        if self._fields is not None:
            lines = [self._fields.pick(line) for line in lines]
        lines = [_on_one_line(line) if b"\n" in line or b"\r" in line else line for line in lines]
        try:
            encoder = self._encoder or self._open()
            encoder.add(lines)
        except OSError as error:
            self.abort()
            raise output_error(self._folder, error) from error
        self._rows += len(lines)
        self._size += sum(map(len, lines)) + len(lines)

    def sync(self) -> OpenPart | None:
        """Make everything written so far durable under the hidden name; None if no file is open."""
        if self._file is None or self._encoder is None:
            return None
        try:
            self._encoder.pause()
            self._file.sync()
        except OSError as error:
            self.abort()
            raise output_error(self._folder, error) from error
        return OpenPart(self._name, self._rows, self._file.size, self._size)

    def resume(self, part: OpenPart) -> bool:
        """Continue the hidden file of a killed run after its durable bytes; False if some of these are missing."""
        path = hidden(self._folder, part.name)
        renamed = self._folder / part.name
        try:
            if not path.exists() and renamed.exists():
                os.rename(renamed, path)  # the kill came after the rename and before its record
            if not path.exists() or path.stat().st_size < part.bytes:
                return False
            self._part, self._name = path, part.name
            self._file = _HashedFile(path, part.bytes)
        except OSError as error:
            raise output_error(self._folder, error) from error
        self._encoder = self._format.open(self._file)
        self._rows, self._size = part.rows, part.size
        return True

    def finish(self) -> FileEntry | None:
        """Make the open file durable under its final name; None if nothing was written since the last file."""
        if self._file is None or self._encoder is None:
            return None
        try:
            self._encoder.close()
            self._file.sync()
            self._file.close_file()
            name = self._name
            final = self._folder / name
            if not final.parent.is_dir():
                final.parent.mkdir()
                sync_folder(self._folder)
            os.rename(self._part, final)
            sync_folder(final.parent)
        except OSError as error:
            self.abort()
            raise output_error(self._folder, error) from error
        entry = FileEntry(name, self._rows, self._file.size, self._file.sha256.hexdigest(), self._route)
        self._reset()
        return entry

    def leave(self) -> None:
        """Close the open file and keep it, for `resume` in a later run."""
        if self._file is not None:
            self._file.drop()
        self._reset()

    def abort(self) -> None:
        """Remove the open file; finished files stay."""
        if self._file is not None:
            self._file.drop()
            self._part.unlink(missing_ok=True)
        self._reset()

    def _open(self) -> Encoder:
        self._name = self._free_name()
        self._part = hidden(self._folder, self._name)
        self._file = _HashedFile(self._part)
        format = self._format
        if not self._typed and format.open_untyped is not None:
            self._encoder = format.open_untyped(self._file)
        elif self._columns and format.open_columns is not None:
            self._encoder = format.open_columns(self._file, self._columns)
        else:
            self._encoder = format.open(self._file)
        return self._encoder

    def _reset(self) -> None:
        self._file = self._encoder = None
        self._rows = self._size = 0

    def _free_name(self) -> str:
        while True:
            name = f"{self._under}{self._stem}-{self._number:05d}.{self._format.name}"
            if not (self._folder / name).exists():
                return name
            self._number += 1


class _HashedFile:
    """An append-only file that hashes its bytes, with the methods that pyarrow needs."""

    def __init__(self, path: Path, keep: int = 0) -> None:
        """keep: bytes of an existing file that stay; they are hashed again, and the rest of the file is cut off."""
        self._file: BinaryIO = open(path, "r+b" if keep else "wb")  # noqa: SIM115  closed by close_file or drop
        self.sha256 = hashlib.sha256()
        self.size = keep
        while self._file.tell() < keep:
            self.sha256.update(self._file.read(min(HASH_CHUNK, keep - self._file.tell())))
        if keep:
            self._file.truncate()
        self.closed = False
        self._dropped = False

    def write(self, data: bytes) -> int:
        if self._dropped:  # pyarrow writes a footer when its writer is collected
            return len(data)
        self._file.write(data)
        self.sha256.update(data)
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        if not self._dropped:
            self._file.flush()

    def close(self) -> None:
        """Do nothing: pyarrow calls this before our `sync`."""

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def close_file(self) -> None:
        self._file.close()

    def drop(self) -> None:
        self._dropped = True
        with contextlib.suppress(OSError):  # the disk is full, and nobody needs the buffered bytes
            self._file.close()


def _on_one_line(line: bytes) -> bytes:
    return line.translate(None, b"\r\n")


def clean_parts(folder: Path, keep: Collection[str] = ()) -> int:
    """Remove the hidden files that killed runs left. Returns how many; 0 for a missing folder.

    keep: final names of hidden files that a run will continue.
    """
    kept = {hidden(folder, name).name for name in keep}
    left = [path for path in folder.glob(f"{PART}*") if path.is_file() and path.name not in kept]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)
