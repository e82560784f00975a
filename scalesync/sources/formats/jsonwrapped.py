"""JSON objects that wrap a list of records, such as {"count": 2, "items": [...]}: `--records items`, in flat memory."""

from __future__ import annotations

import io
import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import orjson

from scalesync.jsonvalue import SIZE_LIMIT, cut, kind, loads
from scalesync.model.records import BadRecord, Item, SourceRecord
from scalesync.sources.bytestream import ByteStream, Progress
from scalesync.sources.formats.jsonarray import Splitter, read_elements

LONG_LIST = 10  # objects in a list from which a person is asked whether these are the records
_NAME = re.compile(rb'("(?:[^"\\]++|\\.)*+")[ \t\r\n]*+:[ \t\r\n]*+(?=[^ \t\r\n])', re.DOTALL)
_SHOWN = 8


class _Unusable(ValueError):
    """The text stops being JSON here, or ends."""


def read_wrapped(stream: ByteStream, path: Sequence[str], limit: int = SIZE_LIMIT) -> Iterator[Item]:
    """Records of the list at `path` in an object, or in each of several that follow each other.

    path: as `path_of` returns it.

    `line` is the record's number, from 1; complaints name the physical line as well.
    """
    for number, item in enumerate(_items(stream, path, limit), start=1):
        if isinstance(item, BadRecord):
            yield replace(item, line=number, reason=f"{item.reason} (line {item.line})")
        else:
            yield SourceRecord(number, item.value)


def _items(stream: ByteStream, path: Sequence[str], limit: int) -> Iterator[Item]:
    split = Splitter(stream, limit)
    try:
        while (byte := split.peek()) != -1:
            line = split.here()
            if byte == 0x7B and not (yield from _object(split, path)):
                yield BadRecord(line, f'holds no list "{".".join(path)}"', "")
            elif byte != 0x7B:
                yield BadRecord(line, "is not an object that holds a list of records", "")
                _pass(split)
                split.pos += 1
    except _Unusable as error:
        reason = stream.damage or f"{error}; what follows is not read"
        yield BadRecord(split.here(), reason, cut(split.buffer[split.pos :]))
        while split.more():
            split.pos = len(split.buffer)
    else:
        if stream.damage is not None:
            yield BadRecord(split.here(), stream.damage, "")


def _object(split: Splitter, path: Sequence[str]) -> Generator[Item, None, bool]:
    """Move over one object and yield the elements of the list at `path` in it; returns whether there was one."""
    found = False
    for name in members(split):
        value = split.peek()
        if name != path[0] or value != (0x5B if len(path) == 1 else 0x7B):
            _pass(split)
        elif len(path) > 1:
            found = (yield from _object(split, path[1:])) or found
        else:
            found = True
            split.pos += 1
            if not (yield from read_elements(split, array=True)):
                raise _Unusable("the list has no end (file cut off?)")
    return found


def members(split: Splitter) -> Iterator[str]:
    """The names in the object at the position; after each, the caller moves over the value."""
    split.pos += 1
    while (byte := split.peek()) != 0x7D:
        if byte == 0x2C:
            split.pos += 1
            byte = split.peek()
        yield _name(split)
    split.pos += 1


def _name(split: Splitter) -> str:
    while (match := _NAME.match(split.buffer, split.pos)) is None:
        if split.buffer[split.pos : split.pos + 1] != b'"' or not split.more():
            raise _Unusable("the data ends inside this object, or it is not valid JSON")
    split.pos = match.end()
    try:
        return str(orjson.loads(match[1]))
    except ValueError:
        return match[1].decode("utf-8", "replace")


def _pass(split: Splitter) -> None:
    if not split.element():
        raise _Unusable("the data ends inside this object")
    split.text()


def path_of(head: bytes, key: str) -> tuple[list[str], str | None]:
    """The names that lead to the list of --records, and a note if it might mean another.

    Dots step into objects, unless the first object of the file has the key as typed and no list at the end of the dots.
    """
    path = key.split(".")
    if len(path) == 1 or not _has_list(head, [key]):
        return path, None
    inner = f'under "{path[-1]}" inside "{".".join(path[:-1])}"'
    if _has_list(head, path):
        return path, f'holds a list under the key "{key}" too: --records {key} takes the one {inner}'
    return [key], f'holds a list under the key "{key}": --records {key} takes that, because there is none {inner}'


def _has_list(head: bytes, path: Sequence[str]) -> bool:
    split = Splitter(ByteStream(io.BytesIO(head), Progress()), SIZE_LIMIT)
    try:
        return split.peek() == 0x7B and _leads(split, path)
    except _Unusable:  # of a long file this is the beginning only
        return False


def _leads(split: Splitter, path: Sequence[str]) -> bool:
    """Move over one object, to its end or to the list at `path` in it."""
    for name in members(split):
        if name != path[0] or split.peek() != (0x5B if len(path) == 1 else 0x7B):
            _pass(split)
        elif len(path) == 1 or _leads(split, path[1:]):
            return True
    return False


def missing_list(text: bytes, path: Sequence[str]) -> str | None:
    """The complaint about a file that is one object without a list at `path`; None if there is none."""
    key = ".".join(path)
    try:
        value: Any = loads(text)
    except ValueError:
        return None
    if type(value) is not dict:
        return f"is {kind(value)}, not an object that holds a list of records; leave --records out"
    for part in path:
        inner = value.get(part) if type(value) is dict else None
        if inner is None:
            names = list(value) if type(value) is dict else []
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            return f'holds no list "{key}" (there is {", ".join(names[:_SHOWN]) or "nothing"}{more})'
        value = inner
    return None if type(value) is list else f'"{key}" is {kind(value)}, not a list of records'


def is_long_list(value: list[Any]) -> bool:
    """Whether `long_lists` would name this list."""
    return len(value) >= LONG_LIST and all(type(one) is dict for one in value)


def long_lists(head: bytes, complete: bool) -> list[str]:
    """The names of long lists of objects in one object; [] if several objects follow each other."""
    split = Splitter(ByteStream(io.BytesIO(head), Progress()), SIZE_LIMIT)
    found: list[str] = []
    if split.peek() != 0x7B:
        return []
    try:
        for name in members(split):
            if split.peek() != 0x5B:
                _pass(split)
                continue
            split.pos += 1
            objects = [isinstance(item, SourceRecord) for item in read_elements(split, array=True)]
            if len(objects) >= LONG_LIST and all(objects):
                found.append(name)
    except _Unusable:
        return [] if complete else found
    return found if split.peek() == -1 else []
