"""Data files of an export: written under a hidden name, hashed on the way, renamed when they are durable.

    write -> .part-tasks-00001.jsonl     finish -> fsync file -> rename -> fsync folder -> FileEntry

A file that is not in the manifest is not yet data, so a killed run leaves nothing that counts.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import zlib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import msgspec

from scalesync.errors import ConfigError, RecordError
from scalesync.model import JsonObject
from scalesync.records.fields import FieldPicker, members_of
from scalesync.records.manifest import FORMATS, PART, FileEntry, Format, output_error, sync_folder

__all__ = ["FORMATS", "FileEntry", "Format", "SegmentWriter", "clean_parts"]

MAX_BYTES = 256 * 1024 * 1024
GROUP_BYTES = 16 * 1024 * 1024  # of a Parquet row group, uncompressed; held in memory
_TEXTS = ("task_id", "unique_id", "type", "status", "project", "batch", "created_at", "updated_at", "completed_at")
_JSONS = ("metadata", "params", "response")


class _Encoder(Protocol):
    """Turns lines into the bytes of one file."""

    def add(self, lines: Sequence[bytes]) -> None: ...

    def close(self) -> None: ...


class SegmentWriter:
    """Writes documents into numbered files `{stem}-{number:05d}.{format}` of one folder, one at a time.

    format: one of FORMATS; gzip and zstd give the same bytes for the same documents. max_bytes: uncompressed;
    when `full`, call `finish()` and go on writing into the next file. fields: cuts each document. number: of
    the first file; names already taken are passed over. Blocking: call it in a thread.
    Every method raises DiskFull when the disk or quota is full, after removing its own hidden file.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        format: Format = "jsonl",
        max_bytes: int = MAX_BYTES,
        fields: FieldPicker | None = None,
        *,
        number: int = 1,
        route: str | None = None,
    ) -> None:
        if format not in FORMATS:
            raise ConfigError(f'"{format}" is not an output format; write one of {", ".join(FORMATS)}')
        self._folder = folder
        self._stem = stem
        self._format = format
        self._max_bytes = max_bytes
        self._fields = fields
        self._number = number
        self._route = route
        self._file: _HashedFile | None = None
        self._encoder: _Encoder | None = None
        self._rows = 0
        self._size = 0
        if format == "parquet":
            _arrow()  # say before the first request that it is missing

    @property
    def full(self) -> bool:
        """Whether the open file has reached max_bytes."""
        return self._size >= self._max_bytes

    @property
    def rows(self) -> int:
        """Documents in the open file."""
        return self._rows

    def write(self, lines: Sequence[bytes]) -> None:
        """Append documents, each the raw bytes of one JSON value as the server sent it.

        Raw line breaks are whitespace between tokens there and are taken out; all else stays byte for byte.
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

    def finish(self) -> FileEntry | None:
        """Make the open file durable under its final name; None when nothing was written since the last."""
        if self._file is None or self._encoder is None:
            return None
        try:
            self._encoder.close()
            self._file.sync()
            name = self._free_name()
            os.rename(self._part, self._folder / name)
            sync_folder(self._folder)
        except OSError as error:
            self.abort()
            raise output_error(self._folder, error) from error
        entry = FileEntry(name, self._rows, self._file.size, self._file.sha256.hexdigest(), self._route)
        self._reset()
        self._number += 1
        return entry

    def abort(self) -> None:
        """Drop the open file; finished ones stay."""
        if self._file is not None:
            self._file.drop()
            self._part.unlink(missing_ok=True)
        self._reset()

    def _open(self) -> _Encoder:
        self._part = self._folder / f"{PART}{self._name()}"
        self._file = _HashedFile(self._part)
        if self._format == "parquet":
            self._encoder = _ParquetEncoder(self._file)
        else:
            self._encoder = _LineEncoder(self._file, _compressor(self._format))
        return self._encoder

    def _reset(self) -> None:
        self._file = self._encoder = None
        self._rows = self._size = 0

    def _name(self) -> str:
        return f"{self._stem}-{self._number:05d}.{self._format}"

    def _free_name(self) -> str:
        while (self._folder / self._name()).exists():
            self._number += 1
        return self._name()


class _HashedFile:
    """A file that is only appended to, hashed as written; enough of a file for pyarrow."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = open(path, "wb")  # noqa: SIM115  closed by sync or drop
        self.sha256 = hashlib.sha256()
        self.size = 0
        self.closed = False
        self._dropped = False

    def write(self, data: bytes) -> int:
        if self._dropped:  # pyarrow writes its footer when it is thrown away
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
        """Called by pyarrow, which does not know that `sync` is still to come."""

    def sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def drop(self) -> None:
        self._dropped = True
        with contextlib.suppress(OSError):  # the disk is full; what was buffered is not wanted any more
            self._file.close()


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _LineEncoder:
    """One document a line, compressed or not."""

    def __init__(self, file: _HashedFile, compressor: _Compressor | None) -> None:
        self._file = file
        self._compressor = compressor

    def add(self, lines: Sequence[bytes]) -> None:
        data = b"\n".join(lines) + b"\n"
        self._file.write(data if self._compressor is None else self._compressor.compress(data))

    def close(self) -> None:
        if self._compressor is not None:
            self._file.write(self._compressor.flush())


def _compressor(format: Format) -> _Compressor | None:
    if format == "jsonl.gz":
        return zlib.compressobj(6, zlib.DEFLATED, 31)  # 31: gzip header, without name and time
    if format == "jsonl.zst":
        zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
        compressor: _Compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.checksum_flag: 1})
        return compressor
    return None


class _ParquetEncoder:
    """Main fields as columns, nested ones as JSON text, and the document itself in `task`."""

    def __init__(self, file: _HashedFile) -> None:
        pa, self._pq = _arrow()
        self._pa = pa
        columns = [(name, pa.string()) for name in _TEXTS]
        columns += [("is_test", pa.bool_()), *((name, pa.string()) for name in (*_JSONS, "task"))]
        self._schema = pa.schema(columns)
        self._writer = self._pq.ParquetWriter(pa.PythonFile(file, mode="w"), self._schema, compression="zstd")
        self._lines: list[bytes] = []
        self._held = 0

    def add(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            self._lines.append(line)
            self._held += len(line)
            if self._held >= GROUP_BYTES:
                self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._lines:
            rows = [_row(line) for line in self._lines]
            self._writer.write_table(self._pa.Table.from_pylist(rows, schema=self._schema))
        self._lines, self._held = [], 0


def _row(line: bytes) -> JsonObject:
    row: JsonObject = {"task": line.decode("utf-8", "replace")}
    try:
        members = members_of(line)
    except RecordError:
        return row
    for name, value in members.items():
        raw = bytes(value)
        if name in _TEXTS:
            row[name] = _text(raw)
        elif name in _JSONS:
            row[name] = raw.decode("utf-8", "replace")
        elif name == "is_test" and raw in (b"true", b"false"):
            row[name] = raw == b"true"
    return row


def _text(raw: bytes) -> str | None:
    """A JSON string's text; of anything else, and of text that UTF-8 cannot hold, the JSON as it stands."""
    try:
        return msgspec.json.decode(raw, type=str | None)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return raw.decode("utf-8", "replace")


def _arrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError('Parquet needs pyarrow; install it with: pip install "scalesync[parquet]"') from error


def _on_one_line(line: bytes) -> bytes:
    return line.translate(None, b"\r\n")


def clean_parts(folder: Path) -> int:
    """Remove the hidden files that killed runs left; returns how many. A missing folder has none."""
    left = [path for path in folder.glob(f"{PART}*") if path.is_file()]
    for path in left:
        path.unlink(missing_ok=True)
    return len(left)
