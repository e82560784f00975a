"""CSV and TSV: dialects, quotes, lines, and rows that do not fit."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalesync.errors import ConfigError, SourceError
from scalesync.model.records import BadRecord, SourceRecord
from scalesync.sources.formats.tables import column_plan
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions
from tests.draws import draws

FACES = "\U0001f600"


def read(tmp_path: Path, data: bytes | str, name: str = "t.csv", **options: Any) -> list[Any]:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    (source,) = open_sources([str(path)], ReadOptions(**options))
    return [item for block in source.blocks() for item in block.records]


def values(tmp_path: Path, data: bytes | str, name: str = "t.csv", **options: Any) -> list[Any]:
    found = read(tmp_path, data, name, **options)
    assert all(isinstance(item, SourceRecord) for item in found), found
    return [item.value for item in found]


def test_cells_are_texts_and_stay_as_they_are(tmp_path: Path) -> None:
    text = "id,n,t\n007,1.50,-x\n, ,=1+1\n"
    assert values(tmp_path, text) == [{"id": "007", "n": "1.50", "t": "-x"}, {"id": "", "n": " ", "t": "=1+1"}]


def test_mark_crlf_quoted_newlines_and_physical_lines(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbfa,b\r\n1,"two\r\nlines"\r\n\r\n   \r\n2,"say ""hi"", ok"\r\n3,end'
    found = read(tmp_path, data)
    assert [(item.line, item.value) for item in found] == [
        (2, {"a": "1", "b": "two\r\nlines"}),
        (6, {"a": "2", "b": 'say "hi", ok'}),
        (7, {"a": "3", "b": "end"}),
    ]


def test_too_many_and_too_few_cells(tmp_path: Path) -> None:
    found = read(tmp_path, "a,b\n1,2\n1\n1,2,3\n3,4\n")
    assert [(type(item).__name__, item.line) for item in found] == [
        ("SourceRecord", 2),
        ("BadRecord", 3),
        ("BadRecord", 4),
        ("SourceRecord", 5),
    ]
    assert found[1].reason == "has 1 cell, the header has 2"
    assert (found[2].reason, found[2].raw) == ("has 3 cells, the header has 2", "1,2,3")


def test_dots_nest(tmp_path: Path) -> None:
    assert values(tmp_path, "params.a.b,params.c,x,.y\n1,2,3,4\n") == [
        {"params": {"a": {"b": "1"}, "c": "2"}, "x": "3", ".y": "4"}
    ]


@pytest.mark.parametrize(
    ("header", "words"),
    [("a,b,a", 'column "a" twice'), ("a.b,a.b", '"a.b" twice'), (",column_1", '"column_1" twice')],
)
def test_headers_that_cannot_work_are_reported_before_anything_is_read(tmp_path: Path, header: str, words: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"\n{header}\n1,2,3\n")
    with pytest.raises(SourceError, match=words) as caught:
        open_sources([str(path)], ReadOptions())
    assert caught.value.line == 2


@pytest.mark.parametrize(
    ("header", "record"),
    [
        ("id,id.1,x.y", {"id": "1", "id.1": "2", "x": {"y": "3"}}),
        ("price.eur,price,price.usd", {"price.eur": "1", "price": "2", "price.usd": "3"}),
        ("Q1.a,Q1.a.other,Q1.b", {"Q1": {"a": "1", "b": "3"}, "Q1.a.other": "2"}),
        ("a.b.c,a,z", {"a.b.c": "1", "a": "2", "z": "3"}),
    ],
)
def test_a_dot_means_nothing_behind_the_name_of_a_column(tmp_path: Path, header: str, record: Any) -> None:
    assert values(tmp_path, f"{header}\n1,2,3\n") == [record]


def test_columns_without_a_name_get_one(tmp_path: Path) -> None:
    assert values(tmp_path, ",a,\n1,2,3\n") == [{"column_1": "1", "a": "2", "column_3": "3"}]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a;b\n1,5;2,5\n3,5;4,5\n", "t.csv"),
        ("a\tb\n1,5\t2,5\n3,5\t4,5\n", "t.csv"),
        ("a|b\n1,5|2,5\n3,5|4,5\n", "t.csv"),
        ("a\tb\n1,5\t2,5\n3,5\t4,5\n", "t.tsv"),
        ("sep=;\na;b\n1,5;2,5\n3,5;4,5\n", "t.csv"),
        ("a;b\n1,5;2,5\n3,5;4,5\n", "t.txt"),
    ],
)
def test_delimiters_are_guessed(tmp_path: Path, text: str, name: str) -> None:
    assert values(tmp_path, text, name) == [{"a": "1,5", "b": "2,5"}, {"a": "3,5", "b": "4,5"}]


def test_given_dialect_wins(tmp_path: Path) -> None:
    assert values(tmp_path, "a,b;c\n1,2;3\n", delimiter=",") == [{"a": "1", "b;c": "2;3"}]
    assert values(tmp_path, "a,b\n'1,1',2\n", quotechar="'") == [{"a": "1,1", "b": "2"}]
    assert values(tmp_path, 'a,b\n"1,2\n', quotechar="") == [{"a": '"1', "b": "2"}]


def test_guessed_quotes_and_spaces(tmp_path: Path) -> None:
    assert values(tmp_path, "'a','b'\n'1,1','2'\n") == [{"a": "1,1", "b": "2"}]
    assert values(tmp_path, 'a, b\n1, "2, 3"\n') == [{"a": "1", "b": "2, 3"}]
    assert values(tmp_path, 'a\tb\n"x\ty"z\n', "t.tsv") == [{"a": '"x', "b": 'y"z'}]


def test_one_column_and_text_with_uneven_commas(tmp_path: Path) -> None:
    assert values(tmp_path, "url\nhttp://a/1\nhttp://a/2\n") == [{"url": "http://a/1"}, {"url": "http://a/2"}]
    found = read(tmp_path, "id,text\n1,a\n2,b\n3,c, d\n")
    assert [type(item).__name__ for item in found] == ["SourceRecord", "SourceRecord", "BadRecord"]


def test_header_given_by_the_caller(tmp_path: Path) -> None:
    found = read(tmp_path, ",u1\nv2,u2\n", header=("small", "large"))
    assert [(item.line, item.value) for item in found] == [
        (1, {"small": "", "large": "u1"}),
        (2, {"small": "v2", "large": "u2"}),
    ]
    with pytest.raises(SourceError, match="twice"):
        read(tmp_path, "1,2\n", header=("a", "a"))


def test_a_quote_never_closed_costs_one_line(tmp_path: Path) -> None:
    found = read(tmp_path, 'a,b\n1,x\n2,"open\n3,y\n4,z\n')
    assert [(item.line, type(item).__name__) for item in found] == [
        (2, "SourceRecord"),
        (3, "BadRecord"),
        (4, "SourceRecord"),
        (5, "SourceRecord"),
    ]
    assert found[1].reason == "opens a quote that is never closed"
    assert found[1].raw == '2,"open'


def test_a_quote_closed_by_the_next_quoted_cell_costs_one_line(tmp_path: Path) -> None:
    found = read(tmp_path, 'a,b\n2,"open\n3,"y"\n4,z\n')
    assert [(item.line, type(item).__name__) for item in found] == [
        (2, "BadRecord"),
        (3, "SourceRecord"),
        (4, "SourceRecord"),
    ]


def test_bytes_that_are_no_utf8_and_the_encoding_that_helps(tmp_path: Path) -> None:
    data = "a,b\nn\u00e4h,1\nok,2\n".encode("latin-1")
    bad, good = read(tmp_path, data)
    assert isinstance(bad, BadRecord)
    assert "not valid UTF-8" in bad.reason
    assert (good.line, good.value) == (3, {"a": "ok", "b": "2"})
    assert values(tmp_path, data, encoding="latin-1")[0] == {"a": "n\u00e4h", "b": "1"}


def test_utf16_is_seen_by_its_mark_and_broken_utf16_is_reported(tmp_path: Path) -> None:
    text = f"a\tb\n{FACES}\t2\nx\ty\n"
    for encoding in ("utf-16", "utf-16-be"):
        data = text.encode(encoding) if encoding == "utf-16" else b"\xfe\xff" + text.encode(encoding)
        assert values(tmp_path, data, "t.tsv") == [{"a": FACES, "b": "2"}, {"a": "x", "b": "y"}]
    half = "a\tb\n".encode("utf-16") + b"\x00\xd8" + "\t1\nx\ty\n".encode("utf-16-le")
    assert [type(item).__name__ for item in read(tmp_path, half, "t.tsv")] == ["BadRecord", "SourceRecord"]


def test_old_line_ends_and_nul(tmp_path: Path) -> None:
    found = read(tmp_path, "a,b\r1,2\r3,4\r")
    assert [(item.line, item.value) for item in found] == [(2, {"a": "1", "b": "2"}), (3, {"a": "3", "b": "4"})]
    assert values(tmp_path, "a,b\n1\0,2\n") == [{"a": "1\0", "b": "2"}]


def test_large_cells(tmp_path: Path) -> None:
    big = "x" * 1_000_000
    assert values(tmp_path, f'a,b\n1,"{big}\n"\n') == [{"a": "1", "b": big + "\n"}]


def test_files_without_rows(tmp_path: Path) -> None:
    assert read(tmp_path, "") == []
    assert read(tmp_path, "a,b\n") == []
    assert read(tmp_path, "a,b") == []


def test_options_are_checked() -> None:
    for options in (
        ReadOptions(delimiter=",,"),
        ReadOptions(quotechar="''"),
        ReadOptions(encoding="klingon"),
        ReadOptions(format="xml"),
        ReadOptions(encoding="base64"),
    ):
        with pytest.raises(ConfigError):
            open_sources([], options)


CELLS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from('\n\t",;|'), max_size=12)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8), st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=draws(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(tmp_path: Path, rows: list[list[str]], end: str) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([["a", "b", "c"], *rows])
    expected = [dict(zip("abc", row, strict=True)) for row in rows]
    assert values(tmp_path, out.getvalue(), delimiter=",") == expected


@pytest.mark.timeout(10)
def test_a_table_of_very_many_columns_is_planned_in_time_that_grows_with_them() -> None:
    names = [f"column {number}" for number in range(40_000)]
    assert column_plan(names, "wide.csv") == [(name,) for name in names]
