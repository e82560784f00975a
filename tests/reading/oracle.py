"""What stands in the bytes, by Python's own readers, gzip, zstd and pyarrow. Imports nothing of the program."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import gzip
import io
import json
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module
from typing import Any

import pyarrow.parquet as pq

zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
csv.field_size_limit(1 << 30)
BAD = object()


@dataclass(frozen=True, slots=True)
class Read:
    """One place that is no blank. line: as docs/sources.md counts it; value: the record, or BAD."""

    line: int
    value: Any


def read(data: bytes, format: str, packing: str, delimiter: str = ",") -> list[Read]:
    """Every place of a file, in order."""
    plain = {"gz": gzip.decompress, "zst": zstd.decompress}.get(packing, bytes)(data)
    if format == "parquet":
        return [Read(n, _arrow(row)) for n, row in enumerate(_rows(plain), 1)]
    text = _decoded(plain)
    readers = {"jsonl": _lines, "lines": _lines, "array": _array, "objects": _objects}
    if format in readers:
        return list(readers[format](text))
    return list(_table(text, delimiter))


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def _refuse(word: str) -> Any:
    raise ValueError(word)


_decoder = json.JSONDecoder(parse_constant=_refuse)
_lenient = json.JSONDecoder()


_SURROGATE = re.compile("[\ud800-\udfff]")


def _parsed(text: str) -> Any:
    try:
        return usable(_decoder.decode(text))
    except ValueError:
        return BAD


def usable(value: Any) -> Any:
    """The value where it is an object that JSON can hold, else BAD."""
    return value if isinstance(value, dict) and _holds(value) else BAD


def _holds(value: Any) -> bool:
    match value:
        case str():
            return _SURROGATE.search(value) is None
        case float():
            return math.isfinite(value)
        case dict():
            return all(_holds(key) and _holds(inner) for key, inner in value.items())
        case list():
            return all(map(_holds, value))
    return True


def _lines(text: str) -> Iterator[Read]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip(" \t\r"):
            yield Read(number, _parsed(line))


def _array(text: str) -> Iterator[Read]:
    for number, value in enumerate(_lenient.decode(text) if text.strip() else [], 1):
        yield Read(number, usable(value))


def _objects(text: str) -> Iterator[Read]:
    at, number = _after_space(text, 0), 0
    while at < len(text):
        value, at = _lenient.raw_decode(text, at)
        at = _after_space(text, at)
        number += 1
        yield Read(number, usable(value))


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _table(text: str, delimiter: str) -> Iterator[Read]:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    names: list[str] | None = None
    at = 0
    while at < len(lines):
        rest = (lines[n] + "\n" for n in range(at, len(lines)))
        reader = csv.reader(rest, delimiter=delimiter, strict=True)
        try:
            row = next(reader, [])
            taken = reader.line_num
        except csv.Error:
            yield Read(at + 1, BAD)
            at += 1
            continue
        start, at = at + 1, at + max(taken, 1)
        if not row or (len(row) == 1 and not row[0].strip()):
            continue
        if names is None:
            names = row
        elif len(row) != len(names):
            yield Read(start, BAD)
        else:
            yield Read(start, usable(_nested(names, row)))


def _nested(names: list[str], row: list[str]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for name, cell in zip(names, row, strict=True):
        parts = name.split(".")
        if any(".".join(parts[:n]) in names for n in range(1, len(parts))):
            parts = [name]
        inner = record
        for part in parts[:-1]:
            inner = inner.setdefault(part, {})
        inner[parts[-1]] = cell
    return record


def _rows(data: bytes) -> list[dict[str, Any]]:
    with pq.ParquetFile(io.BytesIO(data)) as file:
        maps = {field.name for field in file.schema_arrow if str(field.type).startswith("map<")}
        rows: list[dict[str, Any]] = file.read().to_pylist()
    for row in rows:
        for name in maps:
            row[name] = None if row[name] is None else dict(row[name])
    return rows


def _arrow(row: dict[str, Any]) -> Any:
    return usable({name: _jsonable(value) for name, value in row.items()})


def _jsonable(value: Any) -> Any:
    match value:
        case dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return value.total_seconds()
        case Decimal():
            return format(value, "f")
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {key: _jsonable(inner) for key, inner in value.items()}
        case list():
            return [_jsonable(inner) for inner in value]
    return value
