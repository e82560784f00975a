"""Lines of a byte stream, and JSON lines in them."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from scalesync.jsonvalue import RAW_LIMIT, SIZE_LIMIT, as_item, cut, has_long_digits, is_blank
from scalesync.model.records import BadRecord, Item, SourceRecord
from scalesync.sources.bytestream import ByteStream


class Oversized(bytes):
    """The first bytes of a line that is longer than the limit; the rest was dropped."""

    __slots__ = ()


class Lines:
    """Iterates over lists of lines, without the newline; a list holds the lines that one piece of the stream completed.

    piece: the bytes that completed the last list.
    tail: the unfinished last line if the stream was damaged, else empty (it then comes as a line).
    """

    def __init__(self, stream: ByteStream, newline: bytes = b"\n", limit: int = SIZE_LIMIT) -> None:
        self.piece = b""
        self.tail = b""
        self._stream = stream
        self._newline = newline
        self._limit = limit
        self._carry: list[bytes] = []
        self._carried = 0
        self._head: bytes | None = None

    def __iter__(self) -> Iterator[list[bytes]]:
        for piece in self._stream:
            lines = piece.split(self._newline)
            self._keep(lines[0])
            if len(lines) == 1:
                continue
            self.piece = piece
            lines[0] = self._take()
            self._keep(lines.pop())
            yield lines
        if not self._carried:
            return
        self.piece = self._take()
        if self._stream.damage is None:
            yield [self.piece]
        else:
            self.tail = self.piece

    def _keep(self, part: bytes) -> None:
        self._carried += len(part)
        if self._carried <= self._limit:
            self._carry.append(part)
        elif self._head is None:
            self._head = b"".join([*self._carry, part])[: RAW_LIMIT * 4]
            self._carry = []

    def _take(self) -> bytes:
        carry, head = self._carry, self._head
        self._carry, self._carried, self._head = [], 0, None
        if head is not None:
            return Oversized(head)
        return carry[0] if len(carry) == 1 else b"".join(carry)


def read_jsonl(stream: ByteStream, newline: bytes = b"\n", limit: int = SIZE_LIMIT) -> Iterator[Item]:
    """Records of JSON lines after `stream.progress.lines`; `line` is the physical line, blank lines do not count."""
    lines = Lines(stream, newline, limit)
    number = 0
    loads = orjson.loads
    read = stream.progress.lines
    for found in lines:
        batch = found[max(0, read.line - number) :]
        number += len(found) - len(batch)
        if not batch:
            continue
        exact = has_long_digits(lines.piece) or has_long_digits(batch[0])
        for line in batch:
            number += 1
            try:
                value = None if exact or type(line) is Oversized else loads(line)
            except ValueError:
                value = None
            if type(value) is dict:
                yield SourceRecord(number, value)
            else:
                yield from _careful(line, number)
        read.add(batch)
        stream.progress.mark = read.mark()
    if stream.damage is not None:
        yield BadRecord(number + 1, stream.damage, cut(lines.tail), lines.tail)


def _careful(line: bytes, number: int) -> Iterator[Item]:
    if type(line) is Oversized:
        yield BadRecord(number, oversized_reason(), cut(line))
    elif not is_blank(line):
        yield as_item(line, number)


def oversized_reason() -> str:
    """The complaint about a record over the limit."""
    return f"is longer than {SIZE_LIMIT // 1024 // 1024} MB"
