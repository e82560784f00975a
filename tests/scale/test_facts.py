"""The lists in `facts` are those of the fact sheet and of the SDK's README, where both are at hand."""

from __future__ import annotations

import re

import pytest

from tests.scale import facts
from tests.scale.cassettes import SHARED

SHEET = SHARED / "facts" / "scale-api.md"
README = SHARED / "seeds" / "001_6188df831ec41654.txt"
NEWER = {"V2 API"}  # that copy of the README is older than version 2

if not (SHEET.exists() and README.exists()):
    pytest.skip("no fact sheet here", allow_module_level=True)


def rows(section: str, end: str) -> list[str]:
    """The endpoints in the table of a section; several in one cell are written out."""
    text = SHEET.read_text("utf-8").partition(f"### {section} ")[2].partition(f"### {end} ")[0]
    found = []
    for methods, paths in re.findall(r"^\| ([A-Z /]+) \| (`/[^|]+) \|", text, re.MULTILINE):
        for method in methods.split(" / "):
            given = re.findall(r"`(/[^`?]+)`", paths)
            found += [f"{method} {path}" for path in given]
    return found


def test_every_endpoint_of_the_sheet_is_in_the_list() -> None:
    listed = rows("2.0", "2.1") + rows("2.10", "3.")
    assert len(listed) > 60
    assert sorted(facts.ENDPOINTS) == sorted(listed)


def test_every_section_of_the_readme_is_in_the_list() -> None:
    lines = README.read_text("utf-8").partition("\nInstallation\n")[2].splitlines()
    for section in facts.README:
        assert section in {*lines, *NEWER, "Installation"}, section
    # A heading is a short line by itself that ends without a mark, before a paragraph that begins with a capital.
    after = zip(lines, lines[1:], lines[2:], strict=False)
    short = {line for before, line, behind in after if not before and not behind and re.fullmatch(HEADING, line)}
    assert short - set(facts.README) - NO_HEADING == set()


HEADING = r"[A-Z0-9][A-Za-z0-9' ]{3,40}(\(For Scale \w+ [\w ]+\))?"
NO_HEADING = {"For example"}
