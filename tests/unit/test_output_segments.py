"""Segments: bytes kept, hashed, durable in the right order, nothing half written."""

from __future__ import annotations

import builtins
import errno
import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.errors import ConfigError, DiskFull, StopRun
from scalesync.outputs import writer as segments
from scalesync.outputs.encoders import parquet
from scalesync.outputs.encoders.registry import FORMATS
from scalesync.outputs.fields import FieldPicker
from scalesync.outputs.manifest import FileEntry
from scalesync.outputs.writer import Placing, SegmentWriter, clean_parts
from tests.draws import draws

ODD = [
    b'{"b":1,"a":340282366920938463463374607431768211456}',
    b'{"x":1.0,"y":1e5,"x":2}',
    rb'{"u":"\u00e9\ud83d\ude00 \ud800 \/ \n"}',
    '{"raw":"é😀\u2028 x"}'.encode(),
    b' { "spaced" : [ 1 , 2 ] } ',
]


def read(folder: Path, entry: FileEntry) -> bytes:
    data = (folder / entry.path).read_bytes()
    if entry.path.endswith(".gz"):
        return gzip.decompress(data)
    return zstd.decompress(data) if entry.path.endswith(".zst") else data


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_documents_are_kept_byte_for_byte(tmp_path: Path, kind: str) -> None:
    writer = SegmentWriter(tmp_path, "tasks", kind)
    writer.write(ODD[:2])
    writer.write(ODD[2:])
    writer.write([])
    assert os.listdir(tmp_path) == [f".part-tasks-00001.{kind}"]
    entry = writer.finish()
    assert entry is not None
    data = (tmp_path / entry.path).read_bytes()
    assert read(tmp_path, entry) == b"\n".join(ODD) + b"\n"
    assert entry == FileEntry(f"tasks-00001.{kind}", len(ODD), len(data), hashlib.sha256(data).hexdigest())
    assert os.listdir(tmp_path) == [entry.path]


def test_pretty_printed_documents_become_one_line_and_stay_the_same(tmp_path: Path) -> None:
    value = {"a": [1, {"b": "line\nbreak\r\n"}], "c": 2**70}
    document = json.dumps(value, indent=4).replace("\n", "\r\n").encode()
    writer = SegmentWriter(tmp_path, "tasks")
    writer.write([document, b"{}\n"])
    entry = writer.finish()
    assert entry is not None
    lines = read(tmp_path, entry).splitlines()
    assert lines == [document.replace(b"\r\n", b""), b"{}"]
    assert json.loads(lines[0]) == value


@settings(max_examples=draws(30), deadline=None)
@given(
    st.lists(
        st.dictionaries(st.text(), st.text() | st.integers() | st.floats(allow_nan=False), max_size=4), max_size=8
    ),
    st.sampled_from([None, 2]),
    st.booleans(),
)
def test_any_documents_are_found_again(
    tmp_path_factory: pytest.TempPathFactory, values: list[Any], indent: int | None, ascii_only: bool
) -> None:
    folder = tmp_path_factory.mktemp("out")
    writer = SegmentWriter(folder, "tasks")
    writer.write([json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode() for value in values])
    entry = writer.finish()
    assert (entry is None) == (not values)
    if entry is not None:
        assert [json.loads(line) for line in read(folder, entry).split(b"\n")[:-1]] == values


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_the_same_documents_give_the_same_file(tmp_path: Path, kind: str) -> None:
    hashes = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        writer = SegmentWriter(tmp_path / name, "tasks", kind)
        writer.write(ODD)
        entry = writer.finish()
        assert entry is not None
        hashes.add(entry.sha256)
    assert len(hashes) == 1


def test_files_are_numbered_and_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "tasks-00003.jsonl").write_bytes(b"listed\n")
    writer = SegmentWriter(tmp_path, "tasks", max_bytes=10, placing=Placing(2, "cats"))
    names = []
    for _ in range(2):
        assert not writer.full
        writer.write([b'{"a":12345}'])
        assert writer.full
        assert writer.rows == 1
        entry = writer.finish()
        assert entry is not None
        assert entry.route == "cats"
        names.append(entry.path)
    assert names == ["tasks-00002.jsonl", "tasks-00004.jsonl"]
    assert (tmp_path / "tasks-00003.jsonl").read_bytes() == b"listed\n"
    assert writer.finish() is None


def test_the_file_is_synced_before_its_rename_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def traced_fsync(handle: int) -> None:
        calls.append("fsync " + os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))
        fsync(handle)

    def traced_rename(old: Path, new: Path) -> None:
        calls.append(f"rename {Path(old).name} {Path(new).name}")
        rename(old, new)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(os, "rename", traced_rename)
    for kind in FORMATS:
        calls.clear()
        writer = SegmentWriter(tmp_path, "tasks", kind)
        writer.write([b"{}"])
        assert writer.finish() is not None
        name = f"tasks-00001.{kind}"
        assert calls == [f"fsync .part-{name}", f"rename .part-{name} {name}", f"fsync {tmp_path.name}"]


class Full:
    """A file on a disk without space."""

    def __init__(self, file: Any, code: int) -> None:
        self._file, self._code = file, code

    def write(self, data: bytes) -> int:
        raise OSError(self._code, os.strerror(self._code))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("code", "error", "text"),
    [
        (errno.ENOSPC, DiskFull, "no space left; free some, then run the same command again"),
        (errno.EDQUOT, DiskFull, "no space left"),
        (errno.EROFS, ConfigError, "not allowed to write there"),
        (errno.EIO, StopRun, "cannot write: Input/output error"),
    ],
)
def test_a_write_that_fails_is_one_clear_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, code: int, error: type[Exception], text: str
) -> None:
    real_open = builtins.open

    def opened(path: Path, mode: str = "r", **more: Any) -> Any:
        file = real_open(path, mode, **more)
        return Full(file, code) if ".part-" in str(path) else file

    monkeypatch.setattr(segments, "open", opened, raising=False)
    writer = SegmentWriter(tmp_path, "tasks", kind)

    def use() -> None:
        writer.write([b'{"a":1}'])
        writer.finish()

    with pytest.raises(error, match=text) as caught:
        use()
    assert str(tmp_path) in str(caught.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("kind", FORMATS)
def test_a_disk_that_is_really_full_is_reported(tmp_path: Path, kind: str) -> None:
    (tmp_path / f".part-tasks-00001.{kind}").symlink_to("/dev/full")
    writer = SegmentWriter(tmp_path, "tasks", kind)

    def use() -> None:
        for _ in range(100):
            writer.write([os.urandom(100_000).hex().encode()])
        writer.finish()

    with pytest.raises(DiskFull, match="no space left"):
        use()
    assert os.listdir(tmp_path) == []


def test_a_sync_that_fails_leaves_nothing_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", fsync)
    writer = SegmentWriter(tmp_path, "tasks")
    writer.write([b"{}"])
    with pytest.raises(DiskFull):
        writer.finish()
    assert os.listdir(tmp_path) == []


def test_aborted_and_killed_runs_leave_no_hidden_files(tmp_path: Path) -> None:
    for kind in FORMATS:
        writer = SegmentWriter(tmp_path, "tasks", kind)
        writer.write([b"{}"])
        writer.abort()
        writer.abort()
        assert os.listdir(tmp_path) == []
    (tmp_path / ".part-tasks-00001.jsonl").write_bytes(b"{")
    (tmp_path / "tasks-00001.jsonl").write_bytes(b"{}\n")
    assert clean_parts(tmp_path) == 1
    assert os.listdir(tmp_path) == ["tasks-00001.jsonl"]
    assert clean_parts(tmp_path / "missing") == 0


def test_fields_are_cut_before_they_are_written(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, "tasks", fields=FieldPicker("task_id,params.n"))
    writer.write([b'{"x": 1, "params": {"n": [1,\n 2]}, "task_id": "t"}'])
    entry = writer.finish()
    assert entry is not None
    assert read(tmp_path, entry) == b'{"task_id":"t","params":{"n":[1, 2]}}\n'


def test_parquet_has_typed_columns_and_the_document_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 200)
    first = (
        b'{"task_id":"t\\u00e9","unique_id":null,"type":"imageannotation","status":"completed","is_test":true,'
        b'"project":{"id":1},"params": {"n": 340282366920938463463374607431768211456},"batch":"\\ud800"}'
    )
    writer = SegmentWriter(tmp_path, "tasks", "parquet")
    writer.write([first, b'{"task_id":"u"}', b"[1]"])
    entry = writer.finish()
    assert entry is not None
    path = tmp_path / entry.path
    assert entry.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (entry.rows, entry.bytes) == (3, path.stat().st_size)
    table = pq.read_table(path)
    assert pq.ParquetFile(path).num_row_groups == 2
    assert table.column_names[:4] == ["task_id", "unique_id", "type", "status"]
    row = table.to_pylist()[0]
    assert row["task"].encode() == first
    assert row["task_id"] == "té"
    assert (row["unique_id"], row["is_test"], row["response"]) == (None, True, None)
    assert (row["project"], row["batch"]) == ('{"id":1}', '"\\ud800"')
    assert row["params"] == '{"n": 340282366920938463463374607431768211456}'
    assert table.column("task").to_pylist()[2] == "[1]"


def test_a_missing_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(parquet, "import_module", missing)
    with pytest.raises(ConfigError, match=r'pip install "scalesync\[parquet\]"'):
        SegmentWriter(tmp_path, "tasks", "parquet")


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not an output format"):
        SegmentWriter(tmp_path, "tasks", "csv")  # type: ignore[arg-type]


def test_entries_go_to_json_and_back() -> None:
    for entry in (FileEntry("a", 1, 2, "f0"), FileEntry("a", 1, 2, "f0", "cats")):
        assert FileEntry.from_json(json.loads(json.dumps(entry.to_json()))) == entry
    with pytest.raises(ValueError, match="rows"):
        FileEntry.from_json({"path": "a"})
