"""-v, --log-file and --log-format."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .conftest import KEY, Run

STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")
COMMAND = ("status", "--ledger", "nowhere.db")


def test_piped_lines_carry_the_time_with_v(run: Run) -> None:
    lines = run(*COMMAND, "-v").err.splitlines()
    assert len(lines) >= 2
    assert all(STAMP.match(line) for line in lines)
    assert not STAMP.match(run(*COMMAND).err)


@pytest.mark.parametrize("form", [(), ("--log-format", "text")])
def test_the_log_file_holds_all_that_is_told(form: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        told = run(*COMMAND, "--log-file", "run.log", *form).err
    lines = (tmp_path / "run.log").read_text("utf-8").splitlines()
    assert len(lines) == 2
    assert all(line.endswith(told.rstrip("\n")) and line != told for line in lines)


def test_as_json_each_line_is_an_object(run: Run, tmp_path: Path) -> None:
    told = run(*COMMAND, "--log-file", "run.jsonl", "--log-format", "json", "-v").err
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text("utf-8").splitlines()]
    assert all(line.keys() == {"at", "level", "logger", "message"} for line in lines)
    assert lines[-1]["message"] in told
    assert KEY not in json.dumps(lines)


@pytest.mark.parametrize(
    ("args", "says"),
    [(("--log-file", "missing/run.log"), "missing/run.log"), (("--log-format", "json"), "goes with --log-file")],
)
def test_a_log_that_cannot_be_is_refused(args: tuple[str, ...], says: str, run: Run) -> None:
    ended = run(*COMMAND, *args)
    assert ended.code == 2
    assert says in ended.err
