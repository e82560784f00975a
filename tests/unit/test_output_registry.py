"""The table of output formats: what a row says of a format is what its files do, and what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scalesync.errors import ConfigError
from scalesync.outputs.encoders.registry import FORMATS, ROWS, OutputFormat, find, format_of, is_data_name
from scalesync.outputs.manifest import STEMS
from scalesync.outputs.reader import lines_of
from scalesync.outputs.writer import SegmentWriter

ROOT = Path(__file__).resolve().parents[2]
LINES = [b'{"task_id":"%d","status":"completed"}' % number for number in range(5)]
each = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


@each
def test_documents_come_back_as_they_were_added(tmp_path: Path, row: OutputFormat) -> None:
    writer = SegmentWriter(tmp_path, "tasks", row.name)
    writer.write(LINES[:2])
    writer.write(LINES[2:])
    entry = writer.finish()
    assert entry is not None
    assert entry.path == f"tasks-00001.{row.name}"
    assert list(lines_of(tmp_path / entry.path)) == LINES


@each
def test_a_row_tells_whether_a_file_can_be_gone_on_with(tmp_path: Path, row: OutputFormat) -> None:
    """What was made durable is read whole, whatever was written behind it, and another writer goes on there."""
    writer = SegmentWriter(tmp_path, "tasks", row.name)
    writer.write(LINES[:2])
    part = writer.sync()
    assert part is not None
    writer.write(LINES[2:3])
    writer.sync()
    writer.leave()
    hidden = tmp_path / f".part-tasks-00001.{row.name}"
    assert writer.resumable == row.resumable
    if not row.resumable:
        return
    assert list(lines_of(hidden, part.bytes)) == LINES[:2]
    again = SegmentWriter(tmp_path, "tasks", row.name)
    assert again.resume(part)
    again.write(LINES[3:])
    entry = again.finish()
    assert entry is not None
    assert entry.rows == 4
    assert list(lines_of(tmp_path / entry.path)) == LINES[:2] + LINES[3:]


@each
def test_a_file_tells_its_format_by_its_name(row: OutputFormat) -> None:
    for name in ("tasks-00001", ".part-tasks-00001", "left-123456", "tasks-a.b-00001.c-00002"):
        assert format_of(f"{name}.{row.name}") is row
    assert format_of("responses-00001.jsonl").name == "jsonl"
    assert format_of(f"whatever.{row.name}") is row


@pytest.mark.parametrize(
    ("name", "is_data"),
    [
        *((f"tasks-00001.{name}", True) for name in FORMATS),
        ("left-100000.jsonl", True),
        ("tasks-route.1+x-00001.jsonl.gz", True),
        ("tasks-0001.jsonl", False),
        ("other-00001.jsonl", False),
        ("tasks-00001.json", False),
        ("tasks-00001.jsonl.bz2", False),
        ("tasks-00001", False),
        ("tasks/tasks-00001.jsonl", False),
        ("xtasks-00001.jsonl", False),
        ("tasks-00001.jsonl.gz\n", False),
    ],
)
def test_names_of_data_files(name: str, is_data: bool) -> None:
    assert is_data_name(name, STEMS) == is_data


def test_a_format_that_is_not_there_is_reported_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"not an output format; write one of jsonl, jsonl\.gz, jsonl\.zst, parquet$"):
        find("xml")
    with pytest.raises(ConfigError, match=r'tasks-00001\.xml: the format "xml" is not known; install the package'):
        format_of("tasks-00001.xml")


def test_the_page_lists_each_row() -> None:
    table = (ROOT / "docs" / "export.md").read_text("utf-8").split("| `--format` |")[1].split("\n\n")[0]
    firsts = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    told = [name for first in firsts for name in re.findall(r"`([^`]+)`", first)]
    assert told == list(FORMATS)


def test_the_table_itself_imports_no_encoder() -> None:
    """The command line needs the names of the formats before it knows whether one is written."""
    code = "import sys, scalesync.outputs.encoders.registry as r; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert not {"pyarrow", "scalesync.outputs.encoders.parquet", "scalesync.outputs.encoders.jsonl", "msgspec"} & loaded
