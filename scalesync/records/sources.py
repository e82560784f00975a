"""Sources as a person names them: files, folders, globs, URLs and standard input, opened and checked."""

from __future__ import annotations

import glob
import io
import os
import stat
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, NamedTuple, cast

from scalesync.errors import ConfigError, SourceError
from scalesync.model import JsonObject, Mark
from scalesync.records.blocks import Blocks
from scalesync.records.bytestream import ByteStream, Progress, Replay, check_encoding
from scalesync.records.detect import FORMATS, detect
from scalesync.records.dialect import Dialect, Sample, guess
from scalesync.records.folders import Entry, look, read_folder
from scalesync.records.jsonarray import read_array
from scalesync.records.jsonlines import Item, Lines, read_jsonl
from scalesync.records.parquet import check_parquet, read_parquet
from scalesync.records.prefix import Fingerprint, longest_known
from scalesync.records.remote import expand_url, is_url, open_url, public_name
from scalesync.records.tables import column_plan, read_table

HEAD = 64 * 1024  # unpacked bytes looked at to tell format and dialect
STDIN = "-"
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


class SourceFile:
    """One opened source. name: as shown to people. size, mtime_ns: None for standard input and URLs."""

    __slots__ = ("_facts", "_read", "_seek", "mtime_ns", "name", "size")

    def __init__(self, name: str, read: Read, facts: JsonObject, seek: Seek | None = None) -> None:
        # Names need not be UTF-8, but texts in the ledger are: the odd bytes are written out.
        self.name = os.fsencode(name).decode("utf-8", "backslashreplace")
        self.size: int | None = facts["size"]
        self.mtime_ns: int | None = facts["mtime_ns"]
        self._read = read
        self._seek = seek
        self._facts = facts

    def __repr__(self) -> str:
        return f"SourceFile({self.name!r})"

    def fingerprint(self) -> JsonObject:
        """path (absolute), size and mtime_ns, as they were when the source was opened; see docs/sources.md."""
        return dict(self._facts)

    def known(self, marks: Sequence[Mark]) -> Fingerprint | None:
        """The longest beginning of the source that reads as one of the marks says, for `blocks` to begin behind it.

        None when there is none, or where lines cannot be told without reading records. Raises SourceError.
        """
        if self._seek is None or not marks:
            return None
        try:
            return self._seek(marks)
        except OSError as error:
            raise SourceError(f"cannot be read: {error.strerror or error}", self.name) from None

    def blocks(self, max_records: int = 256, behind: Fingerprint | None = None) -> Blocks:
        """Records in order, in blocks of at most `max_records`; see `Blocks`. behind: what `known` gave."""
        progress = Progress(behind)
        return Blocks(self._read(progress), progress, max_records, self.name)


def open_sources(specs: Sequence[str], options: ReadOptions, *, stdin: BinaryIO | None = None) -> list[SourceFile]:
    """Open every source, in the order given; patterns and folders are expanded and sorted.

    Raises SourceError when one is missing, unreadable or no source of records, ConfigError when an extra
    package is needed. Nothing but the head of each file is read.
    """
    options.check()
    if sum(spec == STDIN for spec in specs) > 1:
        raise SourceError("standard input can be named only once", STDIN)
    opened: list[SourceFile] = []
    for spec in specs:
        opened.extend(_open_one(spec, options, stdin))
    return opened


def _open_one(spec: str, options: ReadOptions, stdin: BinaryIO | None) -> Iterator[SourceFile]:
    if spec == STDIN:
        yield _open_pipe(Replay(stdin or sys.stdin.buffer), STDIN, options)
        return
    if is_url(spec):
        for url in expand_url(spec):
            name = public_name(url)
            facts: JsonObject = {"path": name, "size": None, "mtime_ns": None}
            yield SourceFile(name, _reader(partial(open_url, url), name, options, None).read, facts)
        return
    for path in _expand(spec.removeprefix("file://")):
        if os.path.isdir(path):
            yield from _open_folder(path, options)
        else:
            yield _open_file(path, path, options)


def _expand(spec: str) -> list[str]:
    """The files that a pattern matches, or the folders when it matches only such; a path that exists is itself."""
    if os.path.lexists(spec) or not glob.has_magic(spec):
        return [spec]
    found = sorted(glob.glob(spec, recursive=True))
    files = [path for path in found if not os.path.isdir(path)]
    if not found:
        raise SourceError("matches no file", spec)
    return files or [path for path in found if path.strip(os.sep)]


def _open_file(path: str, name: str, options: ReadOptions) -> SourceFile:
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode):
            return _open_pipe(Replay(open(path, "rb"), own=True), name, options)
        facts: JsonObject = {
            "path": os.path.abspath(path),
            "size": info.st_size,
            "mtime_ns": info.st_mtime_ns,
        }
        reader = _reader(partial(_binary, path), name, options, info.st_size)
        return SourceFile(name, reader.read, facts, reader.seek)
    except FileNotFoundError:
        raise SourceError("there is no such file", name) from None
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror or error}", name) from None


def _binary(path: str) -> BinaryIO:
    return open(path, "rb")


def _open_folder(folder: str, options: ReadOptions) -> Iterator[SourceFile]:
    every = options.format is not None
    listing = look(folder, every)
    shown = folder.rstrip("/") or "/"
    for entry in listing.carriers:
        yield _open_file(entry.path, f"{shown}/{entry.inside}", options)
    if listing.others:
        facts: JsonObject = {
            "path": os.path.abspath(folder),
            "size": listing.size,
            "mtime_ns": listing.mtime_ns,
            "files": listing.others,
            "digest": listing.digest,
        }
        yield SourceFile(shown, partial(read_folder, folder, every, partial(_read_json, options)), facts)


def _read_json(options: ReadOptions, entry: Entry, progress: Progress) -> Iterator[Item]:
    yield from _reader(partial(_binary, entry.path), entry.inside, options, None).read(progress)


def _open_pipe(replay: Replay, name: str, options: ReadOptions) -> SourceFile:
    """Standard input, or a path that is a pipe: what is read for the look at its head is given again."""
    read = _reader(lambda: cast(BinaryIO, replay), name, options, None, pipe=True).read
    replay.rewind()
    spent: list[bool] = []

    def once(progress: Progress) -> Generator[Item, None, None]:
        if spent:
            raise SourceError("a pipe can be read only once", name)
        spent.append(True)
        yield from read(progress)

    return SourceFile(name, once, {"path": name, "size": None, "mtime_ns": None})


class _Reader(NamedTuple):
    """How a source is read, and how its beginning is recognised, where that can be."""

    read: Read
    seek: Seek | None = None


def _reader(opener: Open, name: str, options: ReadOptions, size: int | None, pipe: bool = False) -> _Reader:
    """Look at the head and bind the reader that fits. Raises SourceError when none does."""
    head, complete, packed = _head(opener, options.encoding, eager=not pipe)
    table = options.header is not None or options.delimiter is not None
    kind = detect(name, head, complete, options.format, table, packed=packed)
    if kind == "parquet":
        if not pipe:
            check_parquet(opener, name)
        return _Reader(lambda progress: read_parquet(opener, name, progress, size))
    if kind == "jsonl":
        seek = None if pipe else partial(_seek_line, opener, options.encoding)
        return _Reader(partial(_read_text, opener, options.encoding, read_jsonl), seek)
    if kind == "json":
        return _Reader(partial(_read_text, opener, options.encoding, read_array))
    dialect = _dialect(head, complete, name, options, "\t" if kind == "tsv" else None)
    parse = partial(read_table, dialect=dialect, header=options.header, file=name)
    return _Reader(partial(_read_text, opener, options.encoding, parse))


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
