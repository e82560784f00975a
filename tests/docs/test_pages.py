"""The documents name what exists: commands, options, public names, tables, columns, pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
from sqlite_utils import Database

from scalesync import ExportSummary, ImportSummary, Progress, Settings
from scalesync import __all__ as public
from scalesync.cli.main import cli
from scalesync.cli.table import RESERVED
from scalesync.flows.runtime.options import ExportOptions, FailureGroup, ImportOptions, JobStatus
from scalesync.ledger.sqlite.upgrade import migrate

from .console import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")


def options_of(name: str) -> set[str]:
    """Options of a command, those of every command included."""
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None
    own = [parameter for one in leaves(command) for parameter in one.params]
    return {text for item in [*cli.params, *own] for text in (*item.opts, *item.secondary_opts)} | {"--help"}


def leaves(command: click.Command) -> Iterator[click.Command]:
    """The command, or all that are behind the words of a group."""
    if not isinstance(command, click.Group):
        yield command
        return
    context = click.Context(command)
    for word in command.list_commands(context):
        found = command.get_command(context, word)
        assert found is not None
        yield from leaves(found)


KNOWN = {name: options_of(name) for name in cli.list_commands(click.Context(cli))}


def command_lines(text: str) -> Iterator[str]:
    """Every `scalesync ...` that stands as code, up to the end of its line, span or pipe."""
    code = re.findall(r"^(?: {4}|\$ |  )(.*scalesync .*)$", text, re.MULTILINE)
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        code += block.split("\n")
    code += re.findall(r"`([^`\n]+)`", text)
    for line in code:
        typed = re.match(r"(?:\$ |\w+=\S* |.*\| )*scalesync ([a-z-].*)", line.strip())
        if typed:
            yield re.split(r"\s#|[|`)]", typed[1])[0].strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for line in command_lines(text):
        words = line.split()
        named = [word for word in words if word in KNOWN or word in RESERVED]
        if words[0].startswith("--"):
            continue  # scalesync --help, --version, --profile NAME COMMAND
        assert named[:1] == words[:1] or words[0] == "COMMAND", f"{page.name}: scalesync {line}"
        if words[0] in KNOWN:
            unknown = set(OPTION.findall(line)) - KNOWN[words[0]]
            assert not unknown, f"{page.name}: scalesync {line}"
    anywhere = set().union(*KNOWN.values())
    outside = re.sub(r"^\$ (?!scalesync).*$|^ +(?!scalesync).*$", "", text, flags=re.MULTILINE)
    mentioned = {option for span in re.findall(r"`(--[^`]*)`", outside) for option in OPTION.findall(span)}
    assert mentioned <= anywhere, f"{page.name}: {mentioned - anywhere}"


def test_the_finder_of_command_lines_finds_them() -> None:
    lines = list(command_lines((ROOT / "docs" / "transcripts.md").read_text("utf-8")))
    assert any(line.startswith("import letters.jsonl") for line in lines)
    assert len(lines) > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_project_resolve(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in link:
            continue
        path, _, heading = link.partition("#")
        target = page if not path else page.parent / path
        assert target.exists(), f"{page.name}: {link}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in anchors, f"{page.name}: {link}"


def test_every_document_is_listed_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in readme


def test_every_public_name_option_and_result_is_in_python_md() -> None:
    text = (ROOT / "docs" / "python.md").read_text("utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    told = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", prose))))
    assert set(public) <= told
    for kind in (
        ImportOptions,
        ExportOptions,
        ImportSummary,
        ExportSummary,
        Settings,
        Progress,
        JobStatus,
        FailureGroup,
    ):
        assert {field.name for field in fields(kind)} <= told, kind.__name__


def schema() -> dict[str, set[str]]:
    """Tables and views of a fresh ledger, and their columns."""
    database = Database(memory=True)
    migrate(database.conn)
    names = [*database.table_names(), *database.view_names()]
    found = {name: {row[1] for row in database.execute(f"PRAGMA table_info({name})")} for name in names}
    database.close()
    return {name: columns for name, columns in found.items() if not name.startswith("_")}


def test_every_table_view_and_column_is_in_ledger_md() -> None:
    text = (ROOT / "docs" / "ledger.md").read_text("utf-8")
    described = {
        name: set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| ([^|]*) \|", body, re.MULTILINE))))
        for name, body in re.findall(r"^### (\w+)\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    }
    assert described == schema()


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert text.lstrip().startswith("Apache License")
    assert "END OF TERMS AND CONDITIONS" in text
