"""The files of `failures --out` when a run is killed while they take their places."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scalesync import disk
from scalesync.errors import ConfigError
from scalesync.flows.jobs.write_failures import check_places, outputs, writing

REASON = {"unique_id": "k", "file": "f", "line": 1, "reason": "no", "task_id": None}


class Killed(BaseException):
    """In place of SIGKILL: nothing that the run would do after it is done."""


def write(out: Path, *texts: str) -> None:
    with writing(out) as written:
        for text in texts:
            written.add(text.encode(), REASON)


def killed(out: Path, after: int, *texts: str) -> None:
    """A run with these lines that is killed after some of its renames."""
    renamed = []

    def replace(part: Path, path: Path) -> None:
        if len(renamed) == after:
            raise Killed
        renamed.append(path)
        part.rename(path)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(disk.os, "replace", replace)
        patched.setattr(Path, "unlink", lambda path, missing_ok=False: None)
        with pytest.raises(Killed):
            write(out, *texts)


@pytest.mark.parametrize("texts", [('{"b": 2}', "bad b"), ("bad b",), ('{"b": 2}',), ()], ids=len)
@pytest.mark.parametrize("after", range(4))
def test_a_run_killed_between_its_renames_changed_nothing_that_a_person_did(after, texts, tmp_path):
    out = tmp_path / "out[1].jsonl"
    write(out, '{"a": 1}', "bad a")
    killed(out, after, *texts)
    check_places(out, tmp_path / "l.db", ())
    write(out, '{"c": 3}')
    assert out.read_text() == '{"c": 3}\n'
    assert [path.name for path in outputs(out) if path.exists()] == ["out[1].jsonl.reasons.jsonl", "out[1].jsonl"]


@pytest.mark.parametrize("texts", [('{"b": 2}',), ()], ids=len)
def test_a_file_that_a_person_changed_after_the_kill_is_refused(texts, tmp_path):
    out = tmp_path / "out.jsonl"
    write(out, '{"a": 1}')
    killed(out, 1, *texts)
    out.write_text('{"a": "corrected"}\n')
    later = max(part.stat().st_mtime_ns for part in tmp_path.glob(".out.jsonl.*.part")) + 1
    os.utime(out, ns=(later, later))
    with pytest.raises(ConfigError, match=r"out\.jsonl (was changed since|exists and was not written by)"):
        check_places(out, tmp_path / "l.db", ())
