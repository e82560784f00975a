"""JSON lines: what is a record, what is told as bad, and where."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scalesync.model.records import BadRecord, SourceRecord
from scalesync.sources.bytestream import ByteStream, Progress
from scalesync.sources.formats.jsonlines import read_jsonl
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions
from tests.draws import draws

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
RECORDS = st.lists(st.dictionaries(st.text(), JSON, max_size=5), max_size=12)


def items(data: bytes, **options: Any) -> list[SourceRecord | BadRecord]:
    return list(read_jsonl(ByteStream(io.BytesIO(data), Progress()), **options))


def values(data: bytes) -> list[Any]:
    found = items(data)
    assert all(isinstance(item, SourceRecord) for item in found), found
    return [item.value for item in found]


def test_lines_and_blanks_and_a_last_line_without_newline() -> None:
    found = items(b'{"a":1}\n\n  \t\r\n{"a":2}\r\n{"a":3}')
    assert [(item.line, item.value["a"]) for item in found] == [(1, 1), (4, 2), (5, 3)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"[1]", "is a list, not an object"),
        (b'"x"', "is a string, not an object"),
        (b"null", "is null, not an object"),
        (b"3", "is a number, not an object"),
        (b'{"a":1', "is not valid JSON"),
        (b'{"a":NaN}', "NaN and Infinity are not JSON"),
        (b'{"a":-Infinity}', 'NaN and Infinity are not JSON (field "a", column 7)'),
        ('{"ä":"ää","b":[1,{"c":NaN}]}'.encode(), 'NaN and Infinity are not JSON (field "b.c", column 23)'),
        (b'{"a":NaN,,}', "NaN and Infinity are not JSON (column 6)"),
        (b'{"a":1e999}', "is not valid JSON"),
        (b'{"a":"\xff"}', "is not valid UTF-8 (byte 0xff at byte 7)"),
        (b'{"a":"\\ud800"}', "half of a surrogate pair"),
        (b'{"a":"\x00"}', "is not valid JSON"),
        (b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "nested too deep"),
        (b'{"a":' + b"9" * 5000 + b"}", "is not valid JSON"),
        (b'{"a":1}{"b":2}', "is not valid JSON"),
    ],
)
def test_bad_lines_are_reported_and_reading_continues(line: bytes, words: str) -> None:
    first, bad, last = items(b'{"n":1}\n' + line + b'\n{"n":2}\n')
    assert isinstance(bad, BadRecord)
    assert bad.line == 2
    assert words in bad.reason
    assert bad.raw == line.decode("utf-8", "replace")[:4096]
    assert isinstance(first, SourceRecord)
    assert isinstance(last, SourceRecord)
    assert (last.line, last.value) == (3, {"n": 2})


def test_integers_beyond_64_bits_survive_and_neighbours_too() -> None:
    big, low = 2**64, -(2**63) - 1
    text = f'{{"a":{big}}}\n{{"a":{low},"s":"{big}"}}\n{{"a":[{10**40}]}}\n{{"a":{2**64 - 1}}}\n{{"a":1}}\n'
    assert values(text.encode()) == [
        {"a": big},
        {"a": low, "s": str(big)},
        {"a": [10**40]},
        {"a": 2**64 - 1},
        {"a": 1},
    ]
    assert all(type(value["a"]) is not float for value in values(text.encode()))


def test_too_many_digits_for_python_is_bad_and_not_a_crash() -> None:
    (bad,) = items(b'{"a":' + b"1" * 300 + b"," + b'"b":' + b"2" * 5000 + b"}")
    assert isinstance(bad, BadRecord)


@pytest.mark.parametrize("number", [str(3**1300), f"-{3**1300}", "1e400"])
def test_a_number_that_no_task_can_carry_is_reported_as_that(number: str) -> None:
    first, bad = items(f'{{"n":{9 * 10**307}}}\n{{"n":{number}}}\n'.encode())
    assert isinstance(first, SourceRecord)
    assert first.value == {"n": 9 * 10**307}
    assert isinstance(bad, BadRecord)
    assert bad.reason == "is not valid JSON: a number is too large (1.8e308, or 308 digits, is the most) (column 6)"


def test_byte_order_marks_at_the_start_and_where_files_were_joined() -> None:
    assert values(b'\xef\xbb\xbf{"a":1}\n\xef\xbb\xbf{"a":2}\n') == [{"a": 1}, {"a": 2}]


def test_escaped_nul_and_duplicate_keys() -> None:
    assert values(b'{"a":"\\u0000","b":1,"b":2}') == [{"a": "\0", "b": 2}]


def test_a_line_over_the_limit_is_one_bad_record() -> None:
    long = b'{"a":"' + b"x" * 900_000 + b'"}'
    first, bad, last = items(b'{"n":1}\n' + long + b'\n{"n":2}', limit=500_000)
    assert isinstance(bad, BadRecord)
    assert "longer than" in bad.reason
    assert (len(bad.raw), bad.line, last.line) == (4096, 2, 3)
    assert first.line == 1


def test_an_overlong_last_line_without_newline() -> None:
    (bad,) = items(b'{"a":"' + b"x" * 900_000, limit=500_000)
    assert isinstance(bad, BadRecord)
    assert "longer than" in bad.reason


@given(RECORDS)
@settings(max_examples=draws(25), deadline=None)
def test_round_trip(records: list[dict[str, Any]]) -> None:
    data = "\n".join(json.dumps(record) for record in records).encode()
    assert values(data) == records


@given(st.binary(max_size=300))
@example(b"\x1e")
@example(b"{}\n\x1a\n\xef\xbb\xbf\n\x1e\x1e {}")
@settings(max_examples=draws(150), deadline=None)
def test_any_bytes_give_items_and_no_error(data: bytes) -> None:
    found = items(data)
    # Marks are no record: of UTF-8, of a JSON text sequence, of a DOS file's end.
    lines = [line.replace(b"\xef\xbb\xbf", b"") for line in data.split(b"\n")]
    filled = [n for n, line in enumerate(lines, 1) if line.strip(b" \t\r\n\x0b\x0c\x1a\x1e")]
    if not data.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")):
        assert [item.line for item in found] == filled


def test_blocks_are_bounded_by_number_and_by_weight(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a":1}\n' * 1000)
    (source,) = open_sources([str(path)], ReadOptions())
    assert [len(block.records) for block in source.blocks(300)] == [300, 300, 300, 100]
    assert [block.consumed for block in source.blocks(300)][-1] == path.stat().st_size
    path.write_bytes((b'{"a":"' + b"x" * 1_000_000 + b'"}\n') * 20)
    (source,) = open_sources([str(path)], ReadOptions())
    assert max(len(block.records) for block in source.blocks()) <= 6


def test_blocks_may_be_left_early_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a":1}\n' * 1000))
    (source,) = open_sources([str(path)], ReadOptions())
    blocks = source.blocks(10)
    assert len(next(blocks).records) == 10
    blocks.close()  # type: ignore[attr-defined]
    assert sum(len(block.records) for block in source.blocks()) == 1000
