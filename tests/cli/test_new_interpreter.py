"""Each command once in a new interpreter; the other tests fork the program from one that has imported it already."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scalesync.cli.table import COMMANDS
from tests import forked

from .conftest import KEY, PROGRAM, Ended, Run, environment, sandbox

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
        assert go("apply", "tags", "add", "tags=a", "--job", "j", "--json").json["applied"] == RECORDS
        assert go("compact", "--from", "out", "--to", "newest", "--json").json["tasks"] == RECORDS
        assert go("backfill", "export", "--out", "windows", "--from", "1d", "--window", "1d", "--json").json
        go("ledger", "rebuild", *SOURCE, "--ledger", "rebuilt.db", "--json")
        assert len(go("scale", "tasks", "list", "--json").json["items"]) == RECORDS
        assert go("types", "categorization").out.startswith("type ")
        assert go("platforms", "scale", "--json").json
        assert go("demo", "--records", "10", "--json").json["exported"] == 10
    assert started == set(COMMANDS)


NOBODY = {"html.entities", "difflib", "tomllib", "dateutil.tz", "rich", "pyarrow", "keyring"}
FORMER = {"sqlite_utils"}  # the tables are there
# by prefix, a module and all in it
NO_IMPORT = {"scalesync.flows.exports", "scalesync.outputs.writer"}
NO_EXPORT = {
    *("scalesync.sources.registry", "scalesync.sources.formats", "scalesync.mapping.template"),
    *("scalesync.flows.imports", "scalesync.flows.exports.jobs", "scalesync.ledger.effects"),
    *("scalesync.ledger.sqlite.imports.import_store", "scalesync.ledger.sqlite.imports.checks"),
}


def test_a_run_imports_what_it_uses(tmp_path: Path) -> None:
    """Each module stays in memory for hours. A new ledger comes first, then one that is up to date."""
    (tmp_path / "records.jsonl").write_text('{"unique_id": "u", "attachment": "a", "attachment_type": "text"}\n')
    with sandbox(tmp_path, "--project", "p=categorization") as server:
        imports = _imports(tmp_path, server.base_url)
        first = imports("import", *SOURCE, "--set", 'categories=["a", "b"]')
        second = imports("export", "--out", "out")
    assert {"scalesync.flows.imports.run", "sqlite_utils.migrations"} <= first
    assert {"scalesync.flows.exports.run", "sqlite3"} <= second
    assert _within(first, NOBODY | NO_IMPORT) == set()
    assert _within(second, NOBODY | FORMER | NO_EXPORT) == set()


def _imports(folder: Path, url: str) -> Callable[..., set[str]]:
    """A command's modules, by the interpreter's own list."""
    python, *rest = PROGRAM
    given = environment(folder, SCALE_API_URL=url, SCALE_API_KEY=KEY)

    def run(*args: str) -> set[str]:
        command = [python, "-X", "importtime", *rest, *args, "--quiet"]
        ended = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, env=given)
        return {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}

    return run


def _within(names: set[str], packages: set[str]) -> set[str]:
    return {name for name in names if any(f"{name}.".startswith(f"{package}.") for package in packages)}


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
