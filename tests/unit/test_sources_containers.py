"""Each container against Python's own readers: what a folder, a nested one, a glob or a list of files holds."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scalesync.model.records import SourceRecord
from scalesync.sources.open import ReadOptions, open_sources

Rows = list[dict[str, Any]]
SIZES = (1, 3, 700, 1, 2)  # records of each file


def as_lines(rows: Rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def as_open_lines(rows: Rows) -> str:
    return as_lines(rows)[:-1]


def as_array(rows: Rows) -> str:
    return json.dumps(rows)


def as_objects(rows: Rows) -> str:
    return "\n".join(json.dumps(row, indent=2) for row in rows)


def as_table(rows: Rows) -> str:
    out = io.StringIO()
    table = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return out.getvalue()


def from_lines(text: str) -> Rows:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def from_objects(text: str) -> Rows:
    rows, at = [], 0
    while at < len(text):
        row, at = json.JSONDecoder().raw_decode(text, at)
        rows.append(row)
        at += len(text[at:]) - len(text[at:].lstrip())
    return rows


def from_table(text: str) -> Rows:
    return list(csv.DictReader(io.StringIO(text)))


FORMATS: dict[str, tuple[str, Callable[[Rows], str], Callable[[str], Rows]]] = {
    "lines in .json": (".json", as_lines, from_lines),
    "lines in .json without end": (".json", as_open_lines, from_lines),
    "array": (".json", as_array, json.loads),
    "objects": (".json", as_objects, from_objects),
    "jsonl": (".jsonl", as_lines, from_lines),
    "csv": (".csv", as_table, from_table),
}


def zstd(data: bytes) -> bytes:
    packed: bytes = pytest.importorskip("backports.zstd").compress(data)
    return packed


PACKINGS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd}
CONTAINERS: dict[str, Callable[[Path], list[str]]] = {
    "folder": lambda folder: [str(folder)],
    "folder below": lambda folder: [str(folder.parent)],
    "glob": lambda folder: [f"{folder}/*"],
    "files": lambda folder: [str(path) for path in sorted(folder.iterdir())],
}


@pytest.mark.parametrize("block", [1, 512])
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("format", FORMATS)
def test_every_record_of_every_file_is_read(
    format: str, packing: str, container: str, block: int, tmp_path: Path
) -> None:
    suffix, write, read = FORMATS[format]
    folder = tmp_path / "some" / "files"
    folder.mkdir(parents=True)
    expected: Rows = []
    number = 0
    for file, size in enumerate(SIZES):
        rows = [{"n": str(number + at), "text": 'a "quoted", line\nand ü'} for at in range(size)]
        number += size
        path = folder / f"{file}{suffix}{packing}"
        path.write_bytes(PACKINGS[packing](write(rows).encode()))
        opened = {"": open, ".gz": gzip.open}.get(packing)
        if opened is None:
            expected += rows
        else:
            with opened(path, "rt", encoding="utf-8", newline="") as back:
                expected += read(back.read())
    found = [
        item
        for source in open_sources(CONTAINERS[container](folder), ReadOptions())
        for some in source.blocks(block)
        for item in some.records
    ]
    assert all(isinstance(item, SourceRecord) for item in found)
    assert [item.value for item in found if isinstance(item, SourceRecord)] == expected
    assert len(expected) == sum(SIZES)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 9\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "file b.json: is empty"),
        (POINTER, "file b.json: is a pointer of Git LFS"),
        (b"\x00" * 900, "file b.json: holds nothing but zero bytes"),
    ],
    ids=["empty", "pointer", "zeros"],
)
def test_a_json_file_that_cannot_be_read_is_reported_and_those_behind_it_are_read(
    data: bytes, reason: str, tmp_path: Path
) -> None:
    for name, text in (("a.json", b'{"n": 1}'), ("b.json", data), ("c.json", b'[{"n": 2}, {"n": 3}]')):
        (tmp_path / name).write_bytes(text)
    (source,) = open_sources([str(tmp_path)], ReadOptions())
    items = [item for block in source.blocks() for item in block.records]
    assert [item.value for item in items if isinstance(item, SourceRecord)] == [{"n": 1}, {"n": 2}, {"n": 3}]
    (bad,) = (item for item in items if not isinstance(item, SourceRecord))
    assert (bad.line, bad.reason.startswith(reason)) == (2, True), bad
