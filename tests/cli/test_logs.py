"""-v, --log-file and --log-format."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from .conftest import KEY, Run, Served, sandbox

STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")
PROJECT = "reviews"
COMMAND = ("status", "--ledger", "nowhere.db")


def test_piped_lines_carry_the_time_with_v(run: Run) -> None:
    lines = run(*COMMAND, "-v").err.splitlines()
    assert len(lines) >= 2
    assert all(STAMP.match(line) for line in lines)
    assert not STAMP.match(run(*COMMAND).err)


@pytest.mark.parametrize("form", [(), ("--log-format", "text")])
def test_the_log_file_holds_all_that_is_reported(form: tuple[str, ...], run: Run, tmp_path: Path) -> None:
    for _ in range(2):
        told = run(*COMMAND, "--log-file", "run.log", *form).err
    lines = (tmp_path / "run.log").read_text("utf-8").splitlines()
    assert len(lines) == 8
    assert all(line.endswith(told.rstrip("\n")) and line != told for line in (lines[2], lines[6]))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    record = {"attachment": "a text", "attachment_type": "text", "categories": ["good", "bad"]}
    (tmp_path / "records.jsonl").write_text(json.dumps(record) + "\n", "utf-8")
    with sandbox(tmp_path, "--project", f"{PROJECT}=categorization") as running:
        yield running


def logged(path: Path) -> list[str]:
    """The messages of a log of JSON lines."""
    return [json.loads(line)["message"] for line in path.read_text("utf-8").splitlines()]


def test_a_run_without_events_leaves_its_beginning_and_its_end(run: Run, served: Served, tmp_path: Path) -> None:
    log = ("--log-file", "run.jsonl", "--log-format", "json", "--base-url", served.base_url)
    command = ("import", "records.jsonl", "--type", "categorization", "--project", PROJECT, "--job", "j", *log)
    done = run(*command, "--json", "-q")
    begin, about, end = logged(tmp_path / "run.jsonl")
    assert begin == f"begin: scalesync {version('scalesync')}: {' '.join((*command, '--json', '-q'))}"
    assert about == f"target {served.base_url} (test, account default), ledger scalesync.db"
    assert end.startswith("end: exit code 0, {")
    assert json.loads(end.removeprefix("end: exit code 0, ")) == done.json


def test_the_log_ends_with_the_exit_code_of_what_failed_and_holds_no_secret(run: Run, tmp_path: Path) -> None:
    source = "https://me:secret@127.0.0.1:1/a.jsonl?X-Amz-Signature=hidden"
    log = ("--log-file", "run.jsonl", "--log-format", "json")
    more = ("--set", f'attachment="{source}"')
    assert (
        run("import", source, "--type", "categorization", *more, *log, "--base-url", "http://127.0.0.1:1/v1").code == 2
    )
    messages = logged(tmp_path / "run.jsonl")
    assert "import https://127.0.0.1:1/a.jsonl --type" in messages[0]
    assert messages[-1] == "end: exit code 2"
    assert not [word for word in ("secret", "hidden", KEY) if word in " ".join(messages)]


@pytest.mark.parametrize("command", [("verify", "--job", "j"), ("export", "--out", "out")])
def test_every_summary_ends_the_log(command: tuple[str, ...], run: Run, served: Served, tmp_path: Path) -> None:
    at = ("--base-url", served.base_url)
    typed = ("import", "records.jsonl", "--type", "categorization", "--project", PROJECT, "--job", "j", *at)
    assert run(*typed).code == 0
    done = run(*command, *at, "--json", "--log-file", "run.jsonl", "--log-format", "json")
    assert json.loads(logged(tmp_path / "run.jsonl")[-1].removeprefix("end: exit code 0, ")) == done.json


def test_as_json_each_line_is_an_object(run: Run, tmp_path: Path) -> None:
    told = run(*COMMAND, "--log-file", "run.jsonl", "--log-format", "json", "-v").err
    lines = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text("utf-8").splitlines()]
    assert all(line.keys() == {"at", "level", "logger", "message"} for line in lines)
    assert lines[-2]["message"] in told
    assert lines[-1]["message"] == "end: exit code 2"
    assert KEY not in json.dumps(lines)


@pytest.mark.parametrize(
    ("args", "says"),
    [(("--log-file", "missing/run.log"), "missing/run.log"), (("--log-format", "json"), "goes with --log-file")],
)
def test_a_log_that_cannot_be_is_refused(args: tuple[str, ...], says: str, run: Run) -> None:
    ended = run(*COMMAND, *args)
    assert ended.code == 2
    assert says in ended.err
