"""The format xml, found by its entry point and used through the command line."""

import gzip
import json
import signal
from pathlib import Path

import pytest

from scalesync.sandbox import FaultRule
from tests.cli.test_kill import Program, check_once
from tests.plugins import install

HERE = Path(__file__)
KINDS = "<attachment_type>text</attachment_type><categories>a</categories><categories>b</categories>"
ITEM = f'<item unique_id="letter-{{0:05d}}"><attachment>Dear {{0}} &lt;ü</attachment>{KINDS}</item>'
BOMB = '<!DOCTYPE r [<!ENTITY a "{0}"><!ENTITY b "{1}">]><r><item>{2}</item></r>'


@pytest.fixture
async def bench(make_sandbox, tmp_path):
    """A sandbox, and an import of what is in the folder `in`, in a folder where the package is installed."""
    install(
        tmp_path,
        HERE.with_name("pyproject.toml").read_text(),
        {"xml_source": HERE.with_name("xml_source.py").read_text()},
    )
    (tmp_path / "in").mkdir()
    sandbox = await make_sandbox([])
    return sandbox, Program(tmp_path, sandbox, "in", "--job", "j")


def document(*numbers: int) -> str:
    return "<items>\n" + "\n".join(ITEM.format(number) for number in numbers) + "\n</items>\n"


async def test_each_item_of_the_files_of_a_folder_becomes_one_task(bench, tmp_path):
    sandbox, program = bench
    (tmp_path / "in" / "a.xml").write_text(document(*range(5)))
    (tmp_path / "in" / "b.XML").write_text('<?xml version="1.0" encoding="utf-16"?>' + document(5, 6), "utf-16")
    (tmp_path / "in" / "c.xml.gz").write_bytes(gzip.compress(document(7).encode()))
    code, summary = await program.once()
    assert (code, summary["created"], summary["read"]) == (0, 8, 8)
    check_once(sandbox, 8)
    bodies = {str(task.unique_id): json.loads(b"{" + task.body + b"}") for task in sandbox.store.world("live").tasks}
    assert bodies["letter-00003"]["params"]["attachment"] == "Dear 3 <ü"
    assert bodies["letter-00005"]["params"]["categories"] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "created", "reason"),
    [
        (document(1, 2).replace("</items>", "</item>"), 2, "mismatched tag (line 4)"),
        (document(1, 2)[:-12], 1, "unclosed token (line 3)"),
        (BOMB.format("x" * 9_000_000, "&a;" * 10_000, "&b;"), 0, "declares a document type"),
        (f"<r>{ITEM.format(1)}<item>{'x' * 17_000_000}</item></r>", 1, "holds an item that is too long"),
    ],
    ids=["broken", "cut off", "bomb", "endless"],
)
async def test_what_cannot_be_read_is_reported_with_its_line(bench, tmp_path, text, created, reason):
    (tmp_path / "in" / "a.xml").write_text(text)
    code, summary = await (program := bench[1]).once()
    assert (code, summary["created"], summary["invalid"]) == (1, created, 1)
    program.arguments[:] = ["failures", "--json"]
    assert reason in (await program.once())[1]["failures"][0]["examples"][0]["reason"]


async def test_an_import_that_was_killed_is_carried_on_without_a_second_task(bench, tmp_path):
    sandbox, program = bench
    (tmp_path / "in" / "a.xml").write_text(document(*range(300)))
    sandbox.faults.replace([FaultRule(kind="latency", on="create", seconds=0.03)])
    await program.send_at(signal.SIGKILL, 60)
    assert sandbox.store.world("live").count() < 300
    sandbox.faults.replace([])
    assert (await program.until_done())[-1]["created"] == 300
    check_once(sandbox, 300)
