"""The examples of docs/extending.md, put where the page says and run through the command line."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from scalesync.cli import main, table

from .console import ROOT

PAGE = ROOT / "docs" / "extending.md"


def blocks(heading: str) -> list[str]:
    """The Python blocks below a heading, up to the next one of its kind."""
    section = re.split(rf"^## {heading}$", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1].split("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def test_a_command_is_one_module_and_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, row = blocks("A command")
    module = ModuleType("scalesync.cli.commands.hello")
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.chdir(tmp_path)
    added = eval(row.strip(), {"Row": table.Row})
    assert main.run(["hello"]) == 2
    monkeypatch.setitem(table.COMMANDS, added.name, added)
    capsys.readouterr()
    assert main.run(["hello", "--name", "Ada"]) == 0
    assert main.run(["--json", "hello"]) == 0
    assert capsys.readouterr().out == 'hello, Ada\n{"hello": "you"}\n'
    assert main.run(["hello", "--help"]) == 0
    assert "whom to greet" in capsys.readouterr().out
    assert main.run(["--help"]) == 0
    assert added.text in capsys.readouterr().out
