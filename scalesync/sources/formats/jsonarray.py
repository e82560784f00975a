"""A JSON array, or JSON objects one after the other, element by element in flat memory."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import replace

from scalesync.jsonvalue import RAW_LIMIT, SIZE_LIMIT, as_item, cut
from scalesync.model.records import BadRecord, Item, SourceRecord
from scalesync.sources.bytestream import ByteStream
from scalesync.sources.formats.jsonlines import oversized_reason

_SPACE = re.compile(rb"[ \t\r\n]*+")
# Possessive: nothing is kept for backtracking, so long elements cost no memory.
_BARE = re.compile(rb'(?:[^",\[\]{}]++|"(?:[^"\\]++|\\.)*+")*+', re.DOTALL)
_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_OPENS = re.compile(rb"[\[{]++")
_CLOSES = re.compile(rb"[\]}]++")
_OPEN = b"[{"


def _shallow(levels: int) -> str:
    """A pattern for a bracketed value with at most this many levels: such an element is one match."""
    inner = r'[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+"'
    nested = f"|{_shallow(levels - 1)}" if levels > 1 else ""
    return rf"[\[{{](?:{inner}{nested})*+[\]}}]"


_SHALLOW = re.compile(_shallow(5).encode(), re.DOTALL)
_DEEP_INSIDE = re.compile(rf'(?:[^"{{}}\[\]]++|"(?:[^"\\]++|\\.)*+"|{_shallow(2)})*+'.encode(), re.DOTALL)
_WHOLE = 8 * 1024 * 1024  # a file that is one object and not larger than this is parsed in one go


class Splitter:
    """Finds the elements in a growing buffer. States: between elements, inside one, inside a string.

    buffer, pos: the bytes read and not dropped yet, and the position in them.
    """

    def __init__(self, stream: ByteStream, limit: int) -> None:
        self.buffer = b""
        self.pos = 0
        self.line = 1
        self.start = -1  # of the current element, -1 between elements
        self.start_line = 1
        self.overlong = b""
        self._pieces = iter(stream)
        self._counted = 0
        self._depth = 0
        self._in_string = False
        self._limit = limit

    def more(self) -> bool:
        """Read on; False at the end. Reads as much as is pending, so that joining stays cheap."""
        base = self.start if self.start >= 0 else self.pos
        self._count_to(base)
        pending = len(self.buffer) - base
        if pending > self._limit and self.start >= 0:
            self.overlong = self.overlong or self.buffer[base : base + RAW_LIMIT * 4]
            base = self.pos
            self._count_to(base)
            pending = len(self.buffer) - base
        parts = [self.buffer[base:]]
        size = 0
        for piece in self._pieces:
            parts.append(piece)
            size += len(piece)
            if size >= pending:
                break
        self.buffer = b"".join(parts)
        self.pos -= base
        self._counted -= base
        self.start = min(self.start, 0)
        return size > 0

    def _count_to(self, at: int) -> None:
        if at > self._counted:
            self.line += self.buffer.count(b"\n", self._counted, at)
            self._counted = at

    def here(self) -> int:
        """The line of the current position."""
        self._count_to(self.pos)
        return self.line

    def peek(self) -> int:
        """The next byte that is not white space, -1 at the end."""
        while True:
            match = _SPACE.match(self.buffer, self.pos)
            self.pos = match.end() if match else self.pos
            if self.pos < len(self.buffer):
                return self.buffer[self.pos]
            if not self.more():
                return -1

    def whole(self, most: int) -> bool:
        """Read until `most` bytes are there; True if they are all."""
        while len(self.buffer) <= most:
            if not self.more():
                return True
        return False

    def element(self) -> bool:
        """Move over one element that starts at `pos`; False if the data ends inside it."""
        self._count_to(self.pos)
        self.start, self.start_line = self.pos, self.line
        self.overlong = b""
        self._depth = 0
        if match := _SHALLOW.match(self.buffer, self.pos):
            self.pos = match.end()
            return True
        while not self._step():
            if not self.more():
                return False
        return True

    def text(self) -> bytes:
        """The element's bytes, after `element`."""
        text = self.buffer[self.start : self.pos]
        if len(text) > self._limit:
            self.overlong = self.overlong or text[: RAW_LIMIT * 4]
        self.start = -1
        return text

    def _step(self) -> bool:
        """Scan the buffer; True when the element is complete."""
        buffer, pos, end = self.buffer, self.pos, len(self.buffer)
        while True:
            if self._in_string:
                pos = _end(_STRING, buffer, pos)
                if pos >= end or buffer[pos] != 0x22:
                    break
                pos += 1
                self._in_string = False
            pos = _end(_DEEP_INSIDE if self._depth else _BARE, buffer, pos)
            if pos >= end:
                break
            byte = buffer[pos]
            if not self._depth and byte in b",]}":
                self.pos = pos
                return True
            if byte == 0x22:
                pos += 1
                self._in_string = True
            elif byte in _OPEN:
                run = _end(_OPENS, buffer, pos)
                self._depth += run - pos
                pos = run
            else:
                run = min(_end(_CLOSES, buffer, pos), pos + self._depth)
                self._depth -= run - pos
                pos = run
                if not self._depth:
                    self.pos = pos
                    return True
        self.pos = pos
        return False


def _end(pattern: re.Pattern[bytes], buffer: bytes, pos: int) -> int:
    match = pattern.match(buffer, pos)
    return match.end() if match else pos


def read_array(stream: ByteStream, limit: int = SIZE_LIMIT) -> Iterator[Item]:
    """Records of a JSON array, or of objects that follow each other; `line` is the element's number, from 1.

    A whole array may be on one line, so lines do not separate its elements; a complaint names both. An element that is
    not an object, a broken one and a cut-off end are BadRecords; reading continues if it can.
    """
    for number, item in enumerate(_items(stream, limit), start=1):
        if isinstance(item, BadRecord):
            yield replace(item, line=number, reason=f"{item.reason} (line {item.line})")
        else:
            yield SourceRecord(number, item.value)


def _items(stream: ByteStream, limit: int) -> Iterator[Item]:
    """The elements with the line on which each starts."""
    split = Splitter(stream, limit)
    first = split.peek()
    array = first == 0x5B
    if array:
        split.pos += 1
    elif first == 0x7B and split.whole(_WHOLE) and stream.damage is None:
        item = as_item(split.buffer[split.pos :].rstrip(), split.here())
        if isinstance(item, SourceRecord):
            yield item
            return
    closed = yield from read_elements(split, array)
    yield from _end_of(split, stream, closed or not array, array)


def read_elements(split: Splitter, array: bool) -> Generator[Item, None, bool]:
    """The elements from the position on, with the line on which each starts; returns whether it reached the array's
    end.
    """
    byte = split.peek()
    while byte != -1:
        if array and byte == 0x5D:
            split.pos += 1
            return True
        if byte in b",]}":
            split.pos += 1
            yield BadRecord(split.here(), f'an element is missing before "{chr(byte)}"', "")
        elif not split.element():
            break
        else:
            yield _item(split)
            yield from _separator(split, array)
        byte = split.peek()
    return False


def _item(split: Splitter) -> Item:
    text = split.text()
    if split.overlong:
        return BadRecord(split.start_line, oversized_reason(), cut(split.overlong))
    return as_item(text.rstrip(), split.start_line)


def _separator(split: Splitter, array: bool) -> Iterator[Item]:
    """Move over the comma; objects that follow each other have none."""
    byte = split.peek()
    if not array or byte in (-1, 0x5D):
        return
    if byte == 0x2C:
        split.pos += 1
    else:
        yield BadRecord(split.here(), "a comma is missing between two elements", "")


def _end_of(split: Splitter, stream: ByteStream, closed: bool, array: bool) -> Iterator[Item]:
    if split.start >= 0:
        text = split.overlong or split.text()
        if array or stream.damage is not None or text[:1] in (b"{", b"["):
            reason = stream.damage or "the data ends inside this record"
            yield BadRecord(split.start_line, reason, cut(text), None if split.overlong else text)
        else:
            yield as_item(text.rstrip(), split.start_line)
    elif stream.damage is not None:
        yield BadRecord(split.here(), stream.damage, "")
    elif not closed:
        yield BadRecord(split.here(), "the array has no end (file cut off?)", "")
    elif split.peek() != -1:
        yield BadRecord(split.here(), "text follows the array's end", cut(split.buffer[split.pos :]))
        while split.more():
            split.pos = len(split.buffer)
