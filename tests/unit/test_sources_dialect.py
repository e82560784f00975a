"""The guess of a table's dialect: the same wherever the look ends, and a word where another reading is possible."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import dialects
from scalesync.model.records import BadRecord, SourceRecord
from scalesync.sources.formats.cells import Sample, fit
from scalesync.sources.formats.dialect import guess
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions
from scalesync.sources.recount.files import recount_file
from scalesync.sources.source_file import SourceFile
from tests.draws import draws

DELIMITERS = [",", ";", "\t", "|"]


def opened(tmp_path: Path, data: bytes | str, name: str = "t.csv", **options: Any) -> SourceFile:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    (source,) = open_sources([str(path)], ReadOptions(**options))
    return source


def items(source: SourceFile) -> list[Any]:
    return [item for block in source.blocks() for item in block.records]


def cells(source: SourceFile) -> list[list[str]]:
    found = items(source)
    assert all(isinstance(item, SourceRecord) for item in found), found[:3]
    return [list(found[0].value), *(list(item.value.values()) for item in found)]


def written(rows: list[list[str]], delimiter: str, quoting: int) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerows(rows)
    return out.getvalue()


# --- the cut -------------------------------------------------------------------------------------

TEXTS = ['word "0" ' * 400, 'lorem; "x", ipsum\t' * 300, 'a "quoted"\nline, and; more| ' * 200, "don't; " * 600]


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
@pytest.mark.parametrize("text", TEXTS)
def test_long_quoted_cells_read_alike_with_every_delimiter(
    tmp_path: Path, delimiter: str, quoting: int, text: str
) -> None:
    rows = [["unique_id", "k", "text; note"], *([f"u{n}", str(n), f"{text}{n}"] for n in range(100))]
    data = written(rows, delimiter, quoting)
    for name in {"t.csv", "t.tsv" if delimiter == "\t" else "t.csv"}:
        source = opened(tmp_path, data, name)
        assert cells(source) == rows
        assert recount_file(str(tmp_path / name), ReadOptions()).records == 100


@pytest.mark.parametrize(("size", "delimiter"), [(70_000, "\t"), (300_000, "|"), (300_000, "\t"), (1_000_000, ",")])
def test_rows_longer_than_the_first_look_are_looked_at_further(tmp_path: Path, size: int, delimiter: str) -> None:
    rows = [["id", "text"], *([str(n), ('say "hi"; ' * (size // 10)) + str(n)] for n in range(3))]
    assert cells(opened(tmp_path, written(rows, delimiter, csv.QUOTE_MINIMAL))) == rows
    packed = gzip.compress(written(rows, delimiter, csv.QUOTE_MINIMAL).encode(), 1)
    assert cells(opened(tmp_path, packed, "t.csv.gz")) == rows


def test_a_look_that_holds_the_header_alone_does_not_decide(tmp_path: Path) -> None:
    rows = [["id", "text, long"], *([str(n), "x" * 300_000] for n in range(3))]
    source = opened(tmp_path, written(rows, ";", csv.QUOTE_MINIMAL))
    assert cells(source) == rows
    assert source.notes == ()
    assert recount_file(str(tmp_path / "t.csv"), ReadOptions()).records == 3


CELL = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]) | st.sampled_from('\n\t",;|'), max_size=9
)


@given(
    st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=12, max_size=20),
    st.sampled_from(DELIMITERS),
    st.data(),
)
@settings(max_examples=draws(60), deadline=None)
def test_the_guess_is_the_same_wherever_the_look_ends(rows: list[list[str]], delimiter: str, data: Any) -> None:
    text = written([["a", "b", "c"], *rows], delimiter, csv.QUOTE_ALL)
    whole = guess(Sample(text, True), None, None).dialect
    assert (whole.delimiter, whole.quotechar) == (delimiter, '"')
    ends = [at for at in range(1, len(text)) if fit(Sample(text[:at], False), whole).widths[3:]]
    for end in data.draw(st.lists(st.sampled_from(ends), max_size=8)) if ends else []:
        assert guess(Sample(text[:end], False), None, None).dialect == whole


def test_a_row_that_the_look_cuts_is_not_judged() -> None:
    dialect = guess(Sample("a,b\n1,2\n", True), None, None).dialect
    for cut in ("3", '3,"x', '3,"x""', '3,"x\ny', '3,"x"', "3,4"):
        found = fit(Sample(f"a,b\n1,2\n{cut}", False), dialect)
        assert (found.widths, found.broken) == ((2, 2), 0), cut
    assert fit(Sample('a,b\n1,2\n3,"x', True), dialect).broken == 1


# --- two readings --------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_lone_quotes_at_the_edges_of_texts_are_text_and_reported(tmp_path: Path, delimiter: str) -> None:
    rows = [["id", "text"], ["1", '"so'], ["2", "fine"], ["3", 'end"'], ["4", "x"]]
    source = opened(tmp_path, "".join(delimiter.join(row) + "\n" for row in rows))
    assert cells(source) == rows
    (note,) = source.notes
    assert "that are read as text" in note
    assert "--quotechar '\"'" in note
    quoted = opened(tmp_path, "".join(delimiter.join(row) + "\n" for row in rows), quotechar='"')
    assert [item.value["id"] for item in items(quoted)] == ["1", "4"]
    assert quoted.notes == ()


def test_cells_of_several_lines_stay_cells_of_several_lines(tmp_path: Path) -> None:
    rows = [["id", "text"], ["1", "so\nfine"], ["2", "a\n\nb, c"], ["3", 'x "y"\nz']]
    for delimiter in DELIMITERS:
        source = opened(tmp_path, written(rows, delimiter, csv.QUOTE_MINIMAL))
        assert cells(source) == rows
        assert source.notes == ()


def test_a_second_delimiter_that_fits_as_well_is_reported(tmp_path: Path) -> None:
    source = opened(tmp_path, "id;price,eur\n1;2,50\n2;3,75\n")
    (note,) = source.notes
    assert "would fit as well: --delimiter semicolon" in note or "would fit as well: --delimiter comma" in note
    assert opened(tmp_path, "id;price,eur\n1;2,50\n2;3,75\n", delimiter=";").notes == ()
    wide = opened(tmp_path, "id;a,b;c\n1;2,3;4\n2;3,4;5\n")
    assert cells(wide)[0] == ["id", "a,b", "c"]


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_apostrophes_around_one_column_are_text_and_reported(tmp_path: Path, delimiter: str) -> None:
    rows = [["id", "title", "artist"], ["1", "'Heroes'", "Bowie"], ["2", "'Low'", "Bowie"]]
    source = opened(tmp_path, "".join(delimiter.join(row) + "\n" for row in rows))
    assert cells(source) == rows
    assert source.notes == ('has cells in apostrophes, which are read as text; --quotechar "\'" takes them off',)


def test_apostrophes_around_the_header_too_or_around_delimiters_are_quotes(tmp_path: Path) -> None:
    assert cells(opened(tmp_path, "'id','text'\n'1','a,b'\n'2','c'\n"))[1:] == [["1", "a,b"], ["2", "c"]]
    source = opened(tmp_path, "id,text\n1,'a,b'\n2,'c,d,e'\n")
    assert cells(source)[1:] == [["1", "a,b"], ["2", "c,d,e"]]


def test_quotes_with_backslashes_are_read_and_reported(tmp_path: Path) -> None:
    source = opened(tmp_path, 'id,text\n1,"say \\"hi\\", twice"\n2,"and \\\\ too"\n3,x\n')
    assert cells(source)[1:] == [["1", 'say "hi", twice'], ["2", "and \\ too"], ["3", "x"]]
    assert [note for note in source.notes if "taken off before any character" in note]
    assert recount_file(str(tmp_path / "t.csv"), ReadOptions()).records == 3
    kept = opened(tmp_path, 'id,text\n1,"C:\\new, old"\n2,"x ""y"""\n')
    assert cells(kept)[1:] == [["1", "C:\\new, old"], ["2", 'x "y"']]
    assert kept.notes == ()


# --- what wants an option ------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("before", ["Report of May\n", "Report\nmade by us for you\n\n"])
def test_lines_before_the_header_bring_the_option_that_skips_them(tmp_path: Path, delimiter: str, before: str) -> None:
    rows = [["id", "text", "n"], *([str(n), f"text {n}", "x"] for n in range(5))]
    data = before + written(rows, delimiter, csv.QUOTE_MINIMAL)
    source = opened(tmp_path, data)
    skip = before.count("\n")
    assert any(f"--skip-rows {skip}" in note for note in source.notes), source.notes
    assert cells(opened(tmp_path, data, skip_rows=skip)) == rows


@pytest.mark.parametrize(
    ("delimiter", "rows", "told"), [(",", 3, True), (";", 12, True), ("\t", 12, True), (";", 5, False)]
)
def test_a_title_above_two_columns_is_reported_where_it_cannot_be_text(
    tmp_path: Path, delimiter: str, rows: int, told: bool
) -> None:
    data = "Report\n" + "".join(f"{number}{delimiter}text\n" for number in range(rows))
    assert any("--skip-rows 1" in note for note in opened(tmp_path, data).notes) is told


@pytest.mark.parametrize(("delimiter", "option"), [("^", "'^'"), ("~", "'~'"), (":", "':'"), (" ", "space")])
def test_rare_delimiters_are_asked_about(tmp_path: Path, delimiter: str, option: str) -> None:
    data = "".join(delimiter.join(row) + "\n" for row in [["id", "text"], ["1", "a"], ["2", "b"]])
    (note,) = opened(tmp_path, data).notes
    assert "is read as one column; each row has 2 cells at" in note
    assert f"--delimiter {option}" in note


@pytest.mark.parametrize("delimiter", ["\x01", "\x1f"])
def test_delimiters_that_no_text_holds_are_taken(tmp_path: Path, delimiter: str) -> None:
    rows = [["id", "text"], ["1", "a, b"], ["2", "c"]]
    assert cells(opened(tmp_path, "".join(delimiter.join(row) + "\n" for row in rows))) == rows


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (",text\n0,a\n1,b\n", "column_1"),
        ("Unnamed: 0,text\n0,a\n1,b\n", "Unnamed: 0"),
        ("id,,text\n0,a,b\n", "column_2"),
        ("\ttext\n4\ta\n", "column_1"),
        ("Unnamed: 0.1,Unnamed: 0,text\n1,0,a\n", "Unnamed: 0.1"),
        ("text;Unnamed: 12\na;0\n", "Unnamed: 12"),
        ("__index_level_0__,text\n4,a\n", "__index_level_0__"),
    ],
)
def test_a_column_without_a_name_is_reported(tmp_path: Path, data: str, name: str) -> None:
    (note,) = opened(tmp_path, data).notes
    assert f'goes into tasks and derived ids as "{name}"' in note


@pytest.mark.parametrize(
    "data",
    [
        "index,Unnamed: x\n0,a\n1,b\n",
        "url\nhttps://a.example/1\nhttps://a.example/2\nhttps://a.example/3\n",
        "text\nwell, so it is\nno\nyes, yes, yes\n",
        "id,text\n1,a\n2,b\n3,c, d\n",
        'id,text\n1,"a"\n2,"b\nc"\n',
        "at\n12:01:02\n12:01:03\n12:01:04\n",
        "id,text\n1,don't\n2,'tis so\n",
    ],
)
def test_ordinary_tables_bring_no_note(tmp_path: Path, data: str) -> None:
    assert opened(tmp_path, data).notes == ()


def test_no_table_of_the_study_is_read_wrongly_in_silence(tmp_path: Path) -> None:
    verdicts: dict[str, list[str]] = {"right": [], "told": [], "silent": []}
    for number, table in enumerate(dialects.corpus(None)):
        if len(table.data) > 300_000:
            continue  # the tests above have long rows
        path = tmp_path / f"{number}.{table.name.rpartition('.')[2]}"
        path.write_bytes(table.data)
        verdicts[dialects.verdict(table, dialects.ours(path))].append(f"{table.kind}: {table.name}")
        path.unlink()
    assert verdicts["silent"] == []
    assert len(verdicts["right"]) > 160
    assert {name.split(":")[0] for name in verdicts["told"]} == {
        "marks and encodings",
        "lines before the header",
        "other delimiters",
    }


def test_a_look_at_a_pipe_is_its_first_line_and_no_more() -> None:
    (source,) = open_sources(["-"], ReadOptions(format="csv"), stdin=io.BytesIO(b'a\tb\n1\t"x\ty"\n'))
    found = items(source)
    assert [item.value for item in found if not isinstance(item, BadRecord)] == [{"a": "1", "b": "x\ty"}]


RELAXED = [HealthCheck.function_scoped_fixture]


@given(st.lists(st.lists(CELL, min_size=2, max_size=4), min_size=1, max_size=8), st.sampled_from(DELIMITERS))
@settings(max_examples=draws(60), deadline=None, suppress_health_check=RELAXED)
def test_import_and_recount_agree_on_any_table(tmp_path: Path, rows: list[list[str]], delimiter: str) -> None:
    source = opened(tmp_path, written([["a", "b", "c"], *rows], delimiter, csv.QUOTE_MINIMAL))
    counted = recount_file(str(tmp_path / "t.csv"), ReadOptions())
    assert not counted.contradicts(len(items(source)))
