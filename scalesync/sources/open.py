"""Sources as a person names them: files, folders, globs, URLs and standard input, opened and checked."""

from __future__ import annotations

import glob
import io
import os
import stat
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import BinaryIO, cast

from scalesync.addresses import is_url, public_name
from scalesync.errors import SourceError
from scalesync.file_names import readable
from scalesync.model.records import Item
from scalesync.sources.bytestream import Progress, Replay
from scalesync.sources.formats.jsontexts import is_plain_object, object_in
from scalesync.sources.options import ReadOptions
from scalesync.sources.places.folders import Entry, carries_records, is_mode_special, look, mode_of, read_folder
from scalesync.sources.places.globs import expand
from scalesync.sources.places.named import address
from scalesync.sources.places.overlap import is_read_in
from scalesync.sources.places.passed_over import PassedOver, Reason
from scalesync.sources.places.remote import expand_url, known_as, open_url
from scalesync.sources.places.written import OwnFiles
from scalesync.sources.readers import reader_for
from scalesync.sources.source import HEAD, Open, Reader
from scalesync.sources.source_file import Facts, SourceFile

STDIN = "-"
SMALL = 1024 * 1024  # bytes of a file in a folder that is read at once


def open_sources(
    specs: Sequence[str], options: ReadOptions, *, stdin: BinaryIO | None = None, passed: PassedOver | None = None
) -> list[SourceFile]:
    """Open every source, in the order given, each file once; patterns and folders are expanded and sorted.

    passed: counts skipped files, and knows the files that were opened before.
    Raises SourceError if one is missing, unreadable or not a source of records, ConfigError if an extra package is
        needed. It reads only the head of each file.
    """
    options.check()
    if sum(spec == STDIN for spec in specs) > 1:
        raise SourceError("standard input can be named only once", STDIN)
    opened: list[SourceFile] = []
    passed = PassedOver() if passed is None else passed
    for spec in specs:
        opened.extend(_open_one(spec, options, stdin, passed))
    return opened


def _open_one(spec: str, options: ReadOptions, stdin: BinaryIO | None, passed: PassedOver) -> Iterator[SourceFile]:
    if spec == STDIN:
        yield _open_pipe(Replay(stdin or sys.stdin.buffer), STDIN, options)
        return
    if is_url(spec):
        for url in expand_url(spec, passed):
            name = public_name(url)
            if passed.meets(known_as(url), name):
                continue
            reader = reader_for(partial(open_url, url), name, options, None)
            yield SourceFile(name, reader._replace(seek=None), Facts(address(url)))
        return
    for path in _expand(spec.removeprefix("file://"), passed):
        info = _stat(path, path)
        if stat.S_ISDIR(info.st_mode):
            yield from _open_folder(path, options, passed)
        else:
            yield from _open_file(path, path, info, options, passed)


def _expand(spec: str, passed: PassedOver) -> list[str]:
    """The files that a pattern matches, or the folders if it matches only folders; a path that exists is itself."""
    if os.path.lexists(spec) or not glob.has_magic(spec):
        return [spec]
    found = {path: mode_of(path) for path in expand(spec, passed)}
    files = {path: mode for path, mode in found.items() if not stat.S_ISDIR(mode)}
    kept = list(_foreign(files, passed))
    if not found or (files and not kept):
        left = f" that is read ({passed}; name one exactly to read it)" if passed else ""
        raise SourceError(f"matches no file{left}", readable(spec))
    return kept or [path for path in found if path.strip(os.sep)]


def _foreign(files: Mapping[str, int], passed: PassedOver) -> Iterator[str]:
    """The files, given with their modes, that scalesync did not write."""
    own = OwnFiles()
    for path, mode in files.items():
        folder, name = os.path.split(path)
        own.enter(folder)
        if is_mode_special(mode):
            passed.add(Reason.SPECIAL, path)
        elif own.wrote(name):
            passed.add(Reason.OURS, path)
        else:
            yield path


def _stat(path: str, name: str) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError as error:
        raise _in_words(error, name) from None


def _in_words(error: OSError, name: str) -> SourceError:
    missing = isinstance(error, FileNotFoundError)
    told = "there is no such file" if missing else f"cannot be read: {error.strerror or error}"
    return SourceError(told, readable(name))


def _open_file(
    path: str, name: str, info: os.stat_result, options: ReadOptions, passed: PassedOver
) -> Iterator[SourceFile]:
    try:
        if not stat.S_ISREG(info.st_mode):
            yield _open_pipe(Replay(_binary(path), own=True), name, options)
            return
        if passed.meets((info.st_dev, info.st_ino), name):
            return
        if passed.folders and not carries_records(Entry(path, name), options.format is not None):
            real = os.path.realpath(path)
            if any(is_read_in(real, folder) for folder in passed.folders):
                passed.add(Reason.MET, name)
                return
        place, size = os.path.abspath(path), info.st_size
        if size <= HEAD and name.endswith(".json") and is_plain_object(_bytes_of(path, size), options):
            reader = Reader(partial(_read_json, options, Entry(path, readable(name)), size))
        else:
            reader = reader_for(partial(_binary, path), readable(name), options, size)
        yield SourceFile(name, reader, Facts(readable(place), size, info.st_mtime_ns), file=path, place=place)
    except OSError as error:
        raise _in_words(error, name) from None


def _bytes_of(path: str, size: int) -> bytes:
    """The whole of a small file of this size."""
    file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        data = os.read(file, size + 1)
        if len(data) == size:
            return data
        parts = [data]
        while part := os.read(file, SMALL):
            parts.append(part)
    finally:
        os.close(file)
    return b"".join(parts)


def _binary(path: str) -> BinaryIO:
    return open(path, "rb")


def _open_folder(folder: str, options: ReadOptions, passed: PassedOver) -> Iterator[SourceFile]:
    info = os.stat(folder)
    if passed.meets((info.st_dev, info.st_ino), folder):
        return
    every = options.format is not None
    listing = look(folder, every, passed, options.describe)
    passed.folders.append(os.path.realpath(folder))
    shown = folder.rstrip("/") or "/"
    for entry in listing.carriers:
        name = f"{shown}/{entry.inside}"
        yield from _open_file(entry.path, name, _stat(entry.path, name), options, passed)
    if listing.others:
        place = os.path.abspath(folder)
        more = {"files": listing.others, "digest": listing.digest}
        facts = Facts(readable(place), listing.size, listing.mtime_ns, more)
        read = partial(read_folder, folder, options, listing.left_out, partial(_read_json, options))
        reader = Reader(read, notes=tuple(listing.notes()))
        yield SourceFile(shown, reader, facts, left_out=listing.left_out, place=place)


def _read_json(options: ReadOptions, entry: Entry, size: int, progress: Progress) -> Generator[Item, None, None]:
    opener: Open = partial(_binary, entry.path)
    consumed, weight = progress.consumed, progress.weight
    if size <= SMALL:
        # Opened once, and an object parsed at once: what else opening and telling the format cost is ten times that.
        data = _bytes_of(entry.path, size)
        record = object_in(data, options)
        if record is not None:
            progress.consumed, progress.weight = consumed + len(data), weight + len(data)
            yield record
            return
        opener = partial(io.BytesIO, data)
    inner = Progress()  # the file's own: a reader begins where its progress says, which other files moved on
    for item in reader_for(opener, entry.inside, options, None).read(inner):
        progress.consumed, progress.weight = consumed + inner.consumed, weight + inner.weight
        yield item


def _open_pipe(replay: Replay, name: str, options: ReadOptions) -> SourceFile:
    """Standard input, or a path that is a pipe: the bytes of the look at its head are given again."""
    reader = reader_for(lambda: cast(BinaryIO, replay), name, options, None, pipe=True)
    replay.rewind()
    spent: list[bool] = []

    def once(progress: Progress) -> Generator[Item, None, None]:
        if spent:
            raise SourceError("a pipe can be read only once", name)
        spent.append(True)
        yield from reader.read(progress)

    return SourceFile(name, reader._replace(read=once, seek=None), Facts(name))
