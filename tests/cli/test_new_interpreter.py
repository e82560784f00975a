"""Each command once in a new interpreter; the other tests fork the program from one that has imported it already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scalesync.cli.table import COMMANDS
from tests import forked

from .conftest import Ended, Run, sandbox

RECORDS = 5
SOURCE = ("records.jsonl", "--type", "categorization", "--project", "p", "--job", "j")


def test_each_command_does_its_work(run_new_interpreter: Run, tmp_path: Path) -> None:
    started = {"sandbox"}

    def go(name: str, *args: str, code: int = 0) -> Ended:
        started.add(name)
        ended = run_new_interpreter(name, *args, env={"SCALE_API_URL": server.base_url})
        assert ended.code == code, ended.err
        return ended

    lines = [
        {"unique_id": f"u{number}", "attachment": "a", "attachment_type": "text", "categories": ["a", "b"]}
        for number in range(RECORDS)
    ]
    lines[1]["attachment_type"] = "nonsense"
    source = tmp_path / "records.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with sandbox(tmp_path, "--project", "p=categorization", fresh=True) as server:
        assert go("import", *SOURCE, "--json", code=1).json["created"] == RECORDS - 1
        (failure,) = go("failures", "--json").json["failures"]
        assert failure["count"] == 1
        source.write_text(source.read_text().replace("nonsense", "text"))
        assert go("retry", "--job", "j", "--json").json["created"] == RECORDS
        assert go("status", "--json").json["jobs"][0]["counts"]["created"] == RECORDS
        assert go("verify", "--job", "j", "--json").json["findings"] == {}
        assert go("export", "--out", "out", "--incremental", "--json").json["tasks"] == RECORDS
        assert go("compact", "--from", "out", "--to", "newest", "--json").json["tasks"] == RECORDS
        assert go("backfill", "export", "--out", "windows", "--from", "1d", "--window", "1d", "--json").json
        go("ledger", "rebuild", *SOURCE, "--ledger", "rebuilt.db", "--json")
        assert go("types", "categorization").out.startswith("type ")
        assert go("platforms", "scale", "--json").json
        assert go("demo", "--records", "10", "--json").json["exported"] == 10
    assert started == set(COMMANDS)


def test_a_forked_program_is_a_process_of_its_own(tmp_path: Path) -> None:
    """Folder, environment, arguments, standard input, output, error and exit code are as they were given."""
    (tmp_path / "asked.py").write_text(
        "import os, sys\n"
        "print(os.getcwd(), sorted(os.environ), sys.stdin.read(), sys.argv[1:], __name__)\n"
        "print(os.getpid(), file=sys.stderr)\n"
        "sys.exit(7)\n"
    )
    for stdin, read in ((None, ""), ("typed", "typed")):
        seen: list[int] = []
        code, out, err = forked.run(
            "asked", ["x"], folder=tmp_path, environment={"A": "1"}, stdin=stdin, meanwhile=seen.append
        )
        assert (code, out) == (7, f"{tmp_path} ['A'] {read} ['x'] __main__\n")
        assert seen == [int(err)]


def test_a_forked_program_that_does_not_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "silent.py").write_text("import signal; signal.pause()\n")
    monkeypatch.setattr(forked, "PATIENCE_S", 0.2)
    with pytest.raises(forked.subprocess.TimeoutExpired):
        forked.run("silent", [], folder=tmp_path, environment={})
