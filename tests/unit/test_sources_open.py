"""Naming and opening sources: files, globs, folders, pipes, packed files, URLs."""

from __future__ import annotations

import errno
import functools
import gzip
import http.server
import importlib
import io
import os
import random
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.addresses import public_name, without_credentials
from scalesync.errors import ConfigError, SourceError
from scalesync.model.records import BadRecord, SourceRecord
from scalesync.sources import open as sources
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions
from scalesync.sources.places.downloaded import BLOCK
from scalesync.sources.source_file import SourceFile
from tests.draws import draws

zstd = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20


def opened(*specs: object, stdin: bytes | None = None, **options: Any) -> list[SourceFile]:
    stream = None if stdin is None else io.BytesIO(stdin)
    return open_sources([str(spec) for spec in specs], ReadOptions(**options), stdin=stream)


def items(source: SourceFile) -> list[Any]:
    return [item for block in source.blocks() for item in block.records]


def values(*specs: object, **options: Any) -> list[Any]:
    found = [item for source in opened(*specs, **options) for item in items(source)]
    assert all(isinstance(item, SourceRecord) for item in found), found
    return [item.value for item in found]


def test_order_globs_and_repetition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("b.jsonl", "a.jsonl", "sub/c.jsonl", ".hidden.jsonl", "x[1].jsonl"):
        Path(name).write_text('{"a":1}\n')
    names = [source.name for source in opened("b.jsonl", "*.jsonl", "**/*.jsonl", "x[1].jsonl", "sub/c.jsonl")]
    assert names == ["b.jsonl", "a.jsonl", "x[1].jsonl", "sub/c.jsonl"]


def test_fingerprint_tells_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a":1}\n')
    (source,) = opened(path)
    info = path.stat()
    assert source.fingerprint() == {"path": str(path), "size": info.st_size, "mtime_ns": info.st_mtime_ns}
    assert (source.size, source.mtime_ns) == (info.st_size, info.st_mtime_ns)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "a.jsonl",
            PNG,
            "is a PNG image, not JSON lines; name its folder instead, to make a record of each file in it",
        ),
        ("a.csv", b"PK\x03\x04" + bytes(500), "Excel file, not CSV; save a sheet as CSV [(]UTF-8[)] and import that"),
        ("a.json", bytes(range(32)) * 50, "holds binary data, not JSON; name its folder instead"),
        ("a.jsonl.gz", b"", "is empty"),
        ("a.parquet", b"", "is empty"),
        ("a.txt", b"just some words\nand more of them\n", "neither its name nor its content"),
        ("a", b"one\ntwo\n", "neither its name nor its content shows the format; give --input-format"),
        ("a.jsonl.gz", gzip.compress(b"", mtime=0)[:12], "the gzip data ends too early"),
    ],
)
def test_what_is_no_source_is_reported_before_reading(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=words) as caught:
        opened(path)
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv.gz", "a.gz", "a.jsonl.zst", "a"])
def test_an_empty_file_has_no_records_packed_or_not(tmp_path: Path, name: str) -> None:
    packers = {".gz": gzip.compress, ".zst": zstd.compress}
    (tmp_path / name).write_bytes(packers.get(Path(name).suffix, bytes)(b""))
    (source,) = opened(tmp_path / name)
    assert items(source) == []


def test_missing_things(tmp_path: Path) -> None:
    for spec in ("none.jsonl", "*.none", "none/"):
        with pytest.raises(SourceError, match=r"no such file|matches no file"):
            opened(tmp_path / spec)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden").write_text("x")
    with pytest.raises(SourceError, match="folder without files"):
        opened(tmp_path / "empty")


def test_unreadable_file(plain_user: Path) -> None:
    path = plain_user / "a.jsonl"
    path.write_text("{}")
    path.chmod(0)
    with pytest.raises(SourceError, match="Permission denied"):
        opened(path)


def test_a_file_that_vanishes_is_reported_while_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n")
    (source,) = opened(path)
    path.unlink()
    with pytest.raises(SourceError, match="cannot be read further"):
        items(source)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.json", '[{"a":1}]', [{"a": 1}]),
        ("a.json", '{"a":1}\n{"a":2}\n', [{"a": 1}, {"a": 2}]),
        ("a.json", '{\n "a": 1\n}\n', [{"a": 1}]),
        ("a.json", '{"a":1}', [{"a": 1}]),
        ("a.ndjson", '{"a":1}\n', [{"a": 1}]),
        ("a.JSONL", '{"a":1}\n', [{"a": 1}]),
        ("a.tsv", "a\tb\n1\t2\n", [{"a": "1", "b": "2"}]),
        ("data", '[{"a":1}]', [{"a": 1}]),
        ("data", '{"a":1}\n{"a":2}', [{"a": 1}, {"a": 2}]),
        ("data", "a,b\n1,2\n", [{"a": "1", "b": "2"}]),
        ("a.log", "a,b\n1,2\n", [{"a": "1", "b": "2"}]),
    ],
)
def test_formats_by_name_and_content(tmp_path: Path, name: str, text: str, expected: list[Any]) -> None:
    (tmp_path / name).write_text(text)
    assert values(tmp_path / name) == expected


def test_said_format_wins(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text('{"a":1}\n')
    assert values(tmp_path / "a.txt", format="jsonl") == [{"a": 1}]
    (tmp_path / "a.csv").write_text('[{"a":1}]')
    assert values(tmp_path / "a.csv", format="json") == [{"a": 1}]


# --- packed --------------------------------------------------------------------------------------


def lines(count: int) -> bytes:
    return b"".join(b'{"n":%d,"t":"%d"}\n' % (n, n * 7919) for n in range(count))


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_packed_files_by_name_and_by_content(tmp_path: Path, pack: Any) -> None:
    for name in ("a.jsonl.gz", "a.jsonl.zst", "a.jsonl", "a"):
        (tmp_path / name).write_bytes(pack(lines(500)))
        assert [value["n"] for value in values(tmp_path / name)] == list(range(500))


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_several_members(tmp_path: Path, pack: Any) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(pack(lines(3)) + pack(lines(2)))
    assert [value["n"] for value in values(tmp_path / "a.jsonl.gz")] == [0, 1, 2, 0, 1]


@pytest.mark.parametrize(("pack", "suffix"), [(gzip.compress, "gz"), (zstd.compress, "zst")])
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv"])
def test_a_cut_off_file_gives_all_before_and_one_complaint(tmp_path: Path, pack: Any, suffix: str, kind: str) -> None:
    rows = lines(60_000)
    if kind == "json":
        rows = b"[" + rows.replace(b"\n", b",\n")[:-2] + b"]"
    elif kind == "csv":
        rows = b"n,t\n" + b"".join(b"%d,%d\n" % (n, n * 7919) for n in range(60_000))
    path = tmp_path / f"a.{kind}.{suffix}"
    whole = pack(rows)
    path.write_bytes(whole[: len(whole) * 2 // 3])
    (source,) = opened(path)
    *good, bad = items(source)
    assert isinstance(bad, BadRecord)
    assert "ends too early" in bad.reason
    assert len(good) > 10_000
    assert [int(item.value["n"]) for item in good] == list(range(len(good)))


def test_damage_gives_what_came_before_it(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(lines(1000)))
    whole[-6] ^= 0xFF  # the checksum
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(whole)
    *good, bad = items(opened(path)[0])
    assert len(good) == 1000
    assert "is damaged" in bad.reason
    path.write_bytes(gzip.compress(lines(10)) + b"\0" * 20)
    assert len(values(path)) == 10
    path.write_bytes(gzip.compress(lines(10)) + b"rubbish")
    assert "followed by other bytes" in items(opened(path)[0])[-1].reason
    broken = bytearray(zstd.compress(lines(60_000)))
    broken[len(broken) // 2 : len(broken) // 2 + 40] = b"\xff" * 40
    path.write_bytes(broken)
    assert isinstance(items(opened(path)[0])[-1], BadRecord)


@given(st.binary(min_size=1, max_size=2000), st.integers(0, 2000))
@settings(max_examples=draws(80), deadline=None)
def test_unpacking_gives_back_any_bytes_up_to_any_cut(data: bytes, cut: int) -> None:
    from scalesync.sources.bytestream import ByteStream, Progress  # noqa: PLC0415

    for pack in (gzip.compress, zstd.compress):
        packed = pack(data)
        stream = ByteStream(io.BytesIO(packed), Progress())
        assert b"".join(stream.unpacked()) == data
        assert stream.damage is None
        if 4 <= cut < len(packed):
            stream = ByteStream(io.BytesIO(packed[:cut]), Progress())
            assert data.startswith(b"".join(stream.unpacked()))
            assert stream.damage is not None


# --- standard input and pipes --------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":"1"}\n',
        b'[{"a":"1"}]',
        b"a,b\n1,2\n",
        gzip.compress(mtime=0, data=b'{"a":"1"}\n'),
        zstd.compress(b'[{"a":"1"}]'),
    ],
)
def test_standard_input_of_every_kind(data: bytes) -> None:
    (source,) = opened("-", stdin=data)
    assert (source.name, source.size, source.mtime_ns) == ("-", None, None)
    assert [item.value["a"] for item in items(source)] == ["1"]
    with pytest.raises(SourceError, match="only once"):
        items(source)


def test_standard_input_twice_and_empty() -> None:
    with pytest.raises(SourceError, match="only once"):
        opened("-", "-", stdin=b"{}")
    assert items(opened("-", stdin=b"")[0]) == []


def test_a_slow_pipe_is_not_waited_for() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as stream, os.fdopen(writer, "wb", buffering=0) as out:
        out.write(b'{"a":1}\n')
        (source,) = open_sources(["-"], ReadOptions(), stdin=stream)
        out.write(b'{"a":2}\n')
        out.close()
        assert [item.value for item in items(source)] == [{"a": 1}, {"a": 2}]
        assert not stream.closed


def test_a_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    feeder = threading.Thread(target=path.write_bytes, args=(b'{"a":1}\n{"a":2}\n',))
    feeder.start()
    (source,) = opened(path)
    assert [item.value for item in items(source)] == [{"a": 1}, {"a": 2}]
    assert source.fingerprint()["size"] is None
    feeder.join()


# --- folders -------------------------------------------------------------------------------------


def test_a_folder_of_files(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    (folder / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "x.json").write_text("{}")
    (folder / ".hidden.json").write_text("{}")
    (folder / "01.json").write_text('{"n": 1}')
    (folder / "02.json").write_text('[{"n": 2}, {"n": 3}, 4]')
    (folder / "03.json").write_text('{"n": ')
    (folder / "04.json").write_bytes(PNG)
    (folder / "05.json").write_text("")
    (folder / "06.json.gz").write_bytes(gzip.compress(b'{\n"n": 6}'))
    (folder / "deep" / "a.pcd").write_bytes(PNG)
    (folder / "deep" / "b.ply.gz").write_bytes(PNG)
    (folder / "rows.jsonl").write_text('{"r":1}\n{"r":2\n')
    records, described = opened(folder)
    assert records.name == f"{folder}/rows.jsonl"
    assert [(type(item).__name__, item.line) for item in items(records)] == [("SourceRecord", 1), ("BadRecord", 2)]
    found = items(described)
    assert described.name == str(folder)
    assert [item.line for item in found] == list(range(1, 11))
    assert [item.value.get("n") for item in found if isinstance(item, SourceRecord)] == [1, 2, 3, 6, None, None]
    bad = [item.reason for item in found if isinstance(item, BadRecord)]
    assert bad[0] == "file 02.json, element 3: is a number, not an object (line 1)"
    assert bad[1].startswith("file 03.json, element 1: ")
    assert "04.json: is a PNG image" in bad[2]
    assert bad[3] == "file 05.json: is empty"
    about = {"name": "b.ply.gz", "stem": "b", "path": "deep/b.ply.gz", "size": len(PNG)}
    assert found[-1][1:3] == ({}, about)
    assert found[0][1:3] == ({"n": 1}, {"name": "01.json", "stem": "01", "path": "01.json", "size": 8})
    before = described.fingerprint()
    (folder / "07.json").write_text("{}")
    assert opened(folder)[-1].fingerprint() != before


def test_a_folder_of_parts_without_endings(tmp_path: Path) -> None:
    (tmp_path / "part-0").write_text('{"a":1}\n')
    (tmp_path / "part-1").write_text('{"a":2}\n')
    assert values(tmp_path, format="jsonl") == [{"a": 1}, {"a": 2}]


def test_a_glob_of_folders(tmp_path: Path) -> None:
    for name in ("d2", "d1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(PNG)
    assert [source.name for source in opened(tmp_path / "d*")] == [str(tmp_path / "d1"), str(tmp_path / "d2")]


# --- URLs ----------------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_long_file_of_a_server_that_gives_no_parts_is_read_whole(tmp_path: Path, site: str) -> None:
    pytest.importorskip("fsspec")
    (tmp_path / "a.jsonl").write_bytes(b"".join(b'{"n":%d,"t":"%s"}\n' % (n, b"x" * 1000) for n in range(4_000)))
    (source,) = opened(f"{site}/a.jsonl")
    assert [record.value["n"] for record in items(source)] == list(range(4_000))


def test_long_parquet_of_a_server_that_gives_no_parts_is_read_whole(tmp_path: Path, site: str) -> None:
    pytest.importorskip("fsspec")
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = {"n": list(range(3_000)), "t": [random.Random(n).randbytes(500).hex() for n in range(3_000)]}
    parquet.write_table(pyarrow.table(rows), tmp_path / "a.parquet", compression="none")
    assert (tmp_path / "a.parquet").stat().st_size > 2 * BLOCK
    (source,) = opened(f"{site}/a.parquet")
    assert [record.value for record in items(source)] == [{"n": n, "t": t} for n, t in zip(*rows.values(), strict=True)]


def test_a_copy_that_does_not_fit_is_named_with_the_way_out(tmp_path: Path, site: str, monkeypatch: Any) -> None:
    pytest.importorskip("fsspec")
    (tmp_path / "a.jsonl").write_bytes(lines(60_000))

    class Full(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    (source,) = opened(f"{site}/a.jsonl")
    with pytest.raises(SourceError, match=r"does not fit into .*; set TMPDIR"):
        items(source)


def test_a_url_without_its_secrets(tmp_path: Path, site: str) -> None:
    pytest.importorskip("fsspec")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines(100)))
    (source,) = opened(f"{site}/a.jsonl.gz?X-Amz-Signature=SECRET")
    assert len(items(source)) == 100
    assert source.name == f"{site}/a.jsonl.gz"
    assert "SECRET" not in str(source.fingerprint())
    with pytest.raises(SourceError) as caught:
        opened(f"{site}/none.jsonl?sig=SECRET".replace("//", "//user:SECRET@"))
    assert "no such file" in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "shown", "kept"),
    [
        (
            "https://user:pw@h.test:8/a@b.jsonl?sig=S#f",
            "https://h.test:8/a@b.jsonl",
            "https://h.test:8/a@b.jsonl?sig=S#f",
        ),
        ("https://TOKEN@h.test", "https://h.test", "https://h.test"),
        ("s3://key:secret@bucket/a*.jsonl", "s3://bucket/a*.jsonl", "s3://bucket/a*.jsonl"),
        ("abfss://box@account.test/a.csv", "abfss://box@account.test/a.csv", "abfss://box@account.test/a.csv"),
        ("file:///data/a?.jsonl", "file:///data/a?.jsonl", "file:///data/a?.jsonl"),
        ("data/user:x@a?.jsonl", "data/user:x@a?.jsonl", "data/user:x@a?.jsonl"),
    ],
)
def test_what_is_shown_and_kept_of_a_source(spec: str, shown: str, kept: str) -> None:
    assert public_name(spec) == shown
    assert without_credentials(spec) == kept


def test_globs_of_a_store() -> None:
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    try:
        for name in ("b", "a"):
            store.pipe(f"/scalesync-test/{name}.jsonl", b'{"a":"%s"}\n' % name.encode())
        assert values("memory://scalesync-test/*.jsonl") == [{"a": "a"}, {"a": "b"}]
        with pytest.raises(SourceError, match="matches no file"):
            opened("memory://scalesync-test/*.csv")
    finally:
        store.rm("/scalesync-test", recursive=True)


def test_schemes_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="not a known kind of source"):
        opened("klingon://x/y.jsonl")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ConfigError, match=r'pip install "scalesync\[cloud\]"') as caught:
        opened("s3://bucket/x.jsonl?key=SECRET")
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "there is no such file"),
        (410, "there is no such file"),
        (403, "access is denied (status 403): a signed link may have expired"),
        (401, "access is denied (status 401): a signed link may have expired"),
        (400, "cannot be read (status 400; some stores answer so when a signed link has expired)"),
        (500, "cannot be read (status 500)"),
        (302, "cannot be read (TooManyRedirects)"),
        (None, "cannot be read (its host cannot be reached)"),
    ],
)
def test_what_a_web_server_answers_is_reported_as_what_it_is(status: int | None, words: str) -> None:
    pytest.importorskip("fsspec")

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert status is not None
            self.send_response(status)
            self.send_header("Location", self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        address = f"http://127.0.0.1:{server.server_port}/a.jsonl"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        if status is None:
            server.server_close()
        else:
            thread.start()
        with pytest.raises(SourceError) as caught:
            opened(f"{address}?X-Amz-Signature=SECRET")
        if status is not None:
            server.shutdown()
            thread.join()
    assert str(caught.value).startswith(f"{address}: {words}")
    assert "SECRET" not in str(caught.value)


# --- small .json files, which are told at once where they are one object -------------------------------

LONG = [{"n": number} for number in range(10)]
SMALL_FILES = {
    "object": b'{"a": 1}',
    "line": b'{"a": 1}\n',
    "dos line": b'{"a": 1}\r\n\r\n',
    "behind blank lines": b'\n\n{"a": 1}\n',
    "behind blanks": b'  {"a": 1}',
    "pretty": b'{\n  "a": 1\n}\n',
    "lines": b'{"a": 1}\n{"a": 2}\n',
    "objects on one line": b'{"a": 1} {"a": 2}',
    "array": b'[{"a": 1}, 2]',
    "a list that may be the records": orjson.dumps({"items": LONG}),
    "a short list": orjson.dumps({"items": LONG[:9]}),
    "a list with others": orjson.dumps({"items": [*LONG, 1]}),
    "a name twice": b'{"a": 1, "a": 2}',
    "a long number": b'{"a": 123456789012345678901234567890}',
    "too long a number": b'{"a": ' + b"9" * 5000 + b"}",
    "infinity": b'{"a": 1e999}',
    "NaN": b'{"a": NaN}',
    "cut off": b'{"a": ',
    "no UTF-8": b'{"a": "\xe9"}',
    "a mark": b'\xef\xbb\xbf{"a": 1}',
    "a DOS end": b'{"a": 1}\x1a',
    "zeros": b'{"a": 1}' + bytes(40),
    "deep": b'{"a":' * 300 + b"1" + b"}" * 300,
    "empty": b"",
    "blank": b" \n",
    "a number": b"1",
    "packed": gzip.compress(b'{"a": 1}'),
    "large": orjson.dumps({"a": "x" * 70_000}),
}


@pytest.mark.parametrize(
    "options", [{}, {"format": "json"}, {"format": "jsonl"}, {"records": "items"}, {"skip_rows": 2}]
)
@pytest.mark.parametrize("data", SMALL_FILES.values(), ids=SMALL_FILES)
def test_a_small_file_reads_as_any_other(data, options, tmp_path, monkeypatch):
    path = tmp_path / "one.json"
    path.write_bytes(data)
    told = []
    for head in (sources.HEAD, -1):
        monkeypatch.setattr(sources, "HEAD", head)
        try:
            (source,) = opened(path, **options)
            blocks = list(source.blocks())
            found = [item for block in blocks for item in block.records]
            told.append((found, source.notes, source.fingerprint(), [block.consumed for block in blocks]))
        except SourceError as error:
            told.append(str(error))
    assert told[0] == told[1]


def test_a_small_file_that_changed_since_is_read_as_it_is_now(tmp_path):
    path = tmp_path / "one.json"
    for data, wanted in ((b'[{"b": 1}, {"b": 2}]', 2), (b'{"b": 1}\n' * 3, 3), (b"", 0), (b'{"b": ', 1)):
        path.write_bytes(b'{"a": 1}')
        (source,) = opened(path)
        path.write_bytes(data)
        assert len(items(source)) == wanted
        assert source.has_changed()
