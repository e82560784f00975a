"""The second count of each format: of lines, of values, of rows, of a footer."""

from __future__ import annotations

import csv
import importlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from scalesync.sources.formats.cells import Dialect, Sample
from scalesync.sources.formats.dialect import guess_widely
from scalesync.sources.options import ReadOptions
from scalesync.sources.recount.content import encoding_of, head_of, text_head, text_of, unpacked
from scalesync.sources.registry import FORMATS
from scalesync.sources.source import HEAD

PIECE = 1 << 20  # characters of JSON read at once
WRAPPED_LIMIT = 256 << 20  # bytes of a file of wrapped records that is decoded whole
_BLANK = " \t\n\r\v\f"


@dataclass(slots=True)
class Tally:
    """What is counted, in words, and the count so far when it breaks off."""

    how: str
    records: int = 0


def count_lines(path: str, options: ReadOptions, tally: Tally) -> None:
    """Lines that are not blank; values if --records names a list in them."""
    if options.records is not None:
        tally.how = FORMATS["json"].counted
        count_json(path, options, tally)
        return
    with unpacked(path) as file:
        encoding = encoding_of(file.read(2), options)
    if not encoding.startswith(("utf-16", "utf-32")):
        with unpacked(path) as file:  # a line ends with one byte in these, whatever it holds
            if file.read(3) != b"\xef\xbb\xbf":
                file.seek(0)
            for raw in file:
                tally.records += not raw.isspace()
        return
    with text_of(path, options, "\n") as lines:
        for line in lines:
            tally.records += bool(line.strip(_BLANK))


def count_csv(path: str, options: ReadOptions, tally: Tally) -> None:
    """Rows of a table with a guessed delimiter."""
    _count_rows(path, options, _dialect(path, options, None), tally)


def count_tsv(path: str, options: ReadOptions, tally: Tally) -> None:
    """Rows of a table cut at tabs."""
    _count_rows(path, options, _dialect(path, options, "\t"), tally)


def _count_rows(path: str, options: ReadOptions, dialect: Dialect, tally: Tally) -> None:
    csv.field_size_limit(max(sys.maxsize >> 32, csv.field_size_limit()))
    width = None if options.header is None else len(options.header)
    with text_of(path, options, "\r" if dialect.newline == b"\r" else "\n") as lines:
        for _ in range(dialect.skip_lines):
            next(lines, None)
        for row in dialect.rows(lines):
            if row and width is None:
                width = len(row)
            elif row and (len(row) == width or len(row) > 1 or row[0].strip()):
                tally.records += 1


def _dialect(path: str, options: ReadOptions, default: str | None) -> Dialect:
    columns = None if options.header is None else len(options.header)

    def look(size: int) -> Sample:
        text, whole = text_head(*head_of(path, size), path, options, size)
        return Sample(text.decode("utf-8", "replace"), whole, columns, options.skip_rows)

    return guess_widely(look, HEAD, options.delimiter, options.quotechar, default).dialect


def count_parquet(path: str, options: ReadOptions, tally: Tally) -> None:
    """The number of rows in the file's footer."""
    tally.records = int(importlib.import_module("pyarrow.parquet").read_metadata(path).num_rows)


def count_json(path: str, options: ReadOptions, tally: Tally) -> None:
    """The elements of an array, or values that follow each other. Raises ValueError if the text is not JSON."""
    with text_of(path, options) as stream:
        _count_values(path, _Json(stream), options, tally)


def _count_values(path: str, text: _Json, options: ReadOptions, tally: Tally) -> None:
    if options.records is not None:
        _count_wrapped(path, text, options.records, tally)
        return
    if text.peek() != "[":
        while text.peek():
            text.value()
            tally.records += 1
        return
    text.step()
    if text.peek() == "]":
        text.step()
    else:
        while True:
            text.value()
            tally.records += 1
            if (mark := text.step()) == "]":
                break
            if mark != ",":
                raise ValueError("an array that does not continue")
    if text.peek():
        raise ValueError("something follows the array")


def _count_wrapped(path: str, text: _Json, key: str, tally: Tally) -> None:
    if os.path.getsize(path) > WRAPPED_LIMIT:
        raise ValueError("too long to be decoded whole")
    names: list[str] | None = None
    while text.peek():
        page = text.value()
        if names is None:  # as typed where that is the name of a list, and the dots lead to none
            literal = isinstance(_at(page, [key]), list) and not isinstance(_at(page, key.split(".")), list)
            names = [key] if literal else key.split(".")
        value = _at(page, names)
        tally.records += len(value) if isinstance(value, list) else 1  # reported as one place that cannot be used


def _at(value: Any, path: Sequence[str]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


class _Json:
    """Values of a JSON text, decoded one at a time; only the current one is in memory."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._at = 0
        self._decoder = json.JSONDecoder()

    def _more(self) -> bool:
        """Read at least as much again as is pending, so that a long value is not started too often."""
        parts, size = [self._text[self._at :]], 0
        while size <= len(parts[0]) and (piece := self._stream.read(PIECE)):
            parts.append(piece)
            size += len(piece)
        self._text, self._at = "".join(parts), 0
        return size > 0

    def peek(self) -> str:
        """The next character that is not white space; "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def step(self) -> str:
        """Take that character."""
        mark = self.peek()
        self._at += 1
        return mark

    def value(self) -> Any:
        """Take one value. Raises ValueError."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if not self._more():
                    raise
                continue
            if end == len(self._text) and self._more():
                continue  # a number may continue
            self._at = end
            return value
