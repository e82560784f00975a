"""The Python examples of the documents run as they stand, as programs of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .console import ROOT, Shell, Step, shell
from .test_transcripts import letter

LETTERS = 40


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Shell]:
    """A folder with letters, a sandbox with a project, and settings in the environment."""
    (tmp_path / "letters.jsonl").write_text("".join(letter(number) + "\n" for number in range(LETTERS)))
    with shell(tmp_path) as running:
        running.run(Step("scalesync sandbox --project letters=categorization", 0))
        running.run(Step("export SCALE_API_KEY=test_reader SCALE_API_URL=http://127.0.0.1:8787/v1", 0))
        yield running


def run_example(page: Path, reader: Shell) -> str:
    """Run the page's only Python block that imports from scalesync; returns what it printed."""
    (example,) = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    ended = subprocess.run(
        [sys.executable, "-c", example],
        cwd=reader.folder,
        env=reader.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return ended.stdout


def test_the_example_of_the_readme(reader: Shell) -> None:
    printed = run_example(ROOT / "README.md", reader).splitlines()
    assert printed == [f"{LETTERS} of {LETTERS} records are tasks, 0 were refused", f"{LETTERS} tasks in 1 file(s)"]


def test_the_example_of_python_md(reader: Shell) -> None:
    printed = run_example(ROOT / "docs" / "python.md", reader)
    assert f"{LETTERS} created, 0 adopted, 0 failed, 0 in conflict\n{LETTERS} tasks up to 20" in printed


def test_the_example_of_client_md(reader: Shell) -> None:
    printed = run_example(ROOT / "docs" / "client.md", reader).splitlines()
    assert printed == ["categorization letter-1 ['kind', 'angry']", "taken by this task: True", "letter-1 True"]
