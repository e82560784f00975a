"""Messages after a run: why it ended, which jobs there are, and the sentence beside JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scalesync.cli.commands.ledger import SHARED
from scalesync.flows.imports.plan import SHAPING

from .conftest import Ended, Run, Served, sandbox

PROJECT = "letters"
MODES = ("--type", "categorization", "--project", PROJECT)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with sandbox(tmp_path_factory.mktemp("server"), "--project", f"{PROJECT}=categorization") as running:
        yield running


@pytest.fixture
def go(run: Run, served: Served) -> Run:
    """`run` at the sandbox."""

    def at(*args: str, **more: Any) -> Ended:
        return run(*args, env={"SCALE_API_URL": served.base_url, **more.pop("env", {})}, **more)

    return at


def good(name: str) -> dict[str, Any]:
    return {"unique_id": name, "attachment": "a", "attachment_type": "text", "categories": ["a", "b"]}


def write(folder: Path, records: Iterable[dict[str, Any]], name: str = "records.jsonl") -> None:
    (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))


def stop_refused(folder: Path, go: Run) -> Ended:
    write(folder, ({"unique_id": f"r{number}", "categories": ["a"]} for number in range(110)))
    return go("import", "records.jsonl", *MODES, "--job", "j")


def stop_max_new(folder: Path, go: Run) -> Ended:
    write(folder, (good(f"n{number}") for number in range(5)))
    return go("import", "records.jsonl", *MODES, "--job", "j", "--max-new", "2")


def stop_max_invalid(folder: Path, go: Run) -> Ended:
    (folder / "records.jsonl").write_text("not JSON\n" * 3)
    return go("import", "records.jsonl", *MODES, "--job", "j", "--max-invalid", "1")


def stop_conflict(folder: Path, go: Run) -> Ended:
    write(folder, [good("t1")])
    go("import", "records.jsonl", *MODES, "--job", "before")
    write(folder, [{**good("t1"), "attachment": "b"}], "other.jsonl")
    (folder / "scalesync.db").unlink()
    return go("import", "other.jsonl", *MODES, "--job", "j", "--on-conflict", "stop")


@pytest.mark.parametrize("stop", [stop_refused, stop_max_new, stop_max_invalid, stop_conflict])
def test_the_sentence_that_ended_a_run_can_be_read_afterwards(stop: Any, go: Run, tmp_path: Path) -> None:
    ended = stop(tmp_path, go)
    assert ended.code in {1, 3}
    (status,) = go("status", "--json").json["jobs"]
    sentence = status["message"]
    assert sentence
    assert sentence in ended.out
    assert sentence in go("status").out
    assert sentence in go("status", "--job", "j").out
    if ended.code == 3:
        told = go("failures", "--job", "j")
        assert f"j (test) is not finished; its last run ended with: {sentence}" in told.out
        (stopped,) = go("failures", "--json").json["stopped"]
        assert (stopped["job"], stopped["message"], stopped["exit_code"]) == ("j", sentence, 3)


def test_a_look_at_the_server_does_not_hide_why_the_job_stopped(go: Run, tmp_path: Path) -> None:
    ended = stop_max_new(tmp_path, go)
    (refreshed,) = go("status", "--job", "j", "--refresh", "--json").json["jobs"]
    assert refreshed["message"] in ended.out
    assert go("failures", "--json").json["stopped"]
    go("import", "records.jsonl", *MODES, "--job", "j")
    assert go("failures", "--json").json == {"failures": []}
    assert go("status", "--json").json["jobs"][0]["message"] == ""


def test_status_is_a_line_a_job_and_the_newest_comes_first(go: Run, tmp_path: Path) -> None:
    for name in ("older", "newer"):
        write(tmp_path, [good("same"), good("same"), {**good("same"), "attachment": "b"}])
        go("import", "records.jsonl", *MODES, "--job", name)
    lines = go("status").out.splitlines()
    assert [word for line in lines for word in line.split() if word in {"older", "newer"}] == ["newer", "older"]
    assert len(lines) == 4
    assert all("1 conflict" in line and "1 conflicts" not in line for line in lines[1:3])
    again = go("import", "records.jsonl", *MODES, "--job", "older", "--rescan")
    assert again.code == 1
    assert go("status").out.splitlines()[1].split()[4] == "older"


def test_colours_are_for_terminals_and_for_who_wants_them(go: Run, tmp_path: Path) -> None:
    write(tmp_path, [good("c1")])
    go("import", "records.jsonl", *MODES, "--job", "j")
    assert "\x1b" not in go("status").out
    assert "\x1b[32mfinished\x1b[0m" in go("status", env={"FORCE_COLOR": "1"}).out
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in go("status", env={"FORCE_COLOR": "1", **plain}).out
    assert "\x1b" not in go("status", "--json", env={"FORCE_COLOR": "1"}).out
    assert "\x1b[31mscalesync:\x1b[0m" in go("status", "--job", "x", env={"FORCE_COLOR": "1"}).err


def finding_import(folder: Path) -> tuple[str, ...]:
    write(folder, [good("f1"), {**good("f1"), "attachment": "b"}])
    return ("import", "records.jsonl", *MODES, "--job", "j")


def finding_dry_run(folder: Path) -> tuple[str, ...]:
    return (*finding_import(folder), "--dry-run")


def finding_failures(folder: Path) -> tuple[str, ...]:
    return ("failures", "--out", "failed.jsonl")


def finding_retry(folder: Path) -> tuple[str, ...]:
    return ("retry",)


@pytest.mark.parametrize("finding", [finding_import, finding_dry_run, finding_failures, finding_retry])
def test_beside_json_one_sentence_says_what_is_not_done(finding: Any, go: Run, tmp_path: Path) -> None:
    if finding in {finding_failures, finding_retry}:
        go("import", "-", *MODES, "--job", "j", stdin='{"unique_id": "p", "categories": ["a"]}\n')
    args = finding(tmp_path)
    ended = go(*args, "--json")
    assert ended.code == 1
    assert ended.json
    (line,) = [line for line in ended.err.splitlines() if line.startswith("scalesync: ")]
    assert len(line) > len("scalesync: ")
    quiet = go(*args, "--json", "--quiet")
    assert (quiet.code, quiet.err) == (1, "")
    assert quiet.json


def test_an_error_is_printed_beside_json_unless_quiet(go: Run) -> None:
    for args in (("status", "--job", "x"), ("improt",), ("import", "missing.jsonl", *MODES)):
        told, quiet = go(*args, "--json"), go(*args, "--json", "--quiet")
        assert told.json == quiet.json
        assert (told.err, quiet.err) == (f"scalesync: {told.json['error']}\n", "")
        assert go(*args, "--quiet").err == told.err


def test_a_changed_record_is_reported_in_words_before_and_after_the_run(go: Run, tmp_path: Path) -> None:
    write(tmp_path, [good("w1"), good("w2")])
    assert go("import", "records.jsonl", *MODES, "--job", "words").code == 0
    write(tmp_path, [good("w1"), good("w2") | {"attachment": "other"}, good("w1") | {"attachment": "third"}])
    dry = go("import", "records.jsonl", *MODES, "--job", "words", "--dry-run")
    assert dry.code == 1
    assert "records.jsonl:2: w2: the record, or the type, project or batch asked for, differs from" in dry.err
    assert "records.jsonl:3: w1: the same unique_id stands earlier in the input with other content" in dry.err
    assert go("import", "records.jsonl", *MODES, "--job", "words").code == 1
    shown = go("failures", "--job", "words").out
    assert "1 in conflict: the record, or the type, project or batch asked for, differs from what the task was" in shown
    assert "to see what changed in words: scalesync verify --job words" in shown
    messages = {group["message"] for group in go("failures", "--job", "words", "--json").json["failures"]}
    assert "changed_after_creation" in messages  # the name that programs know


def test_a_rebuild_takes_each_option_that_says_how_sources_are_read(go: Run, tmp_path: Path) -> None:
    (tmp_path / "page.json").write_text(json.dumps({"items": [good("paged-1"), good("paged-2")], "next": None}))
    (tmp_path / "table.csv").write_text("a title\nunique_id,attachment,attachment_type\ntabled,a,text\n")
    wrapped = ("page.json", "--records", "items", *MODES, "--job", "wrapped")
    table = ("table.csv", "--skip-rows", "1", "--set", 'categories=["a"]', *MODES, "--job", "table")
    for source, created in ((wrapped, 2), (table, 1)):
        assert go("import", *source, "--json").json["created"] == created
        rebuilt = go("ledger", "rebuild", *source, "--ledger", "lost.db", "--json").json
        assert (rebuilt["created"] + rebuilt["adopted"], rebuilt["pending"]) == (created, 0)


def test_the_shared_options_of_a_rebuild_are_all_that_shape_an_import() -> None:
    assert set(SHAPING) <= set(SHARED)
