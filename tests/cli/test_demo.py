"""`scalesync demo`, with fewer records than it takes by itself."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

from .conftest import PROGRAM, Run, environment

RECORDS = 400


def test_the_counts_add_up(run: Run, tmp_path: Path) -> None:
    ended = run("demo", "--records", RECORDS, "--json", "--quiet", key=None)
    assert ended.code == 0, ended.err
    report = ended.json
    assert report["records"] == report["created"] == report["exported"] == report["on_server"] == RECORDS
    assert sum(report["answers"].values()) == RECORDS
    assert (report["repeated"], report["missing"]) == (0, 0)
    assert RECORDS // 2 <= report["killed_at"] < RECORDS
    assert 0 <= report["sent_again"] <= RECORDS
    home = tmp_path / report["folder"]
    assert {"docstrings.jsonl", "template.toml", "scalesync.db", "annotations"} <= {p.name for p in home.iterdir()}
    assert json.loads((home / "annotations" / "manifest.json").read_text("utf-8"))["files"]


def test_a_folder_that_holds_something_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    ended = run("demo", "--records", RECORDS, "--folder", "mine")
    assert (ended.code, ended.out) == (2, "")
    assert "not empty" in ended.err


def test_a_signal_ends_it_and_the_process_it_started(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [*PROGRAM, "demo", "--records", str(RECORDS)],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert demo.stderr is not None
    while "it will be killed" not in demo.stderr.readline():
        assert demo.poll() is None
    demo.send_signal(signal.SIGTERM)
    out, err = demo.communicate(timeout=20)  # ends only when nobody holds the pipes any more
    assert (demo.returncode, out) == (3, ""), err
    assert "Traceback" not in err
