"""Parquet: row groups, types that JSON has not, damage."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalesync.errors import ConfigError, SourceError
from scalesync.model.records import BadRecord, SourceRecord
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions
from tests.draws import draws

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def read(path: Path) -> list[Any]:
    (source,) = open_sources([str(path)], ReadOptions())
    blocks = list(source.blocks())
    if blocks and source.size:
        assert blocks[-1].consumed == source.size
    return [item for block in blocks for item in block.records]


def write(path: Path, table: Any, **options: Any) -> Path:
    pq.write_table(table, path, **options)
    return path


def test_row_groups_numbers_and_names(tmp_path: Path) -> None:
    table = pa.table({"n": list(range(1000)), "a.b": ["x"] * 1000})
    found = read(write(tmp_path / "t.parquet", table, row_group_size=300))
    assert [item.line for item in found] == list(range(1, 1001))
    assert found[999].value == {"n": 999, "a.b": "x"}


def test_types_become_json(tmp_path: Path) -> None:
    moment = dt.datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=dt.UTC)
    table = pa.table(
        {
            "micro": pa.array([moment], pa.timestamp("us", "UTC")),
            "nano": pa.array([1_715_000_000_123_456_789], pa.timestamp("ns")),
            "nano_zone": pa.array([-1], pa.timestamp("ns", "UTC")),
            "nano_list": pa.array([[1_715_000_000_123_456_789]], pa.list_(pa.timestamp("ns"))),
            "day": pa.array([dt.date(2024, 1, 2)]),
            "clock": pa.array([dt.time(1, 2, 3)], pa.time64("us")),
            "span": pa.array([dt.timedelta(seconds=1.5)], pa.duration("ns")),
            "money": pa.array([Decimal("10.50")], pa.decimal128(10, 2)),
            "blob": pa.array([b"\x00\xff"], pa.binary()),
            "nan": pa.array([float("nan")]),
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
            "struct": pa.array([{"a": [1, 2], "b": None}]),
            "words": pa.array(["a"]).dictionary_encode(),
            "big": pa.array([2**64 - 1], pa.uint64()),
            "null": pa.array([None], pa.string()),
        }
    )
    (item,) = read(write(tmp_path / "t.parquet", table))
    assert isinstance(item, SourceRecord)
    assert item.value == {
        "micro": "2024-05-06T07:08:09.123456+00:00",
        "nano": "2024-05-06T12:53:20.123456789",
        "nano_zone": "1969-12-31T23:59:59.999999999+00:00",
        "nano_list": ["2024-05-06T12:53:20.123456789"],
        "day": "2024-01-02",
        "clock": "01:02:03",
        "span": 1.5,
        "money": "10.50",
        "blob": "AP8=",
        "nan": None,
        "map": {"k": 1},
        "struct": {"a": [1, 2], "b": None},
        "words": "a",
        "big": 2**64 - 1,
        "null": None,
    }
    orjson.dumps(item.value)


def test_an_infinite_number_is_a_bad_record(tmp_path: Path) -> None:
    found = read(write(tmp_path / "t.parquet", pa.table({"x": [1.5, float("inf"), 2.0]})))
    assert [type(item).__name__ for item in found] == ["SourceRecord", "BadRecord", "SourceRecord"]
    assert found[1].line == 2
    assert 'column "x" holds an infinite number' in found[1].reason


def test_damage_inside_a_row_group_costs_that_group(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.parquet",
        pa.table({"s": [f"text {n}" for n in range(300)]}),
        row_group_size=100,
        compression="gzip",
        use_dictionary=False,
    )
    data = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data[start : start + 60] = b"\xff" * 60
    path.write_bytes(data)
    found = read(path)
    (bad,) = [item for item in found if isinstance(item, BadRecord)]
    assert bad.line == 101
    assert "records 101 to 200 cannot be read" in bad.reason
    assert [item.line for item in found if isinstance(item, SourceRecord)] == [*range(1, 101), *range(201, 301)]


def test_a_cut_off_file_and_a_column_twice_are_reported_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", pa.table({"x": [1]}))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        open_sources([str(path)], ReadOptions())
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pytest.raises(SourceError, match="twice"):
        open_sources([str(write(tmp_path / "u.parquet", twice))], ReadOptions())


def test_compressed_and_piped(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", pa.table({"x": [1, 2]}))
    packed = tmp_path / "t.parquet.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    (source,) = open_sources([str(packed)], ReadOptions())
    assert [item.value for block in source.blocks() for item in block.records] == [{"x": 1}, {"x": 2}]
    (source,) = open_sources(["-"], ReadOptions(), stdin=io.BytesIO(path.read_bytes()))
    assert [item.value for block in source.blocks() for item in block.records] == [{"x": 1}, {"x": 2}]


def test_parquet_under_another_name(tmp_path: Path) -> None:
    path = write(tmp_path / "part-0000", pa.table({"x": [1]}))
    assert [item.value for item in read(path)] == [{"x": 1}]
    with pytest.raises(SourceError, match="is a Parquet file, not CSV"):
        open_sources([str(path)], ReadOptions(format="csv"))
    (tmp_path / "no.parquet").write_text("a,b\n")
    with pytest.raises(SourceError, match="is not a Parquet file"):
        open_sources([str(tmp_path / "no.parquet")], ReadOptions())


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.parquet", pa.table({"x": [1]}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r'pip install "scalesync\[parquet\]"'):
        open_sources([str(path)], ReadOptions())


ROW = st.fixed_dictionaries(
    {
        "i": st.none() | st.integers(-(2**63), 2**63 - 1),
        "f": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "s": st.none() | st.text(st.characters(codec="utf-8")),
        "b": st.none() | st.booleans(),
        "l": st.lists(st.text(st.characters(codec="utf-8"), max_size=4), max_size=3),
    }
)


@given(st.lists(ROW, min_size=1, max_size=10), st.integers(1, 5))
@settings(max_examples=draws(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_round_trip(tmp_path: Path, rows: list[dict[str, Any]], group: int) -> None:
    schema = pa.schema(
        {"i": pa.int64(), "f": pa.float64(), "s": pa.string(), "b": pa.bool_(), "l": pa.list_(pa.string())}
    )
    path = write(tmp_path / "t.parquet", pa.Table.from_pylist(rows, schema), row_group_size=group)
    assert [item.value for item in read(path)] == rows
