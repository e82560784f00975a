"""The mutants themselves: each can be made in the tree as it is, and no reader of sources has fewer than three."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.__main__ import MUTANTS, ROOT, chosen, part, replaced
from tests.mutants.model import Mutant

READERS = {
    "JSON lines": ("jsonlines",),
    "JSON arrays": ("jsonarray",),
    "lists in objects": ("jsonwrapped",),
    "CSV and TSV": ("tables", "cells", "dialect"),
    "Parquet": ("parquet", "arrowvalues"),
    "folders": ("folders",),
    "packing": ("bytestream", "zstdframe"),
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_text_that_a_mutant_replaces_is_there_once(mutant: Mutant) -> None:
    """Where this fails, the text moved: let the mutant follow it."""
    for edit in mutant.edits:
        replaced(edit, ROOT)
    assert all((ROOT / path.partition("::")[0]).is_file() for path in mutant.first)


def test_each_mutant_has_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_of_sources_has_three_mutants(reader: str) -> None:
    assert sum(any(Path(edit.file).stem in READERS[reader] for edit in mutant.edits) for mutant in MUTANTS) >= 3


def test_the_parts_together_are_all_of_them() -> None:
    assert [mutant for number in range(1, 8) for mutant in chosen((), *part(f"{number}/7"))] == list(MUTANTS)
    assert {mutant.name for mutant in chosen(["canary", "folder"])} > {mutant.name for mutant in chosen(["canary"])}


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - argparse has the words
        part(text)
