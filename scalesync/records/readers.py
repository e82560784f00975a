"""How the bytes of one file become records: its head is looked at, and the reader that fits is bound."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, NamedTuple

from scalesync.errors import ConfigError
from scalesync.model import Mark
from scalesync.records.bytestream import ByteStream, Progress, check_encoding
from scalesync.records.detect import FORMATS, detect
from scalesync.records.dialect import Dialect, Sample, guess
from scalesync.records.jsonarray import read_array
from scalesync.records.jsonlines import Item, Lines, read_jsonl
from scalesync.records.parquet import check_parquet, read_parquet
from scalesync.records.prefix import Fingerprint, longest_known
from scalesync.records.tables import column_plan, read_table

HEAD = 64 * 1024  # unpacked bytes looked at to tell format and dialect
Open = Callable[[], BinaryIO]
Read = Callable[[Progress], Generator[Item, None, None]]
Seek = Callable[[Sequence[Mark]], Fingerprint | None]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How sources are read. format: jsonl, json, csv, tsv or parquet; None: by name, then by content.

    delimiter, quotechar ("" for no quotes): of tables, None to guess. header: the column names of a table
    that has no line for them. encoding: of texts; a UTF-16 mark at the beginning is seen anyway.
    """

    format: str | None = None
    delimiter: str | None = None
    quotechar: str | None = None
    header: tuple[str, ...] | None = None
    encoding: str = "utf-8"

    def check(self) -> None:
        """Raises ConfigError for a value that cannot work."""
        if self.format is not None and self.format not in FORMATS:
            raise ConfigError(f'format "{self.format}" is not known; use {", ".join(FORMATS)}')
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '\r\n"'):
            raise ConfigError("the delimiter must be one character")
        if self.quotechar is not None and (len(self.quotechar) > 1 or self.quotechar in ("\r", "\n")):
            raise ConfigError("the quote must be one character, or empty for none")
        check_encoding(self.encoding)


class Reader(NamedTuple):
    """How a source is read, and how its beginning is recognised, where that can be.

    notes: what a person should know about how it is read, as sentences that begin behind the name.
    """

    read: Read
    seek: Seek | None = None
    notes: tuple[str, ...] = ()


def reader_for(opener: Open, name: str, options: ReadOptions, size: int | None, pipe: bool = False) -> Reader:
    """Look at the head and bind the reader that fits. Raises SourceError when none does."""
    head, complete, packed = _head(opener, options.encoding, eager=not pipe)
    table = options.header is not None or options.delimiter is not None
    kind = detect(name, head, complete, options.format, table, packed=packed)
    if kind == "parquet":
        if not pipe:
            check_parquet(opener, name)
        return Reader(lambda progress: read_parquet(opener, name, progress, size))
    if kind == "jsonl":
        seek = None if pipe else partial(_seek_line, opener, options.encoding)
        return Reader(partial(_read_text, opener, options.encoding, read_jsonl), seek)
    if kind == "json":
        return Reader(partial(_read_text, opener, options.encoding, read_array))
    dialect = _dialect(head, complete, name, options, "\t" if kind == "tsv" else None)
    parse = partial(read_table, dialect=dialect, header=options.header, file=name)
    return Reader(partial(_read_text, opener, options.encoding, parse))


def _seek_line(opener: Open, encoding: str, marks: Sequence[Mark]) -> Fingerprint | None:
    raw = opener()
    try:
        return longest_known(Lines(ByteStream(raw, Progress(), encoding)), marks)
    finally:
        raw.close()


def _head(opener: Open, encoding: str, eager: bool) -> tuple[bytes, bool, bool]:
    """The first unpacked bytes, whether they are all, whether they were packed. Not eager: one line is enough."""
    raw = opener()
    try:
        parts: list[bytes] = []
        size = 0
        stream = ByteStream(raw, Progress(), encoding)
        for piece in stream:
            parts.append(piece)
            size += len(piece)
            if size >= HEAD or (not eager and b"\n" in piece):
                return b"".join(parts), False, stream.packed
        return b"".join(parts), stream.damage is None, stream.packed
    finally:
        raw.close()


def _dialect(head: bytes, complete: bool, name: str, options: ReadOptions, default: str | None) -> Dialect:
    columns = None if options.header is None else len(options.header)
    sample = Sample(head.decode("utf-8", "replace"), complete, columns)
    dialect = guess(sample, options.delimiter, options.quotechar, default)
    if options.header is not None:
        column_plan(options.header, name)
    elif complete or b"\n" in head:  # complains of an unusable header now, before anything is sent
        next(read_table(ByteStream(io.BytesIO(head), Progress()), dialect, None, name), None)
    return dialect


def _read_text(
    opener: Open, encoding: str, parse: Callable[[ByteStream], Iterator[Item]], progress: Progress
) -> Generator[Item, None, None]:
    raw = opener()
    try:
        yield from parse(ByteStream(raw, progress, encoding))
    finally:
        raw.close()
