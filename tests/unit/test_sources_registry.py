"""The table of source formats: what a row says of a format is what its reader does, and what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scalesync.errors import ConfigError
from scalesync.model.records import SourceRecord
from scalesync.sources import registry
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions
from scalesync.sources.recount.files import recount_file
from scalesync.sources.registry import ROWS, SourceFormat, format_of, is_document, suffix_format
from scalesync.sources.source_file import SourceFile

ROOT = Path(__file__).resolve().parents[2]
VALUES = [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]
TEXTS = {
    "jsonl": '{"a":"1","b":"x"}\n{"a":"2","b":"y"}\n',
    "json": '[{"a":"1","b":"x"},\n{"a":"2","b":"y"}]',
    "csv": "a,b\n1,x\n2,y\n",
    "tsv": "a\tb\n1\tx\n2\ty\n",
}


def write(folder: Path, row: SourceFormat, name: str) -> Path:
    path = folder / name
    if row.name == "parquet":
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(pa.Table.from_pylist(VALUES), path)
    else:
        path.write_text(TEXTS[row.name], "utf-8")
    return path


def opened(path: Path, **options: Any) -> SourceFile:
    (source,) = open_sources([str(path)], ReadOptions(**options))
    return source


def values(source: SourceFile) -> list[Any]:
    items = [item for block in source.blocks() for item in block.records]
    return [item.value if isinstance(item, SourceRecord) else item for item in items]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_suffix_of_a_row_leads_to_its_reader(tmp_path: Path, row: SourceFormat) -> None:
    assert row.suffixes
    for suffix in row.suffixes:
        for name in (f"t{suffix}", f"T{suffix.upper()}"):
            assert values(opened(write(tmp_path, row, name))) == VALUES
        assert suffix_format(f"t{suffix}.gz") == suffix_format(f"a.b/t{suffix}.zst") == row.name
        assert is_document(f"t{suffix}") == row.document


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_name_of_a_row_is_what_a_person_types(tmp_path: Path, row: SourceFormat) -> None:
    assert values(opened(write(tmp_path, row, "t.data"), format=row.name)) == VALUES


@pytest.mark.parametrize("row", [row for row in ROWS if row.guess or row.begins], ids=lambda row: row.name)
def test_a_row_that_can_be_found_by_content_is(tmp_path: Path, row: SourceFormat) -> None:
    assert values(opened(write(tmp_path, row, "t.data"))) == VALUES


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_tells_whether_a_beginning_is_recognised(tmp_path: Path, row: SourceFormat) -> None:
    """A source without marks of its lines is read again as a whole."""
    source = opened(write(tmp_path, row, f"t{row.suffixes[0]}"))
    marks = [block.mark for block in source.blocks() if block.mark is not None]
    assert bool(marks) == row.checkpoints


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_can_be_counted_a_second_way(tmp_path: Path, row: SourceFormat) -> None:
    counted = recount_file(str(write(tmp_path, row, f"t{row.suffixes[0]}")), ReadOptions())
    assert (counted.records, counted.exact, counted.how) == (len(VALUES), True, row.counted)
    assert row.counted


def test_options_that_a_row_does_not_take_are_reported_as_unused(tmp_path: Path) -> None:
    for row in ROWS:
        source = opened(write(tmp_path, row, f"t{row.suffixes[0]}"), skip_rows=1)
        assert any("--skip-rows" in note for note in source.notes) == ("skip_rows" not in row.takes), row.name
        if "records" not in row.takes:
            source = opened(write(tmp_path, row, f"t{row.suffixes[0]}"), records="a")
            assert any("--records" in note for note in source.notes), row.name


def test_formats_in_which_all_records_have_the_same_columns() -> None:
    found = {name: format_of(name) for name in ("a.csv", "a.tab.gz", "a.pq", "a.jsonl", "a.json", "a.png", "a")}
    assert [name for name, row in found.items() if row is not None and row.same_columns] == [
        *("a.csv", "a.tab.gz", "a.pq")
    ]
    assert found["a.png"] is found["a"] is None


def test_a_name_that_is_not_there_is_reported_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match='format "yaml" is not known; use jsonl, json, csv, tsv, parquet'):
        registry.find("yaml")


def test_the_page_lists_each_row_with_its_suffixes() -> None:
    text = (ROOT / "docs" / "sources.md").read_text("utf-8")
    table = text.split("| format | names |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|", table, re.MULTILINE)
    told = [(re.findall(r"`(\w+)`", names), suffixes.split()) for names, suffixes in rows]
    assert [name for names, _ in told for name in names] == [row.name for row in ROWS]
    for names, suffixes in told:
        assert suffixes == [suffix for row in ROWS if row.name in names for suffix in row.suffixes]


def test_the_table_itself_imports_no_reader() -> None:
    """The command line needs the names of the formats before it knows whether one is read."""
    code = (
        "import sys, scalesync.sources.registry; print(*sorted(m for m in sys.modules if m.startswith('scalesync.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) <= {
        *(
            "scalesync.errors",
            "scalesync.fences",
            "scalesync.plugins",
            "scalesync.sources",
            "scalesync.sources.registry",
        )
    }
