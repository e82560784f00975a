"""Checkpoints of sources: found again exactly up to the bytes that are unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.model.records import Checkpoint
from scalesync.sources import bytestream
from scalesync.sources.checkpoints import Fingerprint, longest_known
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions

LINES = st.lists(st.binary(max_size=6).filter(lambda line: b"\n" not in line), min_size=1, max_size=30)


def marks_of(lines: list[bytes], at: list[int]) -> list[Checkpoint]:
    found = []
    for line in sorted({place % len(lines) + 1 for place in at}):
        fingerprint = Fingerprint()
        fingerprint.add(lines[:line])
        found.append(fingerprint.mark())
    return found


def batches(lines: list[bytes], sizes: list[int]) -> list[list[bytes]]:
    cut, rest = [], lines
    for size in [*sizes, len(lines)]:
        cut.append(rest[:size])
        rest = rest[size:]
    return cut


@given(LINES, LINES, st.lists(st.integers(0, 100), max_size=5), st.lists(st.integers(1, 7), max_size=8))
def test_the_longest_beginning_that_is_the_same_is_found(old, new, at, sizes):
    kept = new[: len(old)] if len(new) % 2 else old[: len(old) // 2] + new
    common = next((n for n, (a, b) in enumerate(zip(old, kept, strict=False)) if a != b), min(len(old), len(kept)))
    marks = marks_of(old, at)
    found = longest_known(batches(kept, sizes), marks)
    expected = max((mark.line for mark in marks if mark.line <= common), default=None)
    assert (found.line if found else None) == expected
    if found is not None:
        assert found.mark() in marks


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch):
    monkeypatch.setattr(bytestream, "CHUNK", 64)


def opened(path: Path, **options: object):
    (source,) = open_sources([str(path)], ReadOptions(**options))  # type: ignore[arg-type]
    return source


@pytest.mark.parametrize("end", ["\n", ""])
def test_reading_behind_a_beginning_gives_the_rest_with_its_lines(tmp_path, end):
    path = tmp_path / "r.jsonl"
    rows = [json.dumps({"a": n}) if n % 7 else "" for n in range(100)]
    path.write_text("\n".join(rows) + end)
    whole = [(record.line, record.value) for block in opened(path).blocks(5) for record in block.records]
    marks = [block.mark for block in opened(path).blocks(5) if block.mark is not None]
    assert len(set(marks)) > 5
    for mark in dict.fromkeys(marks):
        source = opened(path)
        known = source.known([mark])
        assert known is not None
        assert known.line == mark.line
        rest = [(record.line, record.value) for block in source.blocks(5, known) for record in block.records]
        assert rest == [pair for pair in whole if pair[0] > mark.line]
        later = [block.mark for block in source.blocks(5, known) if block.mark is not None]
        assert {m for m in later if m.line in {o.line for o in marks}} <= set(marks)


def test_a_block_never_tells_a_mark_behind_records_that_it_does_not_hold(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps({"a": n}) + "\n" for n in range(200)))
    for size in (1, 3, 64):
        given_out = 0
        for block in opened(path).blocks(size):
            given_out = block.records[-1].line
            assert block.mark is None or block.mark.line <= given_out


@pytest.mark.parametrize(("name", "text"), [("r.csv", "a\n1\n2\n"), ("r.json", '[{"a": 1}, {"a": 2}]')])
def test_other_formats_have_no_marks(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    source = opened(path)
    assert [block.mark for block in source.blocks()] == [None]
    assert source.known([Checkpoint(1, "x")]) is None
