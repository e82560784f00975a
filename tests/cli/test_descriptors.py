"""Standard input, output or error closed, each and together, as daemons and supervisors start programs."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import pytest

from .conftest import KEY, PROGRAM, Served, environment, sandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="descriptors are closed by a POSIX shell")

CLOSED = [some for size in (1, 2, 3) for some in combinations((0, 1, 2), size)]
RECORDS = 4


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("server")
    with sandbox(folder, "--project", "letters=categorization") as running:
        yield running


def run_closed(folder: Path, closed: Sequence[int], served: Served, *args: str) -> tuple[int, str, str]:
    """Run the program with these descriptors closed, not redirected."""
    files = {number: folder / f"descriptor-{number}" for number in (1, 2)}
    redirections = " ".join(
        f"{number}{'<' if number == 0 else '>'}&-" if number in closed else f"{number}>{files[number]}"
        for number in (0, 1, 2)
        if number in closed or number
    )
    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", *PROGRAM, *args],
        cwd=folder,
        env=environment(folder, SCALE_API_KEY=KEY, SCALE_API_URL=served.base_url),
        timeout=50,
        check=False,
    )
    out, err = (files[number].read_text("utf-8") if files[number].exists() else "" for number in (1, 2))
    return ended.returncode, out, err


@pytest.mark.part(2)
@pytest.mark.parametrize("closed", CLOSED, ids=lambda some: "".join(map(str, some)))
def test_a_run_ends_with_its_own_code_and_summary(closed: tuple[int, ...], served: Served, tmp_path: Path) -> None:
    rows = [
        {"unique_id": f"{closed}-{number}", "attachment": "a", "attachment_type": "text", "categories": ["a", "b"]}
        for number in range(RECORDS)
    ]
    (tmp_path / "letters.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = served.tasks()
    command = ("import", "letters.jsonl", "--type", "categorization", "--project", "letters", "--json")
    code, out, err = run_closed(tmp_path, closed, served, *command)
    assert (code, served.tasks() - before) == (0, RECORDS), err
    assert 1 in closed or json.loads(out)["created"] == RECORDS
    code, out, _ = run_closed(tmp_path, closed, served, "export", "--out", "data", "--project", "letters", "--json")
    assert code == 0
    assert 1 in closed or json.loads(out)["tasks"] >= RECORDS
    code, out, err = run_closed(tmp_path, closed, served, "status")
    assert code == (3 if 1 in closed else 0), err
    assert 1 in closed or "import-letters" in out
    with sqlite3.connect(tmp_path / "scalesync.db") as ledger:
        assert ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize(
    "args",
    ["status", "status --json", "failures", "types", "types --json", "platforms", "scale tasks list", "--help"],
)
def test_a_command_that_only_prints_stops_where_it_cannot(args: str, served: Served, tmp_path: Path) -> None:
    assert run_closed(tmp_path, (), served, "export", "--out", "data", "--project", "letters")[0] == 0
    code, _, err = run_closed(tmp_path, (1,), served, *args.split())
    words = "standard output is closed, so nothing can be printed; open it and run the same command again"
    assert (code, err) == (3, f"scalesync: {words}\n")
    assert run_closed(tmp_path, (), served, *args.split())[0] == 0


@pytest.mark.part(2)
@pytest.mark.parametrize("closed", CLOSED, ids=lambda some: "".join(map(str, some)))
def test_an_error_keeps_its_code_and_goes_into_no_file(closed: tuple[int, ...], served: Served, tmp_path: Path) -> None:
    code, _, err = run_closed(tmp_path, closed, served, "status", "--ledger", "nowhere.db")
    assert code == 2
    assert 2 in closed or err.startswith("scalesync: no ledger at nowhere.db")
    assert {path.name for path in tmp_path.iterdir()} <= {"descriptor-1", "descriptor-2", "home"}


def test_a_closed_standard_input_is_no_empty_source(served: Served, tmp_path: Path) -> None:
    command = ("import", "-", "--type", "categorization", "--project", "letters", "--job", "piped")
    code, _, err = run_closed(tmp_path, (0,), served, *command)
    assert (code, err) == (2, "scalesync: -: standard input is closed\n")


def test_what_the_program_starts_finds_its_descriptors_open(tmp_path: Path) -> None:
    """A key command that is started with closed descriptors would write over the first file that it opens."""
    script = "import os, sys; [os.fstat(n) for n in range(3)]; print('test_key')"
    (tmp_path / "config").mkdir()
    (tmp_path / "say.py").write_text(script)
    profile = f'api_key_command = "{sys.executable} say.py"\nbase_url = "http://127.0.0.1:9/v1"\n'
    (tmp_path / "config" / "work.toml").write_text(profile)
    ended = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" 0<&- 2>&-', "sh", *PROGRAM, "--profile", "work", "retry", "--job", "x"],
        cwd=tmp_path,
        env=environment(tmp_path) | {"PYTHONFAULTHANDLER": "1"},
        stdout=subprocess.PIPE,
        timeout=50,
        check=False,
    )
    assert ended.returncode == 2
    assert not os.path.exists(tmp_path / "scalesync.db")


@pytest.mark.parametrize(
    "args", [("import", "{here}/letters.jsonl", "--type", "categorization"), ("export", "--out", "x")]
)
def test_a_working_folder_that_is_gone_is_reported(args: tuple[str, ...], served: Served, tmp_path: Path) -> None:
    (tmp_path / "letters.jsonl").write_text('{"unique_id": "gone", "attachment": "a"}\n')
    gone = tmp_path / "gone"
    gone.mkdir()
    ended = subprocess.run(
        ["/bin/sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *PROGRAM, *(part.format(here=tmp_path) for part in args)],
        cwd=gone,
        env=environment(tmp_path, SCALE_API_KEY=KEY, SCALE_API_URL=served.base_url),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    sentence = "scalesync: the working folder no longer exists; change to another one and run the command again"
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (2, sentence)
