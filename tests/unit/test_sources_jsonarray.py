"""JSON arrays and objects in a row, split without holding the file."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.model.records import BadRecord, SourceRecord
from scalesync.sources import bytestream
from scalesync.sources.bytestream import ByteStream, Progress
from scalesync.sources.formats.jsonarray import read_array
from tests.draws import draws

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.lists(st.dictionaries(st.text(), JSON, max_size=5), max_size=12)


class Dripping(io.BytesIO):
    """Gives a few bytes at a time, so that every place of a text becomes a border."""

    step = 3

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self.step)


def items(data: bytes, step: int = 0, **options: Any) -> list[SourceRecord | BadRecord]:
    raw: io.BytesIO = io.BytesIO(data)
    if step:
        raw = Dripping(data)
        raw.step = step
    return list(read_array(ByteStream(raw, Progress()), **options))


@given(RECORDS, st.sampled_from([None, 1, 2]), st.sampled_from([0, 1, 2, 7]), st.booleans())
@settings(max_examples=draws(50), deadline=None)
def test_round_trip_of_arrays(records: list[Any], indent: int | None, step: int, plain: bool) -> None:
    data = json.dumps(records, indent=indent, ensure_ascii=plain).encode("utf-8", "surrogatepass")
    found = items(data, step)
    assert [getattr(item, "value", item) for item in found] == records


@given(RECORDS, st.sampled_from([0, 1, 5]))
@settings(max_examples=draws(25), deadline=None)
def test_round_trip_of_objects_in_a_row(records: list[Any], step: int) -> None:
    data = "\n".join(json.dumps(record, indent=1) for record in records).encode()
    assert [getattr(item, "value", item) for item in items(data, step)] == records


@pytest.mark.parametrize("step", [0, 1, 4])
def test_elements_are_numbered_and_complaints_name_the_line_too(step: int) -> None:
    found = items(b'\n[\n {"a":\n 1},\n\n {"a":"x\\"]}"}, 3\n]\n', step)
    assert [(item.line, item.value["a"]) for item in found[:2]] == [(1, 1), (2, 'x"]}')]
    assert (found[2].line, found[2].reason) == (3, "is a number, not an object (line 6)")


@pytest.mark.parametrize("step", [0, 1, 4])
def test_elements_that_are_no_objects(step: int) -> None:
    found = items(b'[{"a":1}, 7, "x,]", null, [1,{"b":2}], {"a":NaN}, {"a":2}]', step)
    assert [item.value for item in found if isinstance(item, SourceRecord)] == [{"a": 1}, {"a": 2}]
    reasons = [item.reason.removesuffix(" (line 1)") for item in found if isinstance(item, BadRecord)]
    assert [reason.removesuffix(", not an object") for reason in reasons] == [
        "is a number",
        "is a string",
        "is null",
        "is a list",
        'is not valid JSON: NaN and Infinity are not JSON (field "a", column 6)',
    ]


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize(
    ("data", "good", "words"),
    [
        (b'[{"a":1},{"a":2', 1, "the data ends inside this record"),
        (b'[{"a":1},{"a":"x', 1, "the data ends inside this record"),
        (b'[{"a":1}', 1, "the array has no end"),
        (b'[{"a":1},', 1, "the array has no end"),
        (b"[", 0, "the array has no end"),
        (b'[{"a":1}{"a":2}]', 2, "a comma is missing"),
        (b'[{"a":1},,{"a":2}]', 2, "an element is missing"),
        (b'[{"a":1}] x', 1, "text follows"),
        (b'{"a":1} x', 1, "is not valid JSON"),
        (b'{"a":1} {"a":', 1, "the data ends inside"),
    ],
)
def test_broken_structure(step: int, data: bytes, good: int, words: str) -> None:
    found = items(data, step)
    assert sum(isinstance(item, SourceRecord) for item in found) == good
    (bad,) = [item for item in found if isinstance(item, BadRecord)]
    assert words in bad.reason


def test_empty_arrays_and_a_comma_at_the_end() -> None:
    assert items(b"[]") == []
    assert items(b" [ \n ] ") == []
    assert items(b"") == []
    assert [item.line for item in items(b'[{"a":1},\n]')] == [1]


def test_big_integers_and_deep_nesting() -> None:
    good, deep = items(b'[{"a":%d},{"a":' % 2**70 + b"[" * 10_000 + b"]" * 10_000 + b"}]")
    assert isinstance(good, SourceRecord)
    assert good.value == {"a": 2**70}
    assert isinstance(deep, BadRecord)
    assert deep.reason == "nested too deep (line 1)"


def test_an_element_over_the_limit_is_dropped_in_passing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bytestream, "CHUNK", 1000)
    long = json.dumps({"t": 'q"\\' * 20_000, "n": list(range(9000)), "o": {"p": "}" * 9000}})
    found = items(b'[{"a":1},' + long.encode() + b',{"a":2}]', limit=10_000)
    assert [type(item).__name__ for item in found] == ["SourceRecord", "BadRecord", "SourceRecord"]
    assert "longer than" in found[1].reason
    assert len(found[1].raw) == 4096


def test_memory_stays_flat() -> None:
    class Endless(io.RawIOBase):
        left = 60

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return b'{"a":"%s"},' % (b"x" * 1000) * 260 if self.left > 0 else b""

    class Opened(Endless):
        first = True

        def read(self, size: int = -1) -> bytes:
            if self.first:
                self.first = False
                return b"[   "
            return super().read(size)

    tracemalloc.start()
    try:
        count = sum(1 for _ in read_array(ByteStream(Opened(), Progress())))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 59 * 260 + 1
    assert peak < 4_000_000


@given(st.text(alphabet='[]{},:"\\ \n1a', max_size=40), st.sampled_from([0, 1]))
@settings(max_examples=draws(300), deadline=None)
def test_any_text_ends(text: str, step: int) -> None:
    for opening in ("", "["):
        items((opening + text).encode(), step)
