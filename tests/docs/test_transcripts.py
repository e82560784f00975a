"""What the documents show in `console` blocks is what the program prints.

    SCALESYNC_REWRITE_DOCS=1 python -m pytest tests/docs/test_transcripts.py

puts what was printed into the documents, where it differs from what stands there; with `=all`, everywhere.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from .console import ROOT, Step, replay, shell

LETTERS = 500
MIXED = """\
{"unique_id": "a", "attachment": "Thank you."}
{"unique_id": "b", "attachment": "Never again."}
{"unique_id": "a", "attachment": "Thank you."}
{"unique_id": "b", "attachment": "Never!"}
{"unique_id": "c"}
not JSON
"""
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(200)


def letter(number: int) -> str:
    """One line of letters.jsonl, a whole create call but for project and type."""
    return json.dumps(
        {
            "unique_id": f"letter-{number:03}",
            "attachment": f"Dear editor, this is letter no. {number}.",
            "attachment_type": "text",
            "categories": ["kind", "angry"],
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader would stand: some sources, no ledger."""
    (tmp_path / "letters.jsonl").write_text("".join(letter(number) + "\n" for number in range(1, LETTERS + 1)))
    (tmp_path / "mixed.jsonl").write_text(MIXED)
    (tmp_path / "photo.jsonl").write_bytes(PNG)
    (tmp_path / "kitten.png").write_bytes(PNG)
    return tmp_path


@pytest.mark.parametrize("name", ["README.md", "docs/transcripts.md", "docs/ledger.md", "docs/resources.md"])
def test_console_blocks_are_what_the_program_prints(name: str, folder: Path) -> None:
    document = ROOT / name
    if name == "README.md":
        (folder / "letters.jsonl").unlink()  # the page itself says how to make it
    replayed = replay(document, folder)
    rewrite = os.environ.get("SCALESYNC_REWRITE_DOCS")
    if rewrite:
        document.write_text(replayed.updated(whole=rewrite == "all"), "utf-8")
        return
    assert not replayed.differing, "\n\n".join(
        "\n".join([f"{name}: $ {step.command}", "  stands there:", *step.lines, "  was printed:", *actual])
        for step, actual in replayed.differing
    )


def shape(lines: list[str]) -> list[str]:
    """The demo's report without its numbers; the answers, which are sorted by number, in order of the alphabet."""
    plain = [re.sub(r"[\d,]*\d", "N", " ".join(line.split())) for line in lines]
    first = next(number for number, line in enumerate(plain) if line.startswith("annotations exported")) + 1
    last = plain.index("", first)
    return [*plain[:first], *sorted(plain[first:last]), *plain[last:]]


def test_the_readme_shows_what_the_demo_prints(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```text\n(.*?)\n```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    with shell(tmp_path) as running:
        printed = running.run(Step("scalesync demo --quiet --records 60", 0))
    assert shape(printed) == shape(shown.split("\n"))
