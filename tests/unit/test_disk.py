"""Holding a folder: one run at a time, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scalesync.disk import holding_folder
from scalesync.errors import JobRunning

HOLDER = """
import sys
from pathlib import Path
from scalesync.disk import holding_folder
with holding_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_held_once_and_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with (
            holding_folder(tmp_path),
            pytest.raises(JobRunning, match="another run is writing there"),
            holding_folder(tmp_path),
        ):
            pass
    with holding_folder(tmp_path), holding_folder(tmp_path / "inner"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_holder_leaves_the_folder_free(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(JobRunning), holding_folder(tmp_path):
            pass
        holder.kill()
    with holding_folder(tmp_path):
        pass


def test_what_was_made_goes_again_when_it_stays_empty(tmp_path: Path) -> None:
    with holding_folder(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not (tmp_path / "a").exists()
    with holding_folder(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "file").touch()
    assert (tmp_path / "a" / "b" / "file").exists()


def test_what_cannot_be_a_folder_is_left_to_whoever_writes_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with holding_folder(tmp_path / "file"), holding_folder(tmp_path / "file" / "inner"):
        pass
    assert (tmp_path / "file").is_file()
