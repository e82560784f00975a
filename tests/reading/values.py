"""Records: plain ones, and what makes them awkward."""

from __future__ import annotations

import datetime as dt
import json
import random
from decimal import Decimal
from typing import Any

from tests.reading.points import Point

Record = dict[str, Any]
NUMBER = "k"  # a column that tells every record apart, whatever else is equal

TEXTS = (
    *(
        "",
        " ",
        " leads",
        "trails ",
        "ünïcödé 漢字 🎉",
        "a\u2028b\u2029c",
        "next\x85line",
        "nul\x00inside",
        "\ufeffmark",
    ),
    *("two\nlines", "two\r\nlines", "two\rlines", "tab\tinside", 'a "quoted" word', '"all quoted"', "it's", "'so'"),
    *("a,b;c|d", 'say, "hi"', "back\\slash", "\\n", "{", "[1]", '{"a": 1}', "1.0", "007", "null", "=1+1", "%s{x}"),
    *("\x0bvertical\x0cfeed", "\x1f\x7f", "x" * 1000, "y\n" * 200),
)
NUMBERS = (0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 + 5, -(2**70), 10**40, 1.0, -0.0, 0.1, 1e-7, 1.5e300, 100.0)
NESTED: tuple[Any, ...] = (
    *([], {}, [[]], {"": 1}, {"a": {"b": [1, {"c": None}, 1.0]}}, [1, "1", 1.0, True, None], {"a.b": 1, "a": {"b": 2}}),
    *([{"x": 1}, {"x": 2.0}], [[["deep"]]], True, False, None),
)
KEYS = ("plain", "a.b", "ключ", "with space", 'q"uote', "line\nbreak", "_file", "a:b", "{x}", "0")
LONG = 200_000  # characters; longer than the first look at a file, the first record too


def records(point: Point, count: int, first: int, rng: random.Random) -> list[Record]:
    """So many records, numbered from `first`; those to be refused have an attachment_type that no server knows."""
    table = point.format in ("csv", "tsv")
    make = {"parquet": typed, "csv": texts, "tsv": texts}.get(point.format, free)
    refused = set(rng.sample(range(count), k=min(count, 2))) if point.refused == "some" else set()
    found = []
    for n in range(count):
        number = first + n
        base: Record = {NUMBER: str(number) if table else number, "attachment_type": "text"}
        if n in refused:
            base["attachment_type"] = f"nonsense-{number}"
        if point.ids == "own":
            base["unique_id"] = own_id(number, point.values)
        more = make(rng, number) if point.values == "awkward" else plain(number, table)
        found.append(base | more)
    if point.values == "awkward" and point.format != "parquet" and count > 2:
        found[rng.randrange(count)]["long"] = "long " * (LONG // 5)
    return found


def own_id(number: int, values: str) -> str:
    """An id; awkward ones hold what splits lists and addresses."""
    tails = ("", " a b", ",c", "(d)", "%20", "&e=1", "é", '"f"', "+", "/g")
    return f"id-{number}" if values == "plain" else f"id-{number}{tails[number % len(tails)]}"


def plain(number: int, table: bool) -> Record:
    """What most people send."""
    nested = {"camera": {"side": "left" if number % 2 else "right"}}
    return {"text": f"Dear reader no. {number}"} | nested


def free(rng: random.Random, number: int) -> Record:
    """Any JSON object, other keys in each."""
    found: Record = {"text": rng.choice(TEXTS)}
    for key in rng.sample(KEYS, rng.randrange(4)):
        found[key] = rng.choice((*TEXTS, *NUMBERS, *NESTED))
    return found


def texts(rng: random.Random, number: int) -> Record:
    """Cells: texts only, the same columns in each record; a name with dots is a nested key, unless its head is one."""
    found: Record = {"text": rng.choice(TEXTS), "camera": {"side": rng.choice(TEXTS), "lens": {"f": str(number)}}}
    return found | {"_file": rng.choice(TEXTS), "id.1": str(number % 7), "id": "x", "with space": rng.choice(TEXTS)}


def typed(rng: random.Random, number: int) -> Record:
    """Values of the columns that `rendering` gives a Parquet file."""
    maybe = rng.choice((True, False))
    return {
        "text": rng.choice(TEXTS),
        "_file": rng.choice(TEXTS),
        "dots.in": number % 5,
        "float": rng.choice((1.0, -0.0, 0.1, 1.5e300, None)),
        "flag": maybe,
        "whole": rng.choice((0, 2**63 - 1, -(2**63), None)),
        "day": dt.date(1 + number % 9999, 1 + number % 12, 1 + number % 28),
        "when": dt.datetime(2026, 1, 1, tzinfo=None) + dt.timedelta(microseconds=number),
        "price": Decimal(number) / 4,
        "list": [number, None, 3][: number % 4],
        "inner": {"a": rng.choice(TEXTS), "b": [1.0][: number % 2]} if maybe else None,
        "pairs": [(f"key {n}", n) for n in range(number % 3)],
    }


def changed(record: Record) -> Record:
    """The record with another content, under the same id where it has one of its own; taken by the server."""
    return record | {"text": f"corrected {record.get('text', '')[:20]}", "attachment_type": "text"}


def as_json(value: Any) -> str:
    """A text that is equal for equal records: keys sorted, whole numbers by value."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value
