"""The examples of docs/extending.md, put where the page says and run through the command line."""

from __future__ import annotations

import csv
import json
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from scalesync.cli import main, table
from tests.cli.conftest import KEY, Ended, environment, sandbox
from tests.forked import run
from tests.plugins import install

from .console import ROOT

PAGE = ROOT / "docs" / "extending.md"
BODY = {"attachment_type": "text", "categories": ["a", "b"]}
SUBTITLES = """\
1
00:00:01,000 --> 00:00:02,500
Hello.
Is anybody there?

nonsense

2
00:00:03,000 --> 00:00:04,000
Nobody.
"""


def blocks(heading: str, language: str = "python") -> list[str]:
    """The blocks of one language below a heading, up to the next heading of its kind."""
    section = re.split(rf"^## {heading}$", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def install_example(folder: Path, heading: str) -> None:
    """Install the package that stands below a heading: one module and a pyproject.toml."""
    (code,), (pyproject,) = blocks(heading), blocks(heading, "toml")
    assert code.count("\n") <= 60, "an example is short"
    (group,) = tomllib.loads(pyproject)["project"]["entry-points"].values()
    (module,) = {value.partition(":")[0] for value in group.values()}
    install(folder, pyproject, {module: code})


def program(folder: Path, *arguments: str, url: str | None = None) -> Ended:
    """Run the command line in a folder."""
    given = environment(folder, SCALE_API_KEY=KEY, **({} if url is None else {"SCALE_API_URL": url}))
    return Ended(*run("scalesync", arguments, folder=folder, environment=given))


def test_a_source_format_is_one_module_and_one_entry_point(tmp_path: Path) -> None:
    install_example(tmp_path, "A source format")
    (tmp_path / "film.srt").write_text(SUBTITLES, "utf-8")
    (tmp_path / "template.toml").write_text(
        '[task]\nattachment = "{text}"\nattachment_type = "text"\ncategories = ["a", "b"]\n', "utf-8"
    )
    options = ("--type", "categorization", "--project", "p", "--template", "template.toml", "--unique-id", "{number}")
    with sandbox(tmp_path, "--project", "p=categorization") as server:
        done = program(tmp_path, "import", "film.srt", *options, "--json", url=server.base_url)
        assert (done.code, done.json["created"], done.json["invalid"]) == (1, 2, 1), done
        failures = program(tmp_path, "failures", "--json", url=server.base_url).json["failures"]
        assert failures[0]["examples"][0]["line"] == 6
        tasks = server.ask("/v1/tasks")["docs"]
        texts = {task["unique_id"]: task["params"]["attachment"] for task in tasks}
        assert texts == {"1": "Hello.\nIs anybody there?", "2": "Nobody."}
        again = program(tmp_path, "import", "film.srt", *options, "--input-format", "srt", url=server.base_url)
        assert again.code == 1
        assert server.tasks() == 2
        verified = program(tmp_path, "verify", "--json", url=server.base_url)
        assert "film.srt was counted once: there is no second count for its format" in verified.json["message"]
    assert "parquet|srt]" in program(tmp_path, "import", "--help").out


def test_an_output_encoder_is_one_module_and_one_entry_point(tmp_path: Path) -> None:
    install_example(tmp_path, "An output encoder")
    records = [{"unique_id": f"u{n}", **BODY, "attachment": f'one, "two"\nand {n} ü'} for n in range(30)]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    with sandbox(tmp_path, "--project", "p=categorization") as server:
        to = {"url": server.base_url}
        assert program(tmp_path, "import", "r.jsonl", "--type", "categorization", "--project", "p", **to).code == 0
        assert program(tmp_path, "export", "--out", "plain", **to).code == 0
        done = program(tmp_path, "export", "--out", "tables", "--format", "csv", "--json", **to)
        assert (done.code, done.json["tasks"]) == (0, len(records)), done
        wrong = program(tmp_path, "export", "--out", "cut", "--format", "csv", "--fields", "task_id", **to)
        assert (wrong.code, "--fields" in wrong.err) == (2, True)
    assert program(tmp_path, "compact", "--from", "tables", "--to", "again").code == 0
    (table,) = (tmp_path / "tables" / "tasks").iterdir()
    (plain,) = (tmp_path / "plain" / "tasks").iterdir()
    (again,) = (tmp_path / "again" / "tasks").iterdir()
    assert table.name == "tasks-00001.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["task_id", "status", "type", "task"]
    tasks = [json.loads(line) for line in plain.read_bytes().splitlines()]
    assert sorted((row["task_id"], row["status"]) for row in rows) == sorted((t["task_id"], t["status"]) for t in tasks)
    assert sorted(row["task"].encode() for row in rows) == sorted(plain.read_bytes().splitlines())
    assert sorted(again.read_bytes().splitlines()) == sorted(plain.read_bytes().splitlines())


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
