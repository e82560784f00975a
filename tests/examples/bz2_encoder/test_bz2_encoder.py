"""The format jsonl.bz2, found by its entry point and used through the command line."""

import bz2
import json
from pathlib import Path

import pytest

from tests import forked
from tests.cli.conftest import KEY, environment, sandbox
from tests.conftest import letter
from tests.plugins import install

HERE = Path(__file__)
TASKS = 120
MOST_INCREMENTS = 20


@pytest.fixture
def program(tmp_path):
    """program(*words, strike=0): run it in a folder where the package is installed; killed at a file operation."""
    install(
        tmp_path,
        HERE.with_name("pyproject.toml").read_text(),
        {"bz2_encoder": HERE.with_name("bz2_encoder.py").read_text()},
    )
    with sandbox(tmp_path, "--project", "p=categorization") as server:

        def go(*words: str, strike: int = 0) -> int:
            given = environment(tmp_path, SCALE_API_KEY=KEY, SCALE_API_URL=server.base_url)
            typed = [str(strike), "30", *words]
            return forked.run("tests.faults.dying", typed, folder=tmp_path, environment=given)[0]

        (tmp_path / "in.jsonl").write_text("".join(json.dumps(letter(number)) + "\n" for number in range(TASKS)))
        assert go("import", "in.jsonl", "--type", "categorization", "--project", "p") == 0
        yield go


def lines_in(folder: Path) -> list[bytes]:
    paths = [folder / entry["path"] for entry in json.loads((folder / "manifest.json").read_text())["files"]]
    assert all(path.name.endswith((".jsonl", ".jsonl.bz2")) for path in paths)
    texts = [bz2.decompress(path.read_bytes()) if path.suffix == ".bz2" else path.read_bytes() for path in paths]
    return sorted(line for text in texts for line in text.splitlines())


def test_what_is_written_after_a_kill_is_whole(program, tmp_path):
    assert program("export", "--out", "plain") == 0
    for strike in (8, 14, 20, 26):
        export = ("export", "--out", f"out{strike}", "--format", "jsonl.bz2")
        assert program(*export, strike=strike) == -9
        assert program(*export) == 0
        assert lines_in(tmp_path / f"out{strike}") == lines_in(tmp_path / "plain")
        assert not [path for path in (tmp_path / f"out{strike}").rglob(".part-*") if path.is_file()]


def test_its_folders_are_compacted_and_cut_to_fields(program, tmp_path):
    assert program("export", "--out", "plain") == 0
    # An increment ends at the server's time, which is cut to the second: the last tasks may come with the next one.
    for _ in range(MOST_INCREMENTS):
        assert program("export", "--out", "out", "--format", "jsonl.bz2", "--incremental") == 0
        if len(lines_in(tmp_path / "out")) == TASKS:
            break
    assert program("compact", "--from", "out", "--to", "again", "--format", "jsonl.bz2") == 0
    assert lines_in(tmp_path / "again") == lines_in(tmp_path / "plain")
    assert program("export", "--out", "cut", "--format", "jsonl.bz2", "--fields", "task_id") == 0
    assert all(json.loads(line).keys() == {"task_id"} for line in lines_in(tmp_path / "cut"))
