"""No space left, at any write: one sentence, exit code 3, and the same command resumes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from scalesync.errors import DiskFull, StopRun
from scalesync.http.download import Downloader
from tests.conftest import letter
from tests.network.test_never_hangs import OpenGate

RECORDS = 60
FAT = "x" * 6000
VIDEO = {
    "attachment": "https://x.test/a.mp4",
    "attachment_type": "video",
    "geometries": {"box": {"objects_to_annotate": ["p"]}},
}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 1 MB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


async def ending_of(run) -> tuple[int, str]:
    try:
        summary = await run
    except StopRun as stop:
        return stop.exit_code, str(stop)
    return summary.exit_code, summary.message


def fill(folder: Path, leave: int) -> Path:
    """A file that takes all but `leave` bytes of the disk."""
    ballast = folder / "ballast"
    room = os.statvfs(folder)
    ballast.write_bytes(b"\0" * max(0, room.f_bavail * room.f_frsize - leave))
    return ballast


@pytest.mark.parametrize("leave", [0, 4096, 90_000, 200_000])
async def test_an_import_whose_ledger_finds_no_room_stops_and_continues(
    leave, small_disk, make_sandbox, hurried, load, write_records, tmp_path
):
    sandbox = await make_sandbox()
    hurried()
    source = write_records([letter(n) | {"unique_id": f"{n:03d}" + "k" * 1500} for n in range(RECORDS)])
    ballast = fill(small_disk, leave)
    code, words = await ending_of(load(sandbox.base_url, source, ledger=small_disk / "ledger.db"))
    assert code == 3
    assert "disk" in words
    assert "small" in words
    ballast.unlink()
    summary = await load(sandbox.base_url, source, ledger=small_disk / "ledger.db")
    assert (summary.exit_code, summary.failed, summary.created) == (0, 0, RECORDS)
    assert len(list(sandbox.store.world("live").documents())) == RECORDS


@pytest.mark.parametrize("leave", [0, 20_000, 200_000])
async def test_an_export_that_finds_no_room_stops_and_continues(
    leave, small_disk, make_sandbox, hurried, load, save, write_records, tmp_path
):
    sandbox = await make_sandbox()
    hurried()
    await load(sandbox.base_url, write_records([letter(n, attachment=f"{n}{FAT}") for n in range(RECORDS)]))
    ballast = fill(small_disk, leave)
    code, words = await ending_of(save(sandbox.base_url, "small/out", page_size=10))
    assert code == 3
    assert "no space left" in words
    ballast.unlink()
    summary = await save(sandbox.base_url, "small/out", page_size=10)
    assert (summary.exit_code, summary.tasks) == (0, RECORDS)
    manifest = json.loads((small_disk / "out" / "manifest.json").read_bytes())
    assert sum(entry["rows"] for entry in manifest["files"]) == RECORDS
    assert not list((small_disk / "out").glob(".part-*"))


async def test_result_files_that_find_no_room_stop_the_export_and_it_continues(
    small_disk, make_sandbox, hurried, save, tmp_path
):
    sandbox = await make_sandbox(result_bytes=60_000)
    hurried()
    sandbox.store.world("test").add_project("v", "videoannotation")
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer test_k"}) as session:
        for number in range(12):
            task = VIDEO | {"unique_id": f"v{number}", "project": "v"}
            async with session.post(f"{sandbox.base_url}/task/videoannotation", json=task) as reply:
                assert reply.status == 200
    wanted = {"page_size": 4, "download_responses": True, "key": "test_k"}
    ballast = fill(small_disk, 200_000)
    code, words = await ending_of(save(sandbox.base_url, "small/out", **wanted))
    assert code == 3
    assert "no space left" in words
    ballast.unlink()
    summary = await save(sandbox.base_url, "small/out", **wanted)
    assert (summary.exit_code, summary.tasks, summary.responses_failed) == (0, 12, 0)
    stored = [path for path in (small_disk / "out" / "responses").rglob("*") if path.is_file()]
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() == path.stem for path in stored)


class Failing:
    """Stands for a function of `os`; the call number `at` and all later ones find no space, until mended."""

    def __init__(self, name: str, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = getattr(os, name)
        self._left = at
        self._lock = threading.Lock()
        self.mended = False
        monkeypatch.setattr(os, name, self)

    def __call__(self, *args: object, **kwargs: object) -> object:
        with self._lock:
            self._left -= 1
        if self._left < 0 and not self.mended:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._real(*args, **kwargs)


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize("name", ["fsync", "replace", "rename"])
async def test_a_step_of_an_export_that_finds_no_room_leaves_nothing_that_counts(
    name, at, make_sandbox, hurried, load, save, write_records, monkeypatch, tmp_path
):
    sandbox = await make_sandbox()
    hurried()
    await load(sandbox.base_url, write_records(20))
    broken = Failing(name, at, monkeypatch)
    code, words = await ending_of(save(sandbox.base_url, page_size=10))
    manifest = tmp_path / "out" / "manifest.json"
    assert (code, manifest.exists()) in {(0, True), (3, False), (3, True)}
    if code:
        assert "no space left" in words
    broken.mended = True
    summary = await save(sandbox.base_url, page_size=10)
    assert (summary.exit_code, summary.tasks) == (0, 20)
    rows = [entry["rows"] for entry in json.loads(manifest.read_bytes())["files"]]
    assert sum(rows) == 20


async def test_a_result_file_that_cannot_be_stored_is_a_full_disk(make_sandbox, monkeypatch, tmp_path):
    sandbox = await make_sandbox()
    Failing("fsync", 0, monkeypatch)
    async with Downloader(tmp_path, OpenGate()) as downloader:
        with pytest.raises(DiskFull, match="no space left"):
            await downloader.fetch(f"{sandbox.origin}/_sandbox/stats")
    assert not list(tmp_path.glob(".part-*"))
