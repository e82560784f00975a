"""Records, blank places and bad ones as the bytes of a file."""

from __future__ import annotations

import gzip
import io
import json
import math
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.reading.points import JSON_LINES, Point
from tests.reading.values import NUMBER, Record, as_json

zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

SUFFIX = {
    "jsonl": ".jsonl", "lines": ".json", "array": ".json", "objects": ".json",
    "csv": ".csv", "tsv": ".tsv", "parquet": ".parquet",
}  # fmt: skip
PACKED = {"plain": "", "gz": ".gz", "zst": ".zst"}
BAD_LINES = (
    *('{"k": 1, ', "[1, 2]", '"text"', "nonsense", "NaN", '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', "}"),
    *(
        '{"a": 1} {"b": 2}',
        '{"unique_id": [1]}',
        '{"unique_id": ""}',
        '{"unique_id": null}',
        "{'k': 1}",
        '{"a": "\udcff"}',
    ),
    *('{"a": "tab\tinside"}', "// comment", '{"a": 01}'),
)
BAD_ELEMENTS = ("1", "null", '"text"', "[1, {}]", "true", '{"unique_id": []}', '{"a": 1e999}', '{"a": NaN}', "-2.5")
BAD_OBJECTS = ("[1]", '{"unique_id": []}', '{"a": NaN}', '{"unique_id": ""}')
BAD_ROWS = ("short", "long", "broken", "bytes")
COLUMNS = {
    "text": pa.string(), "_file": pa.string(), "dots.in": pa.int16(), "float": pa.float64(), "flag": pa.bool_(),
    "whole": pa.int64(), "day": pa.date32(), "when": pa.timestamp("us"), "price": pa.decimal128(12, 2),
    "list": pa.list_(pa.int64()), "inner": pa.struct({"a": pa.string(), "b": pa.list_(pa.float64())}),
    "pairs": pa.map_(pa.string(), pa.int64()), "camera": pa.struct({"side": pa.string()}),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a file. kind: record, blank or bad; text: of a bad one; record: of the others that have one."""

    kind: str
    record: Record | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A file to be: places in order, and a seed for all that the point leaves open. described: it holds no records."""

    format: str
    places: tuple[Place, ...]
    seed: int
    described: bool = False


def places_of(point: Point, format: str, records: Sequence[Record], rng: random.Random) -> tuple[Place, ...]:
    """The records with blank and bad places among them, as the point wants."""
    places = [Place("record", record) for record in records]
    first = 1 if format in ("lines", "objects") else 0  # there the beginning tells the format
    if point.bad == "some" and (places or not first):
        for _ in range(3):
            places.insert(rng.randrange(first, len(places) + 1), _bad(point, format, rng))
    if point.blanks == "some" and format != "parquet":
        for _ in range(3):
            places.insert(rng.randrange(len(places) + 1), Place("blank"))
        if rng.randrange(2):
            places.append(Place("blank"))
    return tuple(places)


def _bad(point: Point, format: str, rng: random.Random) -> Place:
    if format == "parquet":
        return Place("bad", {"float": rng.choice((math.inf, -math.inf)), NUMBER: 0, "text": "bad"})
    if format in ("csv", "tsv"):
        # Quotation marks in a TSV may be letters: a row that they break makes the other reading the better one.
        kinds = [kind for kind in BAD_ROWS if format == "csv" or kind != "broken"]
        return Place("bad", text=rng.choice([kind for kind in kinds if kind != "bytes" or point.dress != "utf-16"]))
    texts = {"array": BAD_ELEMENTS, "objects": BAD_OBJECTS}.get(format, BAD_LINES)
    return Place("bad", text=rng.choice([text for text in texts if point.dress != "utf-16" or "\udcff" not in text]))


def rendered(point: Point, file: File) -> bytes:
    """The bytes of a file, packed as the point says."""
    if file.described:
        return b"\x89PNG\r\n\x1a\n" + bytes(64)
    rng = random.Random(f"file {file.seed}")
    if file.format == "parquet":
        return packed(point, _parquet(file.places, rng), rng)
    newline = "\r\n" if point.dress == "crlf" else "\n"
    write = {"array": _array, "objects": _objects, "csv": _table, "tsv": _table}.get(file.format, _lines)
    text = write(point, file, newline, rng)
    if point.ending == "newline" and text and not text.endswith("\n"):
        text += newline
    if point.ending == "bare":
        text = text.removesuffix(newline)
    return packed(point, _dressed(point, text), rng)


def delimiter(file: File) -> str:
    """What stands between the cells of a table."""
    return "\t" if file.format == "tsv" else ",,;"[file.seed % 3]


def packed(point: Point, data: bytes, rng: random.Random) -> bytes:
    """Plain, or cut anywhere into several members or frames, one of them empty now and then."""
    if point.packing == "plain":
        return data
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 5)))
    pieces = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    pack = zstd.compress if point.packing == "zst" else lambda piece: gzip.compress(piece, 6, mtime=0)
    return b"".join(map(pack, pieces))


def _dressed(point: Point, text: str) -> bytes:
    if point.dress == "utf-16" and text:
        return text.encode("utf-16")
    mark = "\ufeff" if point.dress == "mark" and text else ""
    return (mark + text).encode("utf-8", "surrogateescape")


def _dumps(record: Any, rng: random.Random, indent: int | None = None) -> str:
    separators = (",", ":") if indent is None and rng.randrange(2) else None
    return json.dumps(record, ensure_ascii=bool(rng.randrange(2)), separators=separators, indent=indent)


def _lines(point: Point, file: File, newline: str, rng: random.Random) -> str:
    lines = []
    for place in file.places:
        line = place.text if place.kind == "bad" else rng.choice(("", "  ", "\t"))
        if place.kind == "record":
            # By its own seed: what is appended later changes no line before it.
            line = _dumps(place.record, random.Random(as_json(place.record)))
        lines.append(line + newline)
    return "".join(lines)


def _array(point: Point, file: File, newline: str, rng: random.Random) -> str:
    indent = rng.choice((None, None, 1))
    between = rng.choice((",", ", ", f",{newline}", f"{newline},"))
    parts = [
        place.text if place.kind == "bad" else _dumps(place.record, rng, indent).replace("\n", newline)
        for place in file.places
        if place.kind != "blank"
    ]
    space = newline * 2 if point.blanks == "some" else ""
    return f"{space}[{space}{(between + space).join(parts)}{space}]{space}"


def _objects(point: Point, file: File, newline: str, rng: random.Random) -> str:
    indent, between = rng.choice(((None, ""), (None, " "), (1, newline), (1, "")))
    space = (newline * 2 if indent else "  ") if point.blanks == "some" else ""
    parts = [
        place.text if place.kind == "bad" else _dumps(place.record, rng, indent).replace("\n", newline)
        for place in file.places
        if place.kind != "blank"
    ]
    return (between + space).join(parts)


def _flat(record: Record, head: str = "") -> Record:
    found: Record = {}
    for name, value in record.items():
        found |= _flat(value, f"{head}{name}.") if isinstance(value, dict) else {head + name: value}
    return found


def _table(point: Point, file: File, newline: str, rng: random.Random) -> str:
    rows = [(place, _flat(place.record or {})) for place in file.places]
    columns = list(dict.fromkeys(name for _, row in rows for name in row)) or [NUMBER, "attachment_type", "text"]
    mark, every = delimiter(file), bool(rng.randrange(2))
    lines = [_row(columns, mark, every)]
    for place, row in rows:
        cells = [str(row.get(name, "")) for name in columns]
        line = _row(cells, mark, every)
        if place.kind == "blank":
            line = rng.choice(("", "  "))
        elif place.kind == "bad":
            line = _bad_row(place.text, columns, mark, every)
        lines.append(line)
    if point.blanks == "some":
        lines.insert(0, rng.choice(("", " ")))
    return "".join(line + newline for line in lines)


def _bad_row(kind: str, columns: Sequence[str], mark: str, every: bool) -> str:
    cells = [f"cell {n}" for n in range(len(columns))]
    match kind:
        case "short":
            return _row(cells[:-1], mark, every)
        case "long":
            return _row([*cells, "one more"], mark, every)
        case "broken":
            return mark.join(['"quoted"and more', *cells[1:]])
    return _row(["\udcff", *cells[1:]], mark, every)


def _row(cells: Sequence[str], mark: str, every: bool) -> str:
    return mark.join(_cell(cell, mark, every) for cell in cells)


def _cell(cell: str, mark: str, every: bool) -> str:
    needed = any(sign in cell for sign in (mark, '"', "\r", "\n", ";", ",", "\t", "|")) or cell != cell.strip()
    return '"' + cell.replace('"', '""') + '"' if every or needed else cell


def _parquet(places: Sequence[Place], rng: random.Random) -> bytes:
    rows = [place.record or {} for place in places]
    names = list(dict.fromkeys(name for row in rows for name in row)) or [NUMBER, "text"]
    kinds = COLUMNS | {NUMBER: pa.int64(), "attachment_type": pa.string(), "unique_id": pa.string()}
    schema = pa.schema([(name, kinds[name]) for name in names])
    table = pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows], schema=schema)
    spool = io.BytesIO()
    group = rng.choice((1, 100, 512, 4096)) if len(rows) < 600 else rng.choice((100, 512, 4096))
    pq.write_table(table, spool, row_group_size=group, compression=rng.choice(("none", "snappy", "zstd")))
    return spool.getvalue()


def name_of(point: Point, base: str, format: str) -> str:
    """A name that tells format and packing."""
    return f"{base}{SUFFIX[format]}{PACKED[point.packing]}"


def input_format(point: Point) -> str | None:
    """What a source without a name has to be told by: --input-format."""
    kinds = dict.fromkeys(JSON_LINES, "jsonl") | dict.fromkeys(("array", "objects"), "json")
    return kinds.get(point.format, point.format)
