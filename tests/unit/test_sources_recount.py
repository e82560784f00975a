"""The second way to count: equal to the readers where they are right, and to plain Python everywhere."""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalesync.model.records import BadRecord
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions
from scalesync.sources.recount.files import Recount, recount_file, recount_folder

zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
COUNTS = (0, 1, 3, 511, 1500)
AWKWARD = [
    'a "quoted" word',
    "two\nlines",
    "comma, semicolon;",
    "[brackets] {braces}",
    "ünï\u2028code",
    "\\",
    " ",
    "tab\t",
]


def records(number: int) -> list[dict[str, Any]]:
    return [
        {"unique_id": f"u{n}", "text": AWKWARD[n % len(AWKWARD)], "n": n, "deep": [{"a": [n]}]} for n in range(number)
    ]


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_array(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps(rows, indent=2).encode()


def as_values(rows: list[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(row, indent=1) for row in rows).encode()


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["unique_id", "text", "n"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


FORMATS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "x.jsonl": as_lines, "x.json": as_array, "y.json": as_values, "x.csv": as_csv, "z.json": as_lines,
}  # fmt: skip


def halves(data: bytes, pack: Callable[[bytes], bytes]) -> bytes:
    """Two members, or frames, one after the other."""
    return pack(data[: len(data) // 2]) + pack(data[len(data) // 2 :])


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": lambda data: halves(data, gzip.compress), ".zst": lambda data: halves(data, zstd.compress),
}  # fmt: skip


def read(path: Path, options: ReadOptions | None = None) -> int:
    """What the readers make of it."""
    sources = open_sources([str(path)], options or ReadOptions())
    return sum(len(block.records) for source in sources for block in source.blocks())


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("number", COUNTS)
def test_every_format_and_packing_counts_what_was_written(name, packing, number, tmp_path):
    path = tmp_path / f"{name}{packing}"
    path.write_bytes(PACKINGS[packing](FORMATS[name](records(number))))
    if number == 0 and packing:
        return  # told as unusable by the readers before anything is counted
    counted = recount_file(str(path), ReadOptions())
    assert (counted.records, counted.exact) == (number, True)
    assert read(path) == number


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [
        ("a.jsonl", '\n{"a":1}\n\n   \n\t{"a":2}', 2),
        ("a.jsonl", '\ufeff{"a":1}\n{"a":2}\n', 2),
        ("a.jsonl", '{"a":1}\r\n{"a":2}\r\n\r\n', 2),
        ("a.jsonl", 'no JSON\n{"a":1}\n', 2),
        ("a.json", "[]", 0),
        ("a.json", ' [ {"a": 1} , {"a": 2} ] \n', 2),
        ("a.json", '{"a": 1}', 1),
        ("a.csv", "a,b\n1,2\n\n3,4", 2),
        ("a.csv", 'a,b\r\n"x\r\ny",2\r\n', 1),
        ("a.csv", "sep=;\na;b\n1;2\n", 1),
        ("a.csv", "a,b\r1,2\r3,4\r", 2),
        ("a.csv", "a\n1\n\n2\n", 2),
        ("a.csv", "a,b\n1\n", 1),
        ("a.tsv", "a\tb\n1\t2\n", 1),
    ],
)
def test_blank_lines_ends_of_lines_and_marks_are_no_records(name, text, number, tmp_path):
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert recount_file(str(path), ReadOptions()).records == number == read(path)


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "latin-1", "utf-16-le"])
def test_texts_of_other_encodings_are_counted(encoding, tmp_path):
    for name, text in (
        ("a.jsonl", '{"a":"ü"}\n\n{"a":"é"}\n'),
        ("a.csv", "a,b\nü,1\né,2\n"),
        ("a.json", '[{"a":"ü"},{}]'),
    ):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        options = ReadOptions(encoding=encoding)
        assert recount_file(str(path), options).records == 2 == read(path, options)


def test_parquet_is_counted_by_its_footer(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": list(range(1234))}), path, row_group_size=100)
    assert recount_file(str(path), ReadOptions()) == Recount(1234, True, "the number in its footer")


def test_long_values_and_long_arrays_lie_in_memory_one_at_a_time(tmp_path):
    path = tmp_path / "a.json"
    long = json.dumps({"a": "x" * 3_000_000, "b": [1] * 1000})
    path.write_text(f"[{long}, {long}, 12, {long}]")
    assert recount_file(str(path), ReadOptions()).records == 4


@pytest.mark.parametrize(
    ("name", "data", "least"),
    [
        ("a.json", b'[{"a":1},{"a":2},{"a":', 2),
        ("a.json", b'[{"a":1}{"a":2}]', 1),
        ("a.csv", b'a,b\n1,2\n"3,4\n', 1),
        ("a.jsonl.gz", gzip.compress(as_lines(records(500)))[:-30], 0),
    ],
)
def test_a_count_that_breaks_off_says_at_least_how_many(name, data, least, tmp_path):
    path = tmp_path / name
    path.write_bytes(data)
    counted = recount_file(str(path), ReadOptions())
    assert not counted.exact
    assert counted.records >= least
    assert not counted.contradicts(read(path))
    assert counted.records == 0 or counted.contradicts(counted.records - 1)


def test_a_folder_is_counted_file_by_file(tmp_path):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}.json").write_bytes(as_lines(records(2)))
        (folder / "deep" / f"{number}.json").write_bytes(as_array(records(number)))
    (folder / "image.png").write_bytes(b"\x89PNG")
    (folder / "empty.json").write_bytes(b"")
    (folder / "b.jsonl").write_bytes(as_lines(records(9)))  # a source of its own
    counted = recount_folder(str(folder), ReadOptions())
    assert (counted.records, counted.exact) == (6 + 3 + 1 + 1, True)
    assert read(folder) == counted.records + 9


def test_a_reading_that_passes_over_a_record_is_contradicted(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(as_lines(records(40)))
    counted = recount_file(str(path), ReadOptions())
    assert counted.contradicts(39)
    assert counted.contradicts(41)
    assert not counted.contradicts(40)


@pytest.mark.parametrize(
    ("name", "text", "options", "number"),
    [
        ("a.json", '{"count": 2, "items": [{"a": 1}, {"a": 2}]}', {"records": "items"}, 2),
        ("a.json", '{"data": {"items": [1, {"a": 2}, {}]}}\n{"data": {"items": []}}', {"records": "data.items"}, 3),
        ("a.json", '{"other": 1}', {"records": "items"}, 1),
        ("a.csv", "exported by hand\n\na,b\n1,2\n3,4\n", {"skip_rows": 2}, 2),
        ("a.csv", "1,2\n3,4\n", {"header": ("a", "b")}, 2),
        ("a.txt", "a|b\n1|2\n", {"format": "csv"}, 1),
    ],
)
def test_options_of_reading_hold_for_the_count(name, text, options, number, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    counted = recount_file(str(path), ReadOptions(**options))
    assert counted.records == number
    if options.get("records") != "items" or "other" not in text:
        assert read(path, ReadOptions(**options)) == number


def test_bad_records_count_as_places(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\nrubbish\n[1]\n')
    (source,) = open_sources([str(path)], ReadOptions())
    places = [place for block in source.blocks() for place in block.records]
    assert sum(isinstance(place, BadRecord) for place in places) == 2
    assert recount_file(str(path), ReadOptions()).records == len(places)
