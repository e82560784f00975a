"""The manifest: the one commit point, and whose folder it is."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scalesync.errors import ConfigError, DiskFull
from scalesync.outputs.manifest import FileEntry, Manifest, check_folder, load, remove_orphans

ENTRY = FileEntry("tasks-00001.jsonl", 2, 10, "ab" * 32)


def manifest(**more: Any) -> Manifest:
    return Manifest(job="nightly", target="https://x/v1 (live)", mode="live", files=[ENTRY], **more)


def test_a_manifest_is_read_back_as_it_was_committed(tmp_path: Path) -> None:
    written = manifest(
        filters={"project": "kätzchen", "n": 2**70},
        watermark="2026-11-20T00:00:00.000Z",
        responses={"files": [{"path": "responses/ab", "task_id": "t", "updated_at": "x"}]},
        extra={"left": 3},
    )
    written.commit(tmp_path)
    assert load(tmp_path) == written
    text = (tmp_path / "manifest.json").read_text(encoding="utf-8")
    value = json.loads(text)
    assert list(value)[:4] == ["files", "filters", "watermark", "version"]
    assert value["files"] == [ENTRY.to_json()]
    assert text.startswith('{\n  "files": [')
    assert written.paths() == {"tasks-00001.jsonl", "responses/ab"}
    assert os.listdir(tmp_path) == ["manifest.json"]


def test_the_commit_is_synced_renamed_and_synced_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def traced_fsync(handle: int) -> None:
        calls.append("fsync " + os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))
        fsync(handle)

    def traced_replace(old: Path, new: Path) -> None:
        calls.append(f"replace {old.name} {new.name}")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", traced_fsync)
    monkeypatch.setattr(os, "replace", traced_replace)
    manifest().commit(tmp_path)
    part = ".part-manifest.json"
    assert calls == [f"fsync {part}", f"replace {part} manifest.json", f"fsync {tmp_path.name}"]


def test_a_commit_that_fails_leaves_the_manifest_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest().commit(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()

    def fsync(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(DiskFull, match="no space left"):
        manifest(watermark="later").commit(tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == before
    assert os.listdir(tmp_path) == ["manifest.json"]


def test_no_manifest_is_none(tmp_path: Path) -> None:
    assert load(tmp_path) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"version": 2, "files": [], "job": "a", "target": "b", "mode": "c"}',
        '{"version": 1, "files": [{"path": 1}], "job": "a", "target": "b", "mode": "c"}',
        '{"version": 1, "files": [], "job": 1, "target": "b", "mode": "c"}',
        '{"version": 1, "files": [], "target": "b", "mode": "c"}',
        '{"version": 1, "files": [], "job": "a", "target": "b", "mode": "c", "responses": []}',
    ],
)
def test_a_broken_manifest_is_reported_in_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ConfigError, match=r"manifest\.json: .*choose another --out"):
        load(tmp_path)


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert check_folder(folder, "nightly", begun=False) is None
    assert folder.stat().st_mode & 0o777 == 0o755 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_folder_of_the_job_is_accepted_with_leftovers_of_a_kill(tmp_path: Path) -> None:
    manifest().commit(tmp_path)
    names = ["tasks-00001.jsonl", ".part-tasks-00009.jsonl", "tasks-00002.jsonl.zst", "left-00001.jsonl"]
    for name in [*names, "tasks-20261120T000000Z-00001.parquet"]:
        (tmp_path / name).touch()
    (tmp_path / "responses").mkdir()
    assert check_folder(tmp_path, "nightly") == manifest()


@pytest.mark.parametrize(
    "name", ["notes.txt", "tasks.jsonl", "tasks-00001.csv", "thumbs.jsonl", "lost+found.csv", "other-00001.jsonl"]
)
def test_a_foreign_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ConfigError, match="is not from this export; move it away") as caught:
        check_folder(tmp_path, "nightly")
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        *(".DS_Store", "Thumbs.db", "desktop.ini", ".nfs000000000000abcd000001", "._tasks-00001.jsonl", "Icon\r"),
        *(".ipynb_checkpoints/", "@eaDir/", "lost+found/", ".Trash-1000/", "System Volume Information/", "#recycle/"),
        *("tasks-00001.jsonl~", "#tasks.csv#", "tasks.jsonl:Zone.Identifier", "tasks.jsonl.crdownload"),
        *(".~lock.tasks.csv#", "~$tasks.xlsx", ".hidden", "__MACOSX/", ".fseventsd/"),
    ],
)
@pytest.mark.parametrize("begun", [True, False])
def test_what_a_system_leaves_in_a_folder_is_nobodys_data(tmp_path: Path, name: str, begun: bool) -> None:
    path = tmp_path / name.rstrip("/")
    path.mkdir() if name.endswith("/") else path.touch()
    assert check_folder(tmp_path, "nightly", begun=begun) is None
    manifest().commit(tmp_path)
    assert check_folder(tmp_path, "nightly", begun=begun) == manifest()
    assert remove_orphans(tmp_path, set()) == []
    assert path.exists()


@pytest.mark.parametrize("name", ["/proc/scalesync-out", "/dev/null/out", "a" * 300, "/sys/scalesync-out"])
def test_a_folder_that_cannot_be_made_is_wrong_usage(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="choose another --out"):
        check_folder(tmp_path / name, "nightly", begun=False)


def test_a_folder_that_cannot_be_written_to_is_reported_before_anything_else(plain_user: Path) -> None:
    folder = plain_user / "out"
    folder.mkdir(mode=0o555)
    with pytest.raises(ConfigError, match="not allowed to write there; change its permissions or choose another"):
        check_folder(folder, "nightly", begun=False)


def test_foreign_folders_and_other_jobs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(ConfigError, match="is not from this export"):
        check_folder(tmp_path, "nightly")
    (tmp_path / "sub").rmdir()
    manifest().commit(tmp_path)
    with pytest.raises(ConfigError, match='holds the export of job "nightly", not of "weekly"'):
        check_folder(tmp_path, "weekly")
    with pytest.raises(ConfigError, match="is not a folder"):
        check_folder(tmp_path / "manifest.json", "nightly")


def test_data_without_a_manifest_is_not_ours_before_the_job_began(tmp_path: Path) -> None:
    (tmp_path / "tasks-00001.jsonl").touch()
    assert check_folder(tmp_path, "nightly") is None
    with pytest.raises(ConfigError, match="is not from this export"):
        check_folder(tmp_path, "nightly", begun=False)


def test_orphans_are_removed_and_nothing_else(tmp_path: Path) -> None:
    manifest().commit(tmp_path)
    (tmp_path / "responses").mkdir()
    names = ["tasks-00001.jsonl", "tasks-00002.jsonl", "tasks-00003.jsonl", "left-00001.jsonl.gz", "notes.txt"]
    for name in [*names, "responses/ab"]:
        (tmp_path / name).touch()
    assert remove_orphans(tmp_path, {"tasks-00002.jsonl"}) == ["left-00001.jsonl.gz", "tasks-00003.jsonl"]
    left = {"manifest.json", "notes.txt", "responses", "tasks-00001.jsonl", "tasks-00002.jsonl"}
    assert set(os.listdir(tmp_path)) == left
    assert os.listdir(tmp_path / "responses") == ["ab"]


def test_orphans_in_the_folder_of_the_data_files_are_removed_and_an_empty_folder_with_them(tmp_path: Path) -> None:
    manifest().commit(tmp_path)
    (tmp_path / "tasks").mkdir()
    for number in (1, 2, 3):
        (tmp_path / "tasks" / f"tasks-0000{number}.jsonl").touch()
    assert remove_orphans(tmp_path, {"tasks/tasks-00002.jsonl"}) == [
        "tasks/tasks-00001.jsonl",
        "tasks/tasks-00003.jsonl",
    ]
    assert os.listdir(tmp_path / "tasks") == ["tasks-00002.jsonl"]
    assert remove_orphans(tmp_path, set()) == ["tasks/tasks-00002.jsonl"]
    assert not (tmp_path / "tasks").exists()


@pytest.mark.parametrize("name", ["notes.txt", "tasks.jsonl", "deeper/tasks-00001.jsonl", "tasks/tasks-00001.jsonl"])
@pytest.mark.parametrize("listed", [True, False], ids=["beside a listed file", "alone"])
def test_a_foreign_file_in_the_folder_of_the_data_files_is_named(listed: bool, name: str, tmp_path: Path) -> None:
    place = tmp_path / "tasks" / name
    place.parent.mkdir(parents=True)
    place.touch()
    made = manifest()
    if listed:
        made.files = [replace(ENTRY, path=f"tasks/{ENTRY.path}")]
        (tmp_path / "tasks" / ENTRY.path).touch()
    made.commit(tmp_path)
    with pytest.raises(ConfigError, match="is not from this export; move it away") as caught:
        check_folder(tmp_path, "nightly")
    assert str(tmp_path / "tasks" / name.partition("/")[0]) in str(caught.value)
    assert place.exists()
