"""Reads the tasks back from the data files of an export."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from scalesync.errors import OutcomeUnknown
from scalesync.model.task_view import TaskView
from scalesync.outputs.encoders.registry import format_of


class LeftLine(msgspec.Struct):
    """A line in a file of tasks that no longer match; the form is this program's own."""

    task_id: str
    updated_at: str | None = None


class StageLine(msgspec.Struct):
    """A line in a file of parts that were delivered apart; the form is this program's own, around what came."""

    task_id: str
    stage: str
    delivered_at: str


def lines_of(path: Path, limit: int | None = None) -> Iterator[bytes]:
    """The documents of a data file in any format, each as one line.

    limit: read only this many bytes of the file.

    A hidden file of a killed run is read up to its durable length. Raises ConfigError for an unknown format.
    """
    format = format_of(path.name)
    with open(path, "rb") as raw:
        yield from format.lines(raw if limit is None else cast(BinaryIO, io.BufferedReader(_Limited(raw, limit))))


def views_of(path: Path, view: Callable[[bytes], TaskView], limit: int | None = None) -> Iterator[TaskView]:
    """The task in each line.

    view: reads a document of the export's platform.

    Raises ValueError for a line that is not a whole task, for example if --fields removed its id.
    """
    for line in lines_of(path, limit):
        try:
            yield view(line)
        except OutcomeUnknown as error:
            raise ValueError(f"{path}: holds a line without the id of its task") from error


def left_lines_of(path: Path) -> Iterator[LeftLine]:
    """The tasks that no longer match. Raises ValueError for an invalid line."""
    for line in lines_of(path):
        try:
            yield msgspec.json.decode(line, type=LeftLine)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: holds a line without task_id") from error


def stage_lines_of(path: Path) -> Iterator[StageLine]:
    """The deliveries of parts. Raises ValueError for an invalid line."""
    for line in lines_of(path):
        try:
            yield stage_line(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: holds a line without task_id, stage and delivered_at") from error


def stage_line(line: bytes) -> StageLine:
    """The delivery in a line. Raises ValueError for an invalid one."""
    return msgspec.json.decode(line, type=StageLine)


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
