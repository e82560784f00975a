"""A folder as a source: files that carry records are sources of their own, the others one record each."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from scalesync.errors import SourceError
from scalesync.file_names import is_about_data, is_hidden, is_of_the_system, readable
from scalesync.model.records import BadRecord, Item, SourceRecord
from scalesync.sources.about import describe
from scalesync.sources.bytestream import Progress
from scalesync.sources.options import Describe, ReadOptions
from scalesync.sources.places.doubtful import Doubtful
from scalesync.sources.places.overlap import Overlap
from scalesync.sources.places.passed_over import PassedOver, Reason
from scalesync.sources.places.written import OwnFiles
from scalesync.sources.registry import DOCUMENTS, is_document, suffix_format
from scalesync.text import count

SHOWN_KINDS = 4


class Entry(NamedTuple):
    """A file in a folder.

    path: to open it.
    inside: relative to the folder, with slashes.
    link: a symbolic one.
    """

    path: str
    inside: str
    link: bool = False


ReadJson = Callable[[Entry, int, Progress], Iterator[Item]]  # with the size in bytes


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder's first look.

    carriers: files that carry records.
    others: how many do not.
    described: the others that are not JSON either, by the end of their name: each is a record without content.
    size: bytes of the others.
    mtime_ns: the newest of the others.
    digest: changes when one of the others comes, goes or changes.
    left_out: paths inside the folder of files that are read elsewhere; they do not count as others.
    """

    carriers: tuple[Entry, ...]
    others: int
    size: int
    mtime_ns: int
    digest: str
    left_out: frozenset[str]
    described: Mapping[str, int]

    def notes(self) -> Iterator[str]:
        """What a person should know, as sentences that follow the folder's name."""
        if self.described:
            number = sum(self.described.values())
            kinds = sorted(self.described, key=lambda kind: (-self.described[kind], kind))
            told = ", ".join(f"{self.described[kind]:,} {kind}" for kind in kinds[:SHOWN_KINDS])
            more = f", {count(len(kinds) - SHOWN_KINDS, 'more kind')}" if len(kinds) > SHOWN_KINDS else ""
            each = "each is one record" if number > 1 else "it is one record"
            yield f"{count(number, 'file')} without records ({told}{more}): {each}, which only describes the file"


def walk(folder: str, passed: PassedOver | None = None) -> Iterator[Entry]:
    """The files of a folder, sorted, at any depth, without skipped ones; `passed` counts those."""
    return _walk(folder, "", OwnFiles(), PassedOver() if passed is None else passed)


def _walk(folder: str, inside: str, own: OwnFiles, passed: PassedOver) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=_by_name)
    except OSError as error:
        raise SourceError(f"cannot be listed: {error.strerror}", readable(folder)) from None
    names = frozenset(entry.name for entry in entries)
    for entry in entries:
        name, path = entry.name, entry.path
        if is_hidden(name):
            passed.add(Reason.HIDDEN, path)
        elif is_of_the_system(name):
            passed.add(Reason.SYSTEM, path)
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(path, f"{inside}{name}/", own, passed)
        elif entry.is_symlink() and leads_to_folder(entry):
            passed.add(Reason.LINK, path)
        elif not entry.is_file(follow_symlinks=False) and is_special(path):
            passed.add(Reason.SPECIAL, path)
        else:
            own.enter(folder, names)
            if own.wrote(name):
                passed.add(Reason.OURS, path)
            else:
                yield Entry(path, f"{inside}{name}", entry.is_symlink())


def leads_to_folder(entry: os.DirEntry[str]) -> bool:
    """Whether a folder is there, also by a link. A link that leads into itself leads nowhere, like a broken one."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_special(path: str) -> bool:
    """Whether it is neither file nor folder: opening or reading it may never end."""
    return is_mode_special(mode_of(path))


def mode_of(path: str) -> int:
    """The mode that `stat` reports; 0 if unknown."""
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def is_mode_special(mode: int) -> bool:
    """`is_special`, if the mode is at hand."""
    return mode != 0 and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _by_name(entry: os.DirEntry[str]) -> str:
    return entry.name


def carries_records(entry: Entry, every: bool) -> bool:
    """True for names that end in .jsonl, .csv, .parquet and the like.

    every: the caller named a format.
    """
    format = None if every else suffix_format(entry.inside)
    return every or (format is not None and format not in DOCUMENTS)


def is_left_out(entry: Entry, describe: Describe) -> bool:
    """Whether a file that does not carry records is not one either."""
    if describe is Describe.ALL or suffix_format(entry.inside) is not None:
        return False
    return describe is Describe.NONE or is_about_data(os.path.basename(entry.inside))


def _why_left_out(entry: Entry, doubtful: Doubtful) -> Reason:
    if is_about_data(os.path.basename(entry.inside)) or not doubtful.has(entry.path):
        return Reason.EMPTY
    return Reason.DOUBT


def look(folder: str, every: bool, passed: PassedOver, describe: Describe) -> Listing:
    """List a folder.

    every: all files carry records.
    Raises SourceError if it holds no file that is read.
    """
    carriers: list[Entry] = []
    digest = hashlib.blake2b(digest_size=16)
    others = size = newest = 0
    overlap = Overlap(folder, passed)
    left_out: set[str] = set()
    described: Counter[str] = Counter()
    doubtful = Doubtful()
    for entry in walk(folder, passed):
        if carries_records(entry, every):
            carriers.append(entry)
            continue
        if is_left_out(entry, describe):
            passed.add(_why_left_out(entry, doubtful), entry.path)
            continue
        try:
            info = os.stat(entry.path)
        except OSError:
            others += 1
            continue
        if overlap.has(entry.path, entry.inside, info, link=entry.link):
            passed.add(Reason.MET, entry.path)
            left_out.add(entry.inside)
            continue
        others += 1
        if suffix_format(entry.inside) is None:
            described[kind_of(entry.inside)] += 1
        size += info.st_size
        newest = max(newest, info.st_mtime_ns)
        digest.update(f"{entry.inside}\0{info.st_size}\0{info.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    if not carriers and not others and not left_out:
        skipped = passed.has(Reason.EMPTY) or passed.has(Reason.DOUBT)
        what = "holds no file with records" if skipped else "is a folder without files"
        raise SourceError(f"{what}{f' ({passed})' if passed else ''}", readable(folder))
    return Listing(tuple(carriers), others, size, newest, digest.hexdigest(), frozenset(left_out), described)


def kind_of(inside: str) -> str:
    """The end of a file's name in lower case, such as ".jpg"."""
    return readable(os.path.splitext(inside)[1].lower()) or "without an extension"


def read_folder(
    folder: str, options: ReadOptions, left_out: frozenset[str], read_json: ReadJson, progress: Progress
) -> Generator[Item, None, None]:
    """One record per file, JSON files as their content, all with `about`; `line` counts them from 1.

    left_out: as `look` reported.
    """
    line = 0
    for entry in walk(folder):
        if carries_records(entry, options.format is not None) or entry.inside in left_out:
            continue
        if is_left_out(entry, options.describe):
            continue
        for item in _records(entry, read_json, progress):
            line += 1
            yield item._replace(line=line) if isinstance(item, SourceRecord) else replace(item, line=line)


def _records(entry: Entry, read_json: ReadJson, progress: Progress) -> Iterator[Item]:
    shown = readable(entry.inside)
    try:
        size = os.stat(entry.path).st_size
    except OSError as error:
        yield BadRecord(0, f"file {shown}: {error.strerror}", "")
        return
    about = describe(shown, size)
    if not is_document(entry.inside):
        progress.consumed += size
        yield SourceRecord(0, {}, about)
        return
    if not size:
        yield BadRecord(0, f"file {shown}: is empty", "")
        return
    try:
        for item in read_json(entry, size, progress):
            if isinstance(item, SourceRecord):
                yield item._replace(about=about, inner=item.line)
            else:
                yield replace(item, line=0, reason=f"file {shown}, element {item.line}: {item.reason}")
    except SourceError as error:
        yield BadRecord(0, f"file {error}", "")
    except OSError as error:
        yield BadRecord(0, f"file {shown}: {error.strerror}", "")
