"""A folder as a source: files that carry records are sources of their own, the others one record each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace

from scalesync.errors import SourceError
from scalesync.model import BadRecord, SourceRecord
from scalesync.records.about import describe
from scalesync.records.bytestream import Progress
from scalesync.records.detect import suffix_format
from scalesync.records.jsonlines import Item


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a folder. path: as to be opened; inside: relative to the folder, with slashes."""

    path: str
    inside: str


ReadJson = Callable[[Entry, Progress], Iterator[Item]]


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder's first look. carriers: files that carry records. others: how many do not.

    size: their bytes; mtime_ns: the newest; digest: changes when one of them comes, goes or changes.
    """

    carriers: tuple[Entry, ...]
    others: int
    size: int
    mtime_ns: int
    digest: str


def walk(folder: str, inside: str = "") -> Iterator[Entry]:
    """The files of a folder, sorted, depth included; hidden ones and links to folders are passed over."""
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
    except OSError as error:
        raise SourceError(f"cannot be listed: {error.strerror}", folder) from None
    for name, is_folder in entries:
        if name.startswith("."):
            continue
        path = os.path.join(folder, name)
        if is_folder:
            yield from walk(path, f"{inside}{name}/")
        elif not os.path.isdir(path):
            yield Entry(path, f"{inside}{name}")


def carries_records(entry: Entry, every: bool) -> bool:
    """True for names that end in .jsonl, .csv, .parquet and the like; every: the caller named a format."""
    return every or suffix_format(entry.inside) not in (None, "json")


def look(folder: str, every: bool) -> Listing:
    """List a folder. every: all files carry records. Raises SourceError when it holds no file."""
    carriers: list[Entry] = []
    digest = hashlib.blake2b(digest_size=16)
    others = size = newest = 0
    for entry in walk(folder):
        if carries_records(entry, every):
            carriers.append(entry)
            continue
        others += 1
        try:
            info = os.stat(entry.path)
        except OSError:
            continue
        size += info.st_size
        newest = max(newest, info.st_mtime_ns)
        digest.update(f"{entry.inside}\0{info.st_size}\0{info.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    if not carriers and not others:
        raise SourceError("is a folder without files", folder)
    return Listing(tuple(carriers), others, size, newest, digest.hexdigest())


def read_folder(folder: str, every: bool, read_json: ReadJson, progress: Progress) -> Generator[Item, None, None]:
    """One record per file, JSON files as their content, all with `about`; `line` counts them from 1."""
    line = 0
    for entry in walk(folder):
        if carries_records(entry, every):
            continue
        for item in _records(entry, read_json, progress):
            line += 1
            yield item._replace(line=line) if isinstance(item, SourceRecord) else replace(item, line=line)


def _records(entry: Entry, read_json: ReadJson, progress: Progress) -> Iterator[Item]:
    try:
        size = os.stat(entry.path).st_size
        entry.inside.encode()
    except OSError as error:
        yield BadRecord(0, f"file {entry.inside}: {error.strerror}", "")
        return
    except UnicodeEncodeError:
        shown = entry.inside.encode("utf-8", "replace").decode()
        yield BadRecord(0, f"file {shown}: the name is not valid UTF-8", "")
        return
    about = describe(entry.inside, size)
    if suffix_format(entry.inside) != "json":
        progress.consumed += size
        yield SourceRecord(0, {}, about)
        return
    if not size:
        yield BadRecord(0, f"file {entry.inside}: is empty", "")
        return
    try:
        for item in read_json(entry, progress):
            if isinstance(item, SourceRecord):
                yield SourceRecord(0, item.value, about)
            else:
                yield replace(item, line=0, reason=f"file {entry.inside}, element {item.line}: {item.reason}")
    except SourceError as error:
        yield BadRecord(0, f"file {error}", "")
    except OSError as error:
        yield BadRecord(0, f"file {entry.inside}: {error.strerror}", "")
