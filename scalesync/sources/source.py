"""One source before it is read: how to open it, its beginning, and what a format binds to it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, NamedTuple

from scalesync.errors import SourceError
from scalesync.model.records import Checkpoint, Item
from scalesync.sources.bytestream import ByteStream, Progress
from scalesync.sources.checkpoints import Fingerprint
from scalesync.sources.options import ReadOptions

NOTHING = "holds no record"
HEAD = 64 * 1024  # unpacked bytes that show format and dialect
Open = Callable[[], BinaryIO]
Read = Callable[[Progress], Generator[Item, None, None]]
Seek = Callable[[Sequence[Checkpoint]], Fingerprint | None]
Parse = Callable[[ByteStream], Iterator[Item]]


class Reader(NamedTuple):
    """How a source is read, and how its beginning is recognised, if it can be.

    notes: what a person should know about how it is read, as sentences that follow the name.
    """

    read: Read
    seek: Seek | None = None
    notes: tuple[str, ...] = ()


class Head(NamedTuple):
    """The beginning of a file, unpacked.

    complete: it is the whole.
    window: see ByteStream.
    """

    data: bytes
    complete: bool
    packed: bool
    window: int


@dataclass(frozen=True, slots=True)
class Source:
    """One source before it is read.

    open: its bytes from the start, as stored.
    name: for people.
    head: its beginning.
    size: bytes as stored, None if unknown.
    pipe: it can be read only once; the bytes of the look are given again.
    """

    open: Open
    name: str
    options: ReadOptions
    head: Head
    size: int | None = None
    pipe: bool = False

    def look(self, least: int) -> Head:
        """The beginning, with at least this many unpacked bytes if there are that many; of a pipe, what is known."""
        if self.pipe or least <= HEAD:
            return self.head
        return take_head(self.open, self.name, self.options.encoding, lambda parts, size: size >= least)

    def reads(self, parse: Parse, *, binary: bool = False) -> Read:
        """A way to read: `parse` makes items of the unpacked bytes.

        It gets UTF-8, whatever the encoding, without a byte order mark; with `binary`, the bytes as they are.
        """
        return partial(_read, self.open, None if binary else self.options.encoding, parse)


def _read(opener: Open, encoding: str | None, parse: Parse, progress: Progress) -> Generator[Item, None, None]:
    raw = opener()
    try:
        yield from parse(ByteStream(raw, progress, encoding))
    finally:
        raw.close()


def take_head(opener: Open, name: str, encoding: str, is_enough: Callable[[Sequence[bytes], int], bool]) -> Head:
    """The beginning of a file.

    is_enough: of the pieces so far and their size.
    Raises SourceError if there is no beginning, because a compressed file cannot be unpacked at all.
    """
    raw = opener()
    try:
        parts: list[bytes] = []
        size = 0
        stream = ByteStream(raw, Progress(), encoding)
        for piece in stream:
            parts.append(piece)
            size += len(piece)
            if is_enough(parts, size):
                return Head(b"".join(parts), False, stream.packed, stream.window)
        if stream.damage is not None and not parts:
            raise SourceError(stream.damage, name)
        return Head(b"".join(parts), stream.damage is None, stream.packed, stream.window)
    finally:
        raw.close()


def holds_a_line(parts: Sequence[bytes]) -> bool:
    """Whether a whole line is there, except blank ones: the header of a table may be cut after a blank line."""
    return b"\n" in b"".join(parts).lstrip(b" \t\r\n")
