"""Reading back what an export wrote: the heads of the tasks in its data files."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

import msgspec

PARQUET_ROWS = 1_000  # documents held in memory at a time


class Head(msgspec.Struct):
    """The members of a line that say which version of which task it is."""

    task_id: str
    created_at: str | None = None
    updated_at: str | None = None


_decode = msgspec.json.Decoder(Head).decode


def lines_of(path: Path, limit: int | None = None) -> Iterator[bytes]:
    """The lines of a data file, whatever its format; of Parquet the documents. limit: bytes of a file to read.

    A hidden file of a run that was killed is read up to what was durable.
    """
    name = path.name
    if name.endswith(".parquet"):
        yield from _parquet(path)
        return
    with open(path, "rb") as raw:
        source = cast("IO[bytes]", _Limited(raw, limit)) if limit is not None else raw
        if name.endswith(".gz"):
            source = cast("IO[bytes]", gzip.GzipFile(fileobj=source))
        elif name.endswith(".zst"):
            zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
            source = zstd.ZstdFile(source)
        for line in source:
            yield line.rstrip(b"\n")


def heads_of(path: Path, limit: int | None = None) -> Iterator[Head]:
    """The head of each line. Raises ValueError for a line without a task_id, such as one cut by --fields."""
    for line in lines_of(path, limit):
        try:
            yield _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            yield _head_slowly(line, path)


def _head_slowly(line: bytes, path: Path) -> Head:
    """The same through the standard library, which lets lone surrogates pass as JSON does."""
    try:
        value = json.loads(line.decode("utf-8", "surrogateescape"), strict=False)
        texts = {name: value.get(name) for name in ("task_id", "created_at", "updated_at")}
        return Head(**{name: text for name, text in texts.items() if isinstance(text, str)})
    except (ValueError, RecursionError, AttributeError, TypeError) as error:
        raise ValueError(f"{path}: holds a line without task_id") from error


def _parquet(path: Path) -> Iterator[bytes]:
    parquet: Any = import_module("pyarrow.parquet")
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=PARQUET_ROWS, columns=["task"]):
            for text in batch.column(0).to_pylist():
                yield text.encode()


class _Limited:
    """The first bytes of a file."""

    def __init__(self, file: IO[bytes], left: int) -> None:
        self._file = file
        self._left = left

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        return data

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        while data := self.read(1 << 16):
            *lines, rest = (rest + data).split(b"\n")
            yield from lines
        if rest:
            yield rest
