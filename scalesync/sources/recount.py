"""A second way to count the records of a file, which shares no code with the readers.

It counts JSON lines as lines that are not blank, JSON by the standard library's decoder, tables by its csv, Parquet by
its footer, and unpacks gzip and zstd with the modules of that name. Only the decision what a file is (its format, and
how cells are cut) comes from the readers: a count says nothing about a wrong guess, but everything about a missed
record.
"""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import json
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, TextIO, cast

from scalesync.errors import SourceError
from scalesync.sources.detect import detect, may_have_json_lines
from scalesync.sources.formats.dialect import LONGEST_LOOK, Dialect, Sample, guess_widely
from scalesync.sources.options import ReadOptions
from scalesync.sources.places.folders import carries_records, is_left_out, walk
from scalesync.sources.registry import FORMATS, is_document
from scalesync.sources.source import HEAD

PIECE = 1 << 20  # characters of JSON read at once
WRAPPED_LIMIT = 256 << 20  # bytes of a file of wrapped records that is decoded whole
_GZIP, _ZSTD, _UTF16 = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", (b"\xff\xfe", b"\xfe\xff")
_BLANK = " \t\n\r\v\f"


def _zstd() -> Any:
    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def _damage() -> tuple[type[Exception], ...]:
    try:
        return (gzip.BadGzipFile, zlib.error, EOFError, _zstd().ZstdError)
    except ImportError:
        return (gzip.BadGzipFile, zlib.error, EOFError)


_DAMAGE = _damage()  # what unpackers raise over a file that is cut or damaged
_UNREADABLE: tuple[type[BaseException], ...] = (OSError, *_DAMAGE)
_BROKEN_OFF: tuple[type[BaseException], ...] = (ValueError, csv.Error, RecursionError, *_DAMAGE)


@dataclass(frozen=True, slots=True)
class Recount:
    """How many records a file, or a folder, holds.

    how: what was counted, "" if the format has no second count.
    exact: False if the count broke off, at a place that the reader reports as invalid: then there are at least that
        many.
    """

    records: int
    exact: bool
    how: str

    def contradicts(self, read: int) -> bool:
        """Whether a reading with this many places cannot have seen all."""
        return read != self.records if self.exact else read < self.records


def recount_file(path: str, options: ReadOptions, name: str | None = None) -> Recount:
    """Count one file on this machine.

    name: shows its format.
    Raises OSError or SourceError.
    """
    head, complete = _head(path)
    table = options.header is not None or options.delimiter is not None
    said = options.format or ("csv" if table else None)
    unpacked, whole = _text_head(head, complete, path, options)
    if not whole and may_have_json_lines(name or path, unpacked, said) and b"\n" not in unpacked.lstrip():
        most = 4 * LONGEST_LOOK  # as many characters in UTF-32
        unpacked, whole = _text_head(*_head(path, most), path, options, most)
    packed = head.startswith((_GZIP, _ZSTD))
    format = detect(name or path, unpacked, whole, options.format, table, packed=packed)
    tally = Tally(format.counted)
    if format.count is None:
        return Recount(0, False, "")
    try:
        format.count(path, options, tally)
    except _BROKEN_OFF:
        return Recount(tally.records, False, tally.how)
    return Recount(tally.records, True, tally.how)


def recount_folder(folder: str, options: ReadOptions, left_out: frozenset[str] = frozenset()) -> Recount:
    """Count the files of a folder that do not carry records by their name: one each, JSON files by their content.

    left_out: paths inside the folder of files that are read elsewhere.
    """
    total, exact = 0, True
    for entry in walk(folder):
        if carries_records(entry, options.format is not None) or entry.inside in left_out:
            continue
        if is_left_out(entry, options.describe):
            continue
        if not is_document(entry.inside) or not os.path.getsize(entry.path):
            total += 1
            continue
        try:
            counted = recount_file(entry.path, options, entry.inside)
        except (OSError, SourceError):
            counted = Recount(1, False, "")  # reported as one place that cannot be used
        total += counted.records
        exact = exact and counted.exact
    return Recount(total, exact, "each of its files for itself")


@dataclass(slots=True)
class Tally:
    """What is counted, in words, and the count so far when it breaks off."""

    how: str
    records: int = 0


# --- bytes and text ------------------------------------------------------------------------------


def _unpacked(path: str) -> IO[bytes]:
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic.startswith(_GZIP):
        return cast(IO[bytes], gzip.open(path, "rb"))
    if magic == _ZSTD:
        module = _zstd()
        return cast(IO[bytes], module.open(path, "rb", options={module.DecompressionParameter.window_log_max: 31}))
    return open(path, "rb")


def _head(path: str, size: int = HEAD) -> tuple[bytes, bool]:
    with open(path, "rb") as file:
        head = file.read(size)
        return head, not file.read(1)


def _text_head(head: bytes, complete: bool, path: str, options: ReadOptions, size: int = HEAD) -> tuple[bytes, bool]:
    """The beginning as UTF-8 and whether it is the whole, as `detect` needs it."""
    if head.startswith((_GZIP, _ZSTD)):
        head, complete = _unpacked_head(path, size)
    encoding = _encoding(head, options)
    if encoding == "utf-8":
        return head.removeprefix(b"\xef\xbb\xbf"), complete
    return head.decode(encoding, "replace").encode("utf-8", "replace"), complete


def _unpacked_head(path: str, size: int) -> tuple[bytes, bool]:
    """Like `_head`; of a damaged file, the part before the damage."""
    head = bytearray()
    try:
        with _unpacked(path) as file:
            while len(head) < size:
                piece: bytes = cast(Any, file).read1(HEAD)
                if not piece:
                    return bytes(head), True
                head += piece
    except _UNREADABLE:
        pass
    return bytes(head), False


def _encoding(head: bytes, options: ReadOptions) -> str:
    return "utf-16" if head.startswith(_UTF16) else options.encoding.lower().replace("_", "-")


@contextmanager
def _text(path: str, options: ReadOptions, newline: str | None = None) -> Iterator[TextIO]:
    """The unpacked text.

    newline: as `open` takes it.
    """
    with _unpacked(path) as file:
        encoding = _encoding(file.read(2), options)
    known = "utf-8-sig" if encoding == "utf-8" else encoding
    with _unpacked(path) as file, io.TextIOWrapper(cast(Any, file), known, errors="replace", newline=newline) as text:
        yield text


# --- formats -------------------------------------------------------------------------------------


def count_lines(path: str, options: ReadOptions, tally: Tally) -> None:
    """Lines that are not blank; values if --records names a list in them."""
    if options.records is not None:
        tally.how = FORMATS["json"].counted
        count_json(path, options, tally)
        return
    with _unpacked(path) as file:
        encoding = _encoding(file.read(2), options)
    if not encoding.startswith(("utf-16", "utf-32")):
        with _unpacked(path) as file:  # a line ends with one byte in these, whatever it holds
            if file.read(3) != b"\xef\xbb\xbf":
                file.seek(0)
            for raw in file:
                tally.records += not raw.isspace()
        return
    with _text(path, options, "\n") as lines:
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
    with _text(path, options, "\r" if dialect.newline == b"\r" else "\n") as lines:
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
        text, whole = _text_head(*_head(path, size), path, options, size)
        return Sample(text.decode("utf-8", "replace"), whole, columns, options.skip_rows)

    return guess_widely(look, HEAD, options.delimiter, options.quotechar, default).dialect


def count_parquet(path: str, options: ReadOptions, tally: Tally) -> None:
    """The number of rows in the file's footer."""
    tally.records = int(importlib.import_module("pyarrow.parquet").read_metadata(path).num_rows)


def count_json(path: str, options: ReadOptions, tally: Tally) -> None:
    """The elements of an array, or values that follow each other. Raises ValueError if the text is not JSON."""
    with _text(path, options) as stream:
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
