"""Odd files: each place in them is a record or a complaint, nothing is a traceback, and memory stays bounded."""

from __future__ import annotations

import gzip
import io
import json
import random
import subprocess
import sys
import zlib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scalesync.errors import ConfigError, RecordError, SourceError
from scalesync.flows.imports.run import run_import
from scalesync.flows.runtime.options import ImportOptions
from scalesync.jsonvalue import as_text
from scalesync.mapping.body import BodyBuilder, BodySpec
from scalesync.mapping.template import Template
from scalesync.model.records import BadRecord
from scalesync.platforms.scale.spec import SPEC
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions
from tests.conftest import FAST, KIND, PROJECT
from tests.draws import draws, seeds

BUILDER = BodyBuilder(BodySpec(KIND, project=PROJECT), SPEC.shaper)
MB = 1024 * 1024


def read(path: Path, builder: BodyBuilder = BUILDER, **switches: object) -> tuple[int, list[str]]:
    """How many records a file gives, and the complaints. Everything in them can be kept in a ledger."""
    good, complaints = 0, []
    for source in open_sources([str(path)], ReadOptions(**switches)):  # type: ignore[arg-type]
        assert source.name.encode()
        for block in source.blocks():
            for place in block.records:
                if isinstance(place, BadRecord):
                    assert place.raw.encode() is not None
                    assert len(place.raw) <= 4096
                    complaints.append(place.reason)
                    continue
                try:
                    record = builder.build(place, 1)
                except RecordError as error:
                    assert as_text(place.value).encode() is not None
                    complaints.append(str(error))
                    continue
                assert record.key.encode()
                assert json.loads(record.body)["unique_id"] == record.key
                good += 1
    assert all(reason.encode() and "\n" not in reason for reason in complaints)
    return good, complaints


def nested(levels: int, inner: str = "1") -> bytes:
    return ('{"a":' * levels + inner + "}" * levels + "\n").encode()


SIGNED = '"https://x.test/a?X-Amz-Signature=1&b=2"'
# name, content, records, complaints
CORPUS = [
    ("mark.jsonl", b'\xef\xbb\xbf{"a":1}\n\xef\xbb\xbf{"a":2}\n', 2, 0),
    ("nul.jsonl", b'{"a":"\0"}\n\0\0\0\n{"a\\u0000":1}\n', 1, 2),
    ("halves.jsonl", b'{"a":"\\ud800"}\n{"\\udc00":1}\n{"a":"\\ud83d\\ude00"}\n', 1, 2),
    ("large.jsonl", b'{"a":18446744073709551617}\n{"a":' + b"9" * 5000 + b"}\n", 1, 1),
    ("floats.jsonl", b'{"a":1e400}\n{"a":NaN}\n{"a":-0}\n{"a":0.' + b"1" * 5000 + b"}\n", 2, 2),
    ("twice.jsonl", b'{"a":1,"a":2}\n{"unique_id":"x","unique_id":"y"}\n', 2, 0),
    ("ids.jsonl", b'{"unique_id":["x"]}\n{"unique_id":{}}\n{"unique_id":""}\n{"unique_id":null}\n', 0, 4),
    ("names.jsonl", b'{"project":[1]}\n{"batch":{}}\n{"project":""}\n', 2, 1),
    ("kinds.jsonl", b'1\n"a"\nnull\n[]\ntrue\n{}\n', 1, 5),
    ("ends.jsonl", b'{"a":1}\r\n\r\n{"a":2}\r\n \t\n', 2, 0),
    ("latin.jsonl", '{"a":"ä"}\n'.encode() + '{"a":"ö"}\n'.encode("latin-1"), 1, 1),
    ("utf16.jsonl", '{"a":"ä"}\n{"a":1}\n'.encode("utf-16"), 2, 0),
    ("utf16half.jsonl", b"\xff\xfe" + '{"a":"'.encode("utf-16-le") + b"\0\xd8" + '"}\n'.encode("utf-16-le"), 0, 1),
    ("quote.csv", b'a,b\n"x,1\ny,2\n"z",3\n', 2, 1),
    ("quotes.csv", b'a,b\n"""x""",1\n"a"b,2\n\'q,3\n', 2, 1),
    ("nul.csv", b"a,b\n\0,1\n", 1, 0),
    ("returns.csv", b"a,b\rx,1\ry,2\r", 2, 0),
    ("mixed.csv", "a,b\nä,1\n".encode() + "ö,2\n".encode("latin-1"), 1, 1),
    ("ragged.csv", b"a,b\n1\n1,2,3\n1,2\n", 1, 2),
    ("holes.json", b'[{"a":1},,{"a":2}', 2, 2),
    ("closed.json", b"]]]]}}}}", 0, 8),
    ("behind.json", b'[{"a":1}] {"a":2}', 1, 1),
    ("deep.json", b'[{"a":1},' + b"[" * 10_000 + b"]" * 10_000 + b',{"b":2}]', 2, 1),
    ("deeper.json", b"[" * 1_000_000, 0, 1),
    ("brackets.json", b'[{"a":1},' + b"[]," * 50_000 + b'{"a":2}]', 2, 50_000),
    ("cut.jsonl.gz", gzip.compress(b'{"a":1}\n' * 10_000)[:-30], None, 1),
    ("behind.jsonl.gz", gzip.compress(b'{"a":1}\n') + b"rubbish", 1, 1),
    *((f"levels-{n}.jsonl", nested(n), int(n < 255), int(n > 254)) for n in (254, 255, 600, 1000, 1024, 10_000)),
    *((f"signed-{n}.jsonl", nested(n, SIGNED), int(n < 255), int(n > 254)) for n in (254, 255, 1000, 1024)),
    *((f"exact-{n}.jsonl", nested(n, "9" * 30), int(n < 255), int(n > 254)) for n in (254, 255, 1000, 1024)),
]


@pytest.mark.parametrize(("name", "content", "records", "complaints"), CORPUS, ids=[entry[0] for entry in CORPUS])
def test_every_place_of_an_odd_file_is_counted_and_reported(name, content, records, complaints, tmp_path):
    (tmp_path / name).write_bytes(content)
    good, told = read(tmp_path / name)
    assert records is None or good == records
    assert len(told) == complaints


@pytest.mark.parametrize("name", ["a.jsonl.zst", "a.jsonl.gz", "a.parquet", "a.parquet.gz", "a.json", "a.csv", "a"])
@pytest.mark.parametrize("seed", range(3))
def test_rubbish_under_any_name_is_refused_or_reported(name, seed, tmp_path):
    rubbish = random.Random(seed).randbytes(5000)
    for head in (b"", b"PAR1", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd"):
        (tmp_path / name).write_bytes(head + rubbish)
        try:
            good, _ = read(tmp_path / name)
        except SourceError:
            continue
        assert good == 0


SUFFIXES = ("jsonl", "json", "csv", "tsv", "jsonl.gz", "jsonl.zst", "parquet", "txt")
TEXTS = rb'{ } [ ] " , : \ null \ud800 1e999 999999999999999999999999999999 "unique_id": a;b;c {"a":1}'.split()
MARKS = [b"'", b"\n", b"\r", b"\0", b"\t", b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3", b"\x1f\x8b", b'{"a":1}\n']
fragments = st.sampled_from([*TEXTS, *MARKS])
contents = st.binary(max_size=300) | st.lists(fragments | st.binary(max_size=4), max_size=60).map(b"".join)


@settings(max_examples=draws(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=contents, suffix=st.sampled_from(SUFFIXES), packed=st.booleans())
@example(content=b'{"a":"\\ud800"}', suffix="json", packed=True)
def test_any_bytes_are_records_or_complaints(content, suffix, packed, tmp_path):
    path = tmp_path / f"any.{suffix}"
    path.write_bytes(gzip.compress(content) if packed else content)
    try:
        read(path)
    except (SourceError, ConfigError):
        return


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
FILLED = BodyBuilder(
    BodySpec(
        KIND, template=Template({"text": "a {text?}", "n": "{a.b?}", "l": "{list?}"}, None, ("cell",)), batch="{b?}"
    ),
    SPEC.shaper,
)


@settings(max_examples=draws(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    record=st.dictionaries(
        st.sampled_from(["text", "a", "list", "cell", "b", "unique_id", "project", "batch", "_file", "a.b"])
        | st.text(),
        json_values,
    )
)
@example(record={"\n": float("inf")})
@example(record={"a": {'\ud800 "': [float("nan")]}})
def test_any_record_becomes_a_body_or_is_invalid(record, tmp_path):
    path = tmp_path / "any.jsonl"
    path.write_text(json.dumps(record) + "\n")
    good, told = read(path, FILLED)
    assert good + len(told) == 1


def test_a_file_whose_name_is_no_utf8_is_a_source_like_any_other(tmp_path):
    path = tmp_path / "caf\udce9.jsonl"
    try:
        path.write_bytes(b'{"a":1}\n')
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert read(path) == (1, [])
    (tmp_path / "more").mkdir()
    path.rename(tmp_path / "more" / "caf\udce9.txt")
    (source,) = open_sources([str(tmp_path / "more")], ReadOptions())
    (place,) = [place for block in source.blocks() for place in block.records]
    assert place[1:3] == ({}, {"name": "caf\\xe9.txt", "stem": "caf\\xe9", "path": "caf\\xe9.txt", "size": 8})


# --- Parquet -----------------------------------------------------------------------------------


def parquet_of(**columns: object) -> bytes:
    pa, pq = import_module("pyarrow"), import_module("pyarrow.parquet")
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, row_group_size=100)
    return out.getvalue()


def odd_columns() -> Iterator[tuple[str, object]]:
    pa = pytest.importorskip("pyarrow")
    offsets = pa.py_buffer(b"".join(at.to_bytes(4, "little") for at in (0, 2, 4)))
    broken = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xff\xfeok")])
    yield "no UTF-8", broken
    yield "no UTF-8 in a list", pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), broken)
    yield "a day out of range", pa.array([2**31 - 1, 0], pa.int32()).cast(pa.date32())
    for unit in ("ms", "us"):
        yield f"a time out of range, {unit}", pa.array([2**60, 0], pa.int64()).cast(pa.timestamp(unit))
    yield "infinity", pa.array([float("inf"), 1.0])


def test_a_cell_of_parquet_that_cannot_be_read_costs_its_record_only(tmp_path):
    for name, column in odd_columns():
        (tmp_path / "odd.parquet").write_bytes(parquet_of(a=column, b=["x", "y"]))
        good, told = read(tmp_path / "odd.parquet")
        assert (good, len(told)) == (1, 1), name
        assert 'column "a"' in told[0]


@pytest.mark.parametrize("seed", seeds(40, here=12))
def test_parquet_with_flipped_bytes_is_records_and_complaints(seed, tmp_path):
    pytest.importorskip("pyarrow")
    texts = [f"text {number}" for number in range(300)]
    data = bytearray(parquet_of(a=range(300), s=texts, l=[[text] for text in texts]))
    chance = random.Random(seed)
    for _ in range(chance.choice((1, 1, 3, 20))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    (tmp_path / "odd.parquet").write_bytes(bytes(data))
    try:
        good, _ = read(tmp_path / "odd.parquet")
    except SourceError:
        return
    assert good <= 300


# --- memory ------------------------------------------------------------------------------------

MEASURE = """
import resource, sys, time
from pathlib import Path
from tests.hostile.test_sources import read
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
good, told = read(Path(sys.argv[1]))
print(good, len(told), peak() - before, told[:1])
"""


def measured(path: Path, seconds: float = 55) -> tuple[int, int, int, str]:
    """Records, complaints, MB of memory that reading took, and the first complaint; in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, timeout=seconds, check=False
    )
    assert run.returncode == 0, run.stderr
    good, bad, used, told = run.stdout.split(" ", 3)
    return int(good), int(bad), int(used), told


def bomb(path: Path, head: bytes, unit: bytes, megabytes: int, tail: bytes) -> None:
    """A gzip file of some KB that unpacks to `megabytes`."""
    engine = zlib.compressobj(6, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        file.write(engine.compress(head))
        for _ in range(megabytes):
            file.write(engine.compress(unit * (MB // len(unit))))
        file.write(engine.compress(tail) + engine.flush())


BOMBS = {
    "one line.jsonl.gz": (b'{"a":1}\n{"a":"', b"x", b'"}\n{"a":2}\n'),
    "one text.json.gz": (b'[{"a":1},{"a":"', b"x", b'"},{"a":2}]'),
    "spaces.json.gz": (b'[{"a":1},', b" ", b'{"a":2}]'),
    "one cell.csv.gz": (b'a,b\n1,2\n"', b"x", b'",1\n3,4\n'),
    "cells.csv.gz": (b"a,b\n1,2\n", b",", b"\n3,4\n"),
}


@pytest.mark.slow
def test_bombs_are_reported_and_take_bounded_memory(tmp_path):
    for name, (head, unit, tail) in BOMBS.items():
        bomb(tmp_path / name, head, unit, 100, tail)
        assert (tmp_path / name).stat().st_size < MB
    good, bad, used, told = measured(tmp_path)
    assert (good, bad) == (2 * len(BOMBS), len(BOMBS) - 1)  # spaces are nothing to complain of
    assert "longer than 64 MB" in told
    assert used < 350


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_two_gigabytes_takes_no_more(name, tmp_path):
    head, unit, tail = BOMBS[name]
    bomb(tmp_path / name, head, unit, 2048, tail)
    assert (tmp_path / name).stat().st_size < 4 * MB
    good, bad, used, _ = measured(tmp_path / name, 250)
    assert (good, bad <= 1, used < 350) == (2, True, True)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_brackets_for_ever_take_bounded_memory(tmp_path):
    bomb(tmp_path / "brackets.json.gz", b'[{"a":1},', b"[", 256, b"")
    assert measured(tmp_path / "brackets.json.gz", 250)[:2] == (1, 1)


@pytest.mark.slow
def test_lines_of_64_megabytes_are_records_one_at_a_time(tmp_path):
    line = b'{"a":"' + b"x" * (64 * MB - 9) + b'"}\n'
    (tmp_path / "long.jsonl").write_bytes(line + b'{"a":1}\n' + line[:-3] + b'yy"}\n{"a":2}\n')
    good, bad, used, told = measured(tmp_path / "long.jsonl")
    assert (good, bad) == (3, 1)
    assert "longer than 64 MB" in told
    assert used < 600


async def test_an_import_of_all_odd_files_counts_every_place(make_sandbox, settings_for, notebook, tmp_path):
    sandbox = await make_sandbox()
    folder = tmp_path / "odd"
    folder.mkdir()
    taken = ("levels", "signed", "exact", "halves", "large", "mark", "quote")
    for name, content, _, _ in CORPUS:
        if name.startswith(taken):
            (folder / name).write_bytes(content)
    wanted = [read(path) for path in sorted(folder.iterdir())]
    sets = ('attachment="x"', 'attachment_type="text"', 'categories=["a"]')
    asked = ImportOptions(sources=(str(folder),), type=KIND, project=PROJECT, sets=sets)
    summary = await run_import(asked, settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert summary.exit_code == 1
    assert summary.invalid == sum(len(told) for _, told in wanted)
    assert summary.created + summary.duplicates == sum(good for good, _ in wanted)
    assert summary.read == summary.invalid + summary.created + summary.duplicates
