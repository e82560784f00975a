"""Reading back what an export wrote: the heads of the tasks in its data files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from scalesync.outputs.encoders.registry import format_of


class Head(msgspec.Struct):
    """The members of a line that say which version of which task it is."""

    task_id: str
    created_at: str | None = None
    updated_at: str | None = None


_decode = msgspec.json.Decoder(Head).decode


def lines_of(path: Path, limit: int | None = None) -> Iterator[bytes]:
    """The documents of a data file, a line each, whatever its format. limit: bytes of a file to read.

    A hidden file of a run that was killed is read up to what was durable. Raises ConfigError for an unknown format.
    """
    format = format_of(path.name)
    with open(path, "rb") as raw:
        yield from format.lines(raw if limit is None else cast(BinaryIO, io.BufferedReader(_Limited(raw, limit))))


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


class _Limited(io.RawIOBase):
    """The first bytes of a file."""

    def __init__(self, file: BinaryIO, left: int) -> None:
        self._file = file
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)
