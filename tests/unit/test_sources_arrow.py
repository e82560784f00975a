"""Parquet values against pyarrow's own scalars: any type inside any other, read back by another way."""

from __future__ import annotations

import base64
import datetime as dt
import math
import re
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from scalesync.model.records import SourceRecord
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

from scalesync.sources.formats.arrowvalues import json_values, trouble_in  # noqa: E402
from tests.draws import draws  # noqa: E402

BILLION = 1_000_000_000
RELAXED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def read(path: Path) -> list[Any]:
    (source,) = open_sources([str(path)], ReadOptions())
    return [item for block in source.blocks() for item in block.records]


def column(tmp_path: Path, array: Any, **options: Any) -> list[Any]:
    pq.write_table(pa.table({"x": array}), tmp_path / "t.parquet", **options)
    found = read(tmp_path / "t.parquet")
    return [item.value["x"] if isinstance(item, SourceRecord) else item for item in found]


def instant(text: str) -> int:
    """The nanoseconds since 1970 that an ISO 8601 text says."""
    parts = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([+-]\d\d:\d\d(?::\d\d)?)?", text)
    assert parts, text
    moment = dt.datetime.fromisoformat(parts[1] + (parts[3] or "+00:00"))
    since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (since.days * 86_400 + since.seconds) * BILLION + int((parts[2] or "").ljust(9, "0"))


def agrees(found: Any, scalar: Any) -> bool:
    """Whether a value that was read says what pyarrow's scalar says."""
    if not scalar.is_valid:
        return found is None
    kind, types = scalar.type, pa.types
    if types.is_struct(kind):
        assert list(found) == [field.name for field in kind]
        return all(agrees(found[name], scalar[name]) for name in found)
    if types.is_map(kind):
        entries = list(scalar.values or [])  # structs of a key and a value, whatever their names
        assert type(found) is dict
        assert list(found) == [entry[0].as_py() for entry in entries]
        return all(agrees(value, entry[1]) for value, entry in zip(found.values(), entries, strict=True))
    if types.is_nested(kind):
        return type(found) is list and len(found) == len(scalar.values) and all(map(agrees, found, scalar.values))
    if types.is_timestamp(kind):
        unit = {"s": BILLION, "ms": 1_000_000, "us": 1_000, "ns": 1}[kind.unit]
        return instant(found) == scalar.value * unit and (kind.tz is None) == (
            not re.search(r"[+-]\d\d:\d\d(:\d\d)?$", found)
        )
    if types.is_time(kind):
        texts = (found, scalar.cast(pa.string()).as_py())
        return len({text.rstrip("0").rstrip(".") if "." in text else text for text in texts}) == 1
    if types.is_duration(kind):
        return found == scalar.value / {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": BILLION}[kind.unit]
    value = scalar.as_py()
    if isinstance(value, bytes):
        return base64.b64decode(found) == value
    if isinstance(value, uuid.UUID | dt.date):
        return found == str(value)
    if types.is_decimal(kind):
        return "e" not in found.lower() and type(value)(found) == value
    if isinstance(value, float) and math.isnan(value):
        return found is None
    return found == value and type(found) is type(value)


EARLY, LATE = -62_135_596_800, 253_402_300_799  # seconds: the years 1 to 9999
NANO = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-1, 0, 1, 999, 1000, 1_715_000_000_123_456_789])
LEAVES = [
    (pa.string(), st.text(st.characters(codec="utf-8"), max_size=4)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.bool_(), st.booleans()),
    (pa.float64(), st.floats(allow_infinity=False)),
    (pa.float32(), st.floats(width=32, allow_infinity=False)),
    (pa.binary(), st.binary(max_size=4)),
    (pa.date32(), st.dates()),
    (pa.decimal128(20, 4), st.decimals(-(10**10), 10**10, places=4)),
    (pa.time64("ns"), st.integers(0, 86_400 * BILLION - 1)),
    (pa.time64("us"), st.integers(0, 86_400_000_000 - 1)),
    (pa.time32("ms"), st.integers(0, 86_400_000 - 1)),
    (pa.duration("ns"), NANO),
    (pa.duration("us"), st.integers(-(10**15), 10**15)),
    *((pa.timestamp("ns", zone), NANO) for zone in (None, "UTC", "Europe/Berlin")),
    *((pa.timestamp("us", zone), st.integers(-(10**16), 10**16)) for zone in (None, "Asia/Kolkata")),
    (pa.timestamp("s"), st.integers(EARLY, LATE)),
    (pa.uuid(), st.binary(min_size=16, max_size=16)),
]


@st.composite
def arrays(draw: Any, depth: int, rows: int, nullable: bool = True) -> Any:
    """An array of a random type, lists, structs and maps inside each other."""
    valid = [True] * rows
    if nullable:
        valid = draw(st.lists(st.sampled_from([True, True, False]), min_size=rows, max_size=rows))
    shape = draw(st.sampled_from(["leaf", "list", "large", "fixed", "struct", "map"] if depth else ["leaf"]))
    if shape == "leaf":
        kind, values = draw(st.sampled_from(LEAVES))
        drawn = draw(st.lists(values, min_size=rows, max_size=rows))
        kept = [value if there else None for value, there in zip(drawn, valid, strict=True)]
        if isinstance(kind, pa.BaseExtensionType):
            return pa.ExtensionArray.from_storage(kind, pa.array(kept, kind.storage_type))
        return pa.array(kept, kind)
    mask = pa.array([not there for there in valid], pa.bool_())
    if shape == "struct":
        fields = [draw(arrays(depth - 1, rows)) for _ in range(draw(st.integers(1, 3)))]
        return pa.StructArray.from_arrays(fields, [f"f{at}" for at in range(len(fields))], mask=mask)
    if shape == "fixed":
        inner = draw(arrays(depth - 1, rows * 2))
        return pa.FixedSizeListArray.from_arrays(inner, 2, mask=mask)
    sizes = [draw(st.integers(0, 3)) if there else 0 for there in valid]
    offsets = [sum(sizes[:at]) for at in range(rows + 1)]
    inner = draw(arrays(depth - 1, offsets[-1]))
    if shape == "map":
        keys = pa.array([f"k{at}" for at in range(offsets[-1])], pa.string())
        return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, inner, mask=mask)
    if shape == "large":
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), inner, mask=mask)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), inner, mask=mask)


@given(st.integers(1, 6).flatmap(lambda rows: arrays(3, rows)), st.integers(0, 3))
@settings(max_examples=draws(150), deadline=None, suppress_health_check=RELAXED)
def test_any_type_inside_any_other_says_what_pyarrow_says(array: Any, start: int) -> None:
    part = array[start:]
    found = json_values(part)
    assert len(found) == len(part)
    for value, scalar in zip(found, part, strict=True):
        assert agrees(value, scalar), (value, scalar)
        orjson.dumps({"x": value}, default=int)


@given(st.integers(1, 6).flatmap(lambda rows: arrays(2, rows)), st.integers(1, 3))
@settings(max_examples=draws(40), deadline=None, suppress_health_check=RELAXED)
def test_a_file_of_any_type_says_what_pyarrow_reads(tmp_path: Path, array: Any, group: int) -> None:
    found = column(tmp_path, array, row_group_size=group)
    try:
        stored = pq.read_table(tmp_path / "t.parquet").column("x")
    except pa.ArrowInvalid:  # before 26, pyarrow cannot read the lists of a fixed size that it writes
        reject()
    assert len(found) == len(array)
    for value, scalar in zip(found, stored, strict=True):
        assert agrees(value, scalar), (value, scalar)


@given(st.lists(NANO, min_size=1, max_size=6), st.data())
@settings(max_examples=draws(30), deadline=None)
def test_encodings_and_views_change_nothing(values: list[int], data: Any) -> None:
    plain = pa.array(values, pa.timestamp("ns"))
    wanted = json_values(plain)
    assert json_values(plain.dictionary_encode()) == wanted
    assert json_values(pa.compute.run_end_encode(plain)) == wanted
    inner = json_values(pa.ListArray.from_arrays([0, len(plain)], plain))
    offsets, sizes = pa.array([0, 1, 0], pa.int32()), pa.array([len(plain), 0, 1], pa.int32())
    assert json_values(pa.ListViewArray.from_arrays(offsets, sizes, plain)) == [inner[0], [], inner[0][:1]]


# --- INT96 ---------------------------------------------------------------------------------------

MICRO = st.integers(EARLY * 1_000_000, LATE * 1_000_000)


@given(st.lists(st.none() | MICRO, min_size=1, max_size=8), st.integers(1, 4))
@settings(max_examples=draws(40), deadline=None, suppress_health_check=RELAXED)
def test_int96_of_any_year_is_right_at_the_top_and_inside(tmp_path: Path, values: list[int | None], group: int) -> None:
    moments = pa.array(values, pa.timestamp("us"))
    rows = len(values)
    keys = pa.array(["k"] * rows)
    table = pa.table(
        {
            "top": moments,
            "other": pa.array(range(rows)),
            "list": pa.ListArray.from_arrays(list(range(rows + 1)), moments),
            "struct": pa.StructArray.from_arrays([moments, keys], ["at", "name"]),
            "map": pa.MapArray.from_arrays(list(range(rows + 1)), keys, moments),
        }
    )
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, use_deprecated_int96_timestamps=True, row_group_size=group)
    schema = pq.ParquetFile(path).schema
    assert [schema.column(at).physical_type for at in range(len(schema))].count("INT96") == 4
    for item, value in zip(read(path), values, strict=True):
        record = item.value
        found = [record["top"], *record["list"], record["struct"]["at"], record["map"]["k"]]
        assert [None if one is None else instant(one) for one in found] == [None if value is None else value * 1000] * 4
    assert [item.value["other"] for item in read(path)] == list(range(rows))


@given(st.lists(NANO, min_size=1, max_size=5))
@settings(max_examples=draws(20), deadline=None, suppress_health_check=RELAXED)
def test_int96_keeps_nanoseconds(tmp_path: Path, values: list[int]) -> None:
    array = pa.array(values, pa.timestamp("ns"))
    found = column(tmp_path, array, use_deprecated_int96_timestamps=True)
    assert [instant(text) for text in found] == values


def test_years_that_no_text_can_say_cost_their_records_and_are_no_other_date(tmp_path: Path) -> None:
    array = pa.array([LATE, LATE + 1, EARLY - 1, 0], pa.timestamp("s"))
    wanted: list[Any] = ["9999-12-31T23:59:59", "1970-01-01T00:00:00"]
    nested = pa.ListArray.from_arrays([0, 1, 2, 3, 4], array)
    for options in ({}, {"use_deprecated_int96_timestamps": True}):
        for values, right in ((array, wanted), (nested, [[one] for one in wanted])):
            first, *bad, last = column(tmp_path, values, **options)
            assert [first, last] == right
            assert {item.reason for item in bad} == {'column "x" holds a value out of range'}


# --- the cases -----------------------------------------------------------------------------------


def test_maps_are_objects_and_lists_of_pairs_stay_lists(tmp_path: Path) -> None:
    kind = pa.map_(pa.string(), pa.int64())
    assert column(tmp_path, pa.array([[("a", 1)], [], None], kind)) == [{"a": 1}, {}, None]
    assert column(tmp_path, pa.array([[[("a", 1)], []]], pa.list_(kind))) == [[{"a": 1}, {}]]
    assert column(tmp_path, pa.array([[[1, 2], [3, 4]]])) == [[[1, 2], [3, 4]]]
    pair = pa.struct([("key", pa.string()), ("value", pa.int64())])
    assert column(tmp_path, pa.array([[{"key": "a", "value": 1}]], pa.list_(pair))) == [[{"key": "a", "value": 1}]]
    days = pa.map_(pa.date32(), pa.bool_())
    assert column(tmp_path, pa.array([[(dt.date(2024, 1, 2), True)]], days)) == [{"2024-01-02": True}]
    flags = pa.map_(pa.bool_(), pa.map_(pa.int8(), pa.list_(kind)))
    assert column(tmp_path, pa.array([[(True, [(-1, [[], [("a", 1)]])]), (False, [])]], flags)) == [
        {"true": {"-1": [{}, {"a": 1}]}, "false": {}}
    ]


def test_an_offset_of_before_the_time_zones_has_seconds(tmp_path: Path) -> None:
    """Berlin kept its own mean time until 1893-04-01: the oracle of this module once took that for no offset."""
    last = -2_422_054_408_000_000_001
    array = pa.array([[last, last + 1]], pa.list_(pa.timestamp("ns", "Europe/Berlin")))
    assert column(tmp_path, array) == [["1893-03-31T23:59:59.999999999+00:53:28", "1893-04-01T00:06:32+01:00"]]
    assert all(agrees(*pair) for pair in zip(column(tmp_path, array), array, strict=True))


def test_nanoseconds_are_kept_wherever_they_stand(tmp_path: Path) -> None:
    assert column(tmp_path, pa.array([1_000_000_007], pa.time64("ns"))) == ["00:00:01.000000007"]
    assert column(tmp_path, pa.array([1_001], pa.duration("ns"))) == [1.001e-06]
    inner = pa.struct([("at", pa.timestamp("ns"))])
    assert column(tmp_path, pa.array([{"at": -1}], inner)) == [{"at": "1969-12-31T23:59:59.999999999"}]
    for kind in (pa.large_list(pa.timestamp("ns")), pa.list_(pa.timestamp("ns"), 1)):
        assert column(tmp_path, pa.array([[1_500_000_000]], kind)) == [["1970-01-01T00:00:01.500000"]]
    moments = pa.map_(pa.timestamp("ns"), pa.timestamp("ns", "UTC"))
    assert column(tmp_path, pa.array([[(1, 2), (3, None)]], moments)) == [
        {"1970-01-01T00:00:00.000000001": "1970-01-01T00:00:00.000000002+00:00", "1970-01-01T00:00:00.000000003": None}
    ]
    deep = pa.large_list(pa.struct([("spans", pa.list_(pa.duration("ns"))), ("at", pa.large_list(pa.time64("ns")))]))
    assert column(tmp_path, pa.array([[{"spans": [-1], "at": [1]}], []], deep)) == [
        [{"spans": [-1e-09], "at": ["00:00:00.000000001"]}],
        [],
    ]
    berlin = pa.list_(pa.timestamp("ns", "Europe/Berlin"))
    found = column(tmp_path, pa.array([[1_715_000_000_000_000_001]], berlin))
    assert found == [["2024-05-06T14:53:20.000000001+02:00"]]


def test_extension_types_are_read_by_what_they_store(tmp_path: Path) -> None:
    key = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([key.bytes, None], pa.binary(16)))
    assert column(tmp_path, ids) == [str(key), None]
    assert column(tmp_path, pa.ListArray.from_arrays([0, 2], ids)) == [[str(key), None]]
    assert column(tmp_path, pa.StructArray.from_arrays([ids], ["id"]))[0] == {"id": str(key)}
    assert column(tmp_path, pa.MapArray.from_arrays([0, 1], pa.array(["k"]), ids[:1])) == [{"k": str(key)}]
    for kind, stored, wanted in (
        (pa.json_(), pa.array(['{"a": 1}']), ['{"a": 1}']),
        (pa.bool8(), pa.array([2, 0, None], pa.int8()), [True, False, None]),
        (pa.opaque(pa.int32(), "point", "maker"), pa.array([7], pa.int32()), [7]),
        (pa.fixed_shape_tensor(pa.int32(), [2, 2]), pa.array([[1, 2, 3, 4]], pa.list_(pa.int32(), 4)), [[1, 2, 3, 4]]),
    ):
        assert column(tmp_path, pa.ExtensionArray.from_storage(kind, stored)) == wanted


def test_a_value_that_cannot_be_known_inside_costs_its_record_alone(tmp_path: Path) -> None:
    found = column(tmp_path, pa.array([[{"x": [1.0]}], [{"x": [float("inf")]}], [{"x": [float("nan")]}]]))
    assert found[0] == [{"x": [1.0]}]
    assert found[1].reason == 'column "x" holds an infinite number'
    assert found[2] == [{"x": [None]}]


# --- row numbers ---------------------------------------------------------------------------------


def pandas_table(columns: dict[str, Any], index: list[Any], names: dict[str, str | None]) -> Any:
    facts = {
        "index_columns": index,
        "columns": [{"name": names.get(name, name), "field_name": name} for name in columns],
    }
    return pa.table(columns).replace_schema_metadata({"pandas": orjson.dumps(facts)})


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [([[4, 9]], "int64"), ([[0, 0], [7, 8]], "uint8"), ([[-1, None]], "int32"), ([[2, 1]] * 3, "int16")],
)
def test_row_numbers_of_pandas_are_left_out_and_reported(tmp_path: Path, numbers: list[list[int]], kind: str) -> None:
    index = {f"__index_level_{level}__": column for level, column in enumerate(numbers)}
    columns = {"text": ["a", "b"], **{name: pa.array(column, kind) for name, column in index.items()}}
    pq.write_table(pandas_table(columns, list(index), dict.fromkeys(index)), tmp_path / "t.parquet")
    (source,) = open_sources([str(tmp_path / "t.parquet")], ReadOptions())
    named = " and ".join(f'"{name}"' for name in index)
    verbs = ("holds", "is") if len(index) == 1 else ("hold", "are")
    assert source.notes == (f"{named} {verbs[0]} the row numbers of pandas and {verbs[1]} left out",)
    items = [item for block in source.blocks() for item in block.records]
    assert [item.value for item in items] == [{"text": "a"}, {"text": "b"}]
    assert items[0].before == {"text": "a", **{name: column[0] for name, column in index.items()}}


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("Unnamed: 0", [0, 1], True),
        ("__index_level_0__", [4.0, 9.0], True),
        ("Unnamed: 0.1", [0, 1], True),
        ("", [0, 1], True),
        ("Unnamed: 0", ["a", "b"], False),
        ("Unnamed: day", [0, 1], False),
        ("index", [0, 1], False),
    ],
)
def test_what_may_be_row_numbers_stays_and_is_reported(
    tmp_path: Path, name: str, values: list[Any], told: bool
) -> None:
    pq.write_table(pa.table({name: values, "text": ["a", "b"]}), tmp_path / "t.parquet")
    (source,) = open_sources([str(tmp_path / "t.parquet")], ReadOptions())
    assert [f'tasks and derived ids as "{name}";' in note for note in source.notes] == [True] * told
    assert read(tmp_path / "t.parquet")[0].value == {name: values[0], "text": "a"}


@pytest.mark.parametrize(
    ("columns", "index", "names"),
    [
        ({"text": ["a"], "id": [7]}, ["id"], {}),
        ({"text": ["a"], "__index_level_0__": ["img-1"]}, ["__index_level_0__"], {"__index_level_0__": None}),
        ({"text": ["a"], "__index_level_0__": [7]}, [], {"__index_level_0__": None}),
        ({"text": ["a"]}, [{"kind": "range", "name": None, "start": 0, "stop": 1, "step": 1}], {}),
        ({"text": ["a"]}, ["gone"], {}),
    ],
)
def test_an_index_that_is_data_stays(tmp_path: Path, columns: Any, index: Any, names: Any) -> None:
    pq.write_table(pandas_table(columns, index, names), tmp_path / "t.parquet")
    (item,) = read(tmp_path / "t.parquet")
    assert item.value == {name: values[0] for name, values in columns.items()}
    assert item.before is None


def test_metadata_that_is_no_pandas_changes_nothing(tmp_path: Path) -> None:
    for junk in (b"{", b"[]", b'{"index_columns": 7}', b"\xff"):
        pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({b"pandas": junk}), tmp_path / "t.parquet")
        assert read(tmp_path / "t.parquet")[0].value == {"x": 1}


ZONELESS = ("tzutc()", "psycopg2.tz.FixedOffsetTimezone(offset=120, name=None)", "Z", "utc")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ZONELESS)
def test_a_name_that_only_a_program_knows_is_no_zone_and_the_instant_stands_in_utc(zone: str, unit: str) -> None:
    array = pa.array([0, None], pa.timestamp(unit, zone))
    assert json_values(array) == ["1970-01-01T00:00:00+00:00", None]
    assert json_values(pa.array([[0], None], pa.list_(array.type))) == [["1970-01-01T00:00:00+00:00"], None]


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_a_zone_that_this_machine_does_not_know_is_named(unit: str) -> None:
    kind = pa.timestamp(unit, "Europe/Atlantis")
    words = 'has the time zone "Europe/Atlantis", which is not known here; pip install tzdata'
    assert [trouble_in(value) for value in json_values(pa.array([[0], [None]], pa.list_(kind)))] == [words, None]
    if unit == "ns":
        assert json_values(pa.array([0], kind)) == ["1970-01-01T00:00:00+00:00"]
