"""Sources as a person names them: files, folders, globs, URLs and standard input, opened and checked."""

from __future__ import annotations

import glob
import os
import stat
import sys
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import BinaryIO, cast

from scalesync.errors import SourceError
from scalesync.model import JsonObject, Mark
from scalesync.records.blocks import Blocks
from scalesync.records.bytestream import Progress, Replay
from scalesync.records.folders import Entry, look, read_folder
from scalesync.records.jsonlines import Item
from scalesync.records.prefix import Fingerprint
from scalesync.records.readers import Read, ReadOptions, Seek, reader_for
from scalesync.records.remote import expand_url, is_url, open_url, public_name

STDIN = "-"


class SourceFile:
    """One opened source. name: as shown to people. size, mtime_ns: None for standard input and URLs.

    notes: what a person should know about how it is read, as sentences that begin behind the name.
    """

    __slots__ = ("_facts", "_read", "_seek", "mtime_ns", "name", "notes", "size")

    def __init__(
        self, name: str, read: Read, facts: JsonObject, seek: Seek | None = None, notes: Sequence[str] = ()
    ) -> None:
        # Names need not be UTF-8, but texts in the ledger are: the odd bytes are written out.
        self.name = os.fsencode(name).decode("utf-8", "backslashreplace")
        self.size: int | None = facts["size"]
        self.mtime_ns: int | None = facts["mtime_ns"]
        self.notes = tuple(notes)
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
            reader = reader_for(partial(open_url, url), name, options, None)
            yield SourceFile(name, reader.read, facts, notes=reader.notes)
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
        reader = reader_for(partial(_binary, path), name, options, info.st_size)
        return SourceFile(name, reader.read, facts, reader.seek, reader.notes)
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
    inner = Progress()  # the file's own: a reader begins where its progress says, which other files moved on
    consumed, weight = progress.consumed, progress.weight
    for item in reader_for(partial(_binary, entry.path), entry.inside, options, None).read(inner):
        progress.consumed, progress.weight = consumed + inner.consumed, weight + inner.weight
        yield item


def _open_pipe(replay: Replay, name: str, options: ReadOptions) -> SourceFile:
    """Standard input, or a path that is a pipe: what is read for the look at its head is given again."""
    reader = reader_for(lambda: cast(BinaryIO, replay), name, options, None, pipe=True)
    replay.rewind()
    spent: list[bool] = []

    def once(progress: Progress) -> Generator[Item, None, None]:
        if spent:
            raise SourceError("a pipe can be read only once", name)
        spent.append(True)
        yield from reader.read(progress)

    return SourceFile(name, once, {"path": name, "size": None, "mtime_ns": None}, notes=reader.notes)
