"""What joining, downloading and dying programs leave in files: marks, repeated headers, holes, pointers, web pages.

The right values are those of Python's own csv and json modules over the parts, before they were joined.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from scalesync.errors import SourceError
from scalesync.model.records import BadRecord, SourceRecord
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def read(tmp_path: Path, data: bytes, name: str, **options: Any) -> list[Any]:
    path = tmp_path / name
    path.write_bytes(data)
    (source,) = open_sources([str(path)], ReadOptions(**options))
    return [item for block in source.blocks() for item in block.records]


def values(found: list[Any]) -> list[Any]:
    return [item.value for item in found if isinstance(item, SourceRecord)]


def reasons(found: list[Any]) -> list[str]:
    return [item.reason for item in found if isinstance(item, BadRecord)]


def by_csv(*parts: str) -> list[Any]:
    return [row for part in parts for row in csv.DictReader(io.StringIO(part))]


PARTS = ("id,t\n1,a\n2,b\n", 'id,t\n"3",c\n4,"d\nd"\n')


def test_a_header_that_joined_tables_repeat_makes_no_record(tmp_path: Path) -> None:
    found = read(tmp_path, "".join(PARTS).encode(), "t.csv")
    assert values(found) == by_csv(*PARTS)
    assert reasons(found) == ["repeats the header, as joined tables do; it is not a record"]
    assert [item.line for item in found if isinstance(item, BadRecord)] == [4]


def test_a_row_that_only_resembles_the_header_is_a_record(tmp_path: Path) -> None:
    assert values(read(tmp_path, b"id,t\nid,x\nt,id\nID,T\n", "t.csv")) == by_csv("id,t\nid,x\nt,id\nID,T\n")
    assert values(read(tmp_path, b"word\nword\n", "t.csv")) == [{"word": "word"}]  # one column: a word like others


def test_names_given_for_a_table_that_has_them_too_make_no_record_of_its_header(tmp_path: Path) -> None:
    found = read(tmp_path, b"id,t\n1,a\n", "t.csv", header=("id", "t"))
    assert (values(found), len(reasons(found))) == ([{"id": "1", "t": "a"}], 1)


@pytest.mark.parametrize("again", [False, True], ids=["rows", "with headers"])
def test_marks_of_joined_tables_are_no_text(tmp_path: Path, again: bool) -> None:
    second = PARTS[1] if again else PARTS[1].partition("\n")[2]
    found = read(tmp_path, ("\ufeff" + PARTS[0] + "\ufeff" + second).encode(), "t.csv")
    assert values(found) == by_csv(*PARTS)
    assert len(reasons(found)) == again


def test_a_mark_inside_a_cell_stays(tmp_path: Path) -> None:
    found = read(tmp_path, 'id,t\n1,"a\n\ufeffb"\n2,\ufeffc\n'.encode(), "t.csv")
    assert values(found) == [{"id": "1", "t": "a\n\ufeffb"}, {"id": "2", "t": "\ufeffc"}]


@pytest.mark.parametrize("lead", ["\ufeff", "\x1e", "\ufeff\ufeff", "\ufeff\x1e"], ids=ascii)
def test_lines_with_marks_and_text_sequences_are_read(tmp_path: Path, lead: str) -> None:
    records = [{"id": 1, "t": "\ufeff\x1f"}, {"id": 2}, {"id": 12345678901234567890123}]
    text = "".join(f"{lead}{json.dumps(record, ensure_ascii=False)}\n" for record in records)
    assert values(read(tmp_path, text.encode(), "t.jsonl")) == records


@pytest.mark.parametrize("end", [b"\x1a", b"\x1a\r\n", b"\xef\xbb\xbf", b"\x1e\n"], ids=ascii)
def test_what_ends_a_file_of_dos_is_no_record(tmp_path: Path, end: bytes) -> None:
    found = read(tmp_path, b'{"id": 1}\r\n{"id": 2}\r\n' + end, "t.jsonl")
    assert [type(item) for item in found] == [SourceRecord, SourceRecord]


@pytest.mark.parametrize("header", [b"id\r\n", b"id,t\r\n"])
def test_the_end_of_a_table_of_dos_is_no_row(tmp_path: Path, header: bytes) -> None:
    row = b"1\r\n" if header == b"id\r\n" else b"1,a\r\n"
    found = read(tmp_path, header + row + b"\x1a", "t.csv")
    assert [type(item) for item in found] == [SourceRecord]


def test_a_record_right_before_the_end_mark_is_read(tmp_path: Path) -> None:
    assert values(read(tmp_path, b'{"id": 1}\n{"id": 2}\x1a', "t.jsonl")) == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize("before", [2, 3000])
@pytest.mark.parametrize("size", [17, 5000, 300_000])
def test_a_hole_at_the_end_costs_no_record_before_it(tmp_path: Path, before: int, size: int) -> None:
    lines = b"".join(b'{"id": %d, "t": "some text"}\n' % at for at in range(before))
    found = read(tmp_path, lines + bytes(size), "t.jsonl")
    assert [value["id"] for value in values(found)] == list(range(before))
    assert reasons(found) == [f"holds {size:,} zero bytes, where the file was not written"]


def test_a_hole_in_a_table_costs_its_row(tmp_path: Path) -> None:
    found = read(tmp_path, b"id,t\n1,a\n" + bytes(4000) + b"\n3,c\n", "t.csv")
    assert (values(found), reasons(found)) == (
        by_csv("id,t\n1,a\n3,c\n"),
        ["holds 4,000 zero bytes, where the file was not written"],
    )


@pytest.mark.parametrize("order", ["utf-32", "utf-32-le", "utf-32-be", "utf-16"])
@pytest.mark.parametrize("name", ["t.jsonl", "t.csv"])
def test_every_mark_of_unicode_is_seen(tmp_path: Path, order: str, name: str) -> None:
    text = '{"id": "é😀"}\n' if name == "t.jsonl" else "id\né😀\n"
    data = (text if order in ("utf-32", "utf-16") else "\ufeff" + text).encode(order)
    assert values(read(tmp_path, data, name)) == [{"id": "é😀"}]


@pytest.mark.parametrize(
    "line", ['"sep=;"\n', '"sep=;"\r\n', "sep=;\n", "SEP=;\r\n"], ids=["quoted", "quoted-crlf", "bare", "capitals"]
)
def test_the_line_that_names_the_delimiter_may_stand_in_quotes(tmp_path: Path, line: str) -> None:
    end = "\r\n" if "\r" in line else "\n"
    text = f"{line}id;t{end}1;a, b{end}2;c{end}"
    assert values(read(tmp_path, text.encode(), "t.csv")) == [{"id": "1", "t": "a, b"}, {"id": "2", "t": "c"}]


def test_a_quoted_tab_is_a_delimiter_too(tmp_path: Path) -> None:
    assert values(read(tmp_path, b'"sep=\t"\nid\tt\n1\ta, b\n', "t.csv")) == [{"id": "1", "t": "a, b"}]


def test_quotes_that_do_not_close_name_no_delimiter(tmp_path: Path) -> None:
    assert values(read(tmp_path, b"sep=a,t\n1,b\n", "t.csv")) == [{"sep=a": "1", "t": "b"}]


def _tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("a.jsonl")
        info.size = 10
        archive.addfile(info, io.BytesIO(b'{"id": 1}\n'))
    return out.getvalue()


@pytest.mark.parametrize("name", ["t.jsonl", "t.csv", "t.parquet", "t.json", "t"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (LFS, "is a pointer of Git LFS, not the file itself; git lfs pull fetches that"),
        (b"<!DOCTYPE html>\n<html><title>Sign in</title></html>\n", "is a web page or XML"),
        (b'\n<html lang="en">\n<p>a, b</p>\n</html>\n', "is a web page or XML"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>\n', "is a web page or XML"),
        (gzip.compress(gzip.compress(b'{"id": 1}\n')), "is packed twice; unpack it once"),
        (gzip.compress(_tar()), "is a tar archive"),
        (_tar(), "is a tar archive"),
        (gzip.compress(bz2.compress(b"x")), "is a bzip2 archive"),
        (bytes(9000), "holds nothing but zero bytes"),
    ],
    ids=["lfs", "page", "page-2", "xml", "twice", "tar.gz", "tar", "bz2.gz", "zeros"],
)
def test_what_stands_in_the_place_of_data_is_refused_before_anything_is_sent(
    tmp_path: Path, name: str, data: bytes, words: str
) -> None:
    with pytest.raises(SourceError, match=words):
        read(tmp_path, data, name)


@pytest.mark.parametrize("data", [b"<id>,t\n1,a\n", b"version,url\n1,https://git-lfs.github.com/spec/v1\n"])
def test_tables_that_only_resemble_them_are_read(tmp_path: Path, data: bytes) -> None:
    assert values(read(tmp_path, data, "t.csv")) == by_csv(data.decode())
