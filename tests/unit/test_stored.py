"""Stored forms: their names are pinned here, whatever the code calls its attributes."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

import pytest

from scalesync.engine import partitions
from scalesync.engine.partitions import Partition
from scalesync.errors import LedgerUnusable
from scalesync.flows.exports import plan
from scalesync.flows.exports.plan import Section
from scalesync.flows.runtime.options import IMPORT_OPTIONS, ImportOptions
from scalesync.outputs.manifest import FileEntry
from scalesync.outputs.writer import OPEN_PART, OpenPart
from scalesync.stored import Form, Member

# What stands in ledgers that exist: a name may be added, none may change.
STORED: dict[str, tuple[Form[Any], type, str]] = {
    "import options": (
        IMPORT_OPTIONS,
        ImportOptions,
        "sources type job project batch unique_id template sets limit dry_run on_conflict reclaim finalize"
        " finalize_anyway canary canary_wait max_new max_failures max_invalid force yes rescan format delimiter"
        " quotechar header encoding records skip_rows folder some at_least_once describe_all blueprint",
    ),
    "partition": (
        partitions._FORM,
        Partition,
        "number lo hi asked_lo at cursor pages listed different inside margin first_total last_total expected ended"
        " done readings unsettled ties doubtful met outrun uncounted behind",
    ),
    "section": (plan._SECTION, Section, "route bounds"),
    "open part": (OPEN_PART, OpenPart, "name rows bytes size"),
}
VALUES = {
    "import options": ImportOptions(
        ("a.jsonl", "b"),
        "categorization",
        sets=("a=1",),
        reclaim=frozenset({"error", "canceled"}),
        header=("x", "y"),
        template={"task": {"instruction": "Sort."}},
        canary_wait=3.5,
    ),
    "partition": Partition(3, 10, 20, 9, 15, cursor="c", ties=["t1"], outrun=[4, 5], expected=2.5),
    "section": Section("2026-11", {"created_after": 1, "created_before": 2}),
    "open part": OpenPart("tasks-00001.jsonl", 3, 99, 120),
}


@pytest.mark.parametrize("name", STORED)
def test_the_stored_names_are_those_of_every_version(name: str) -> None:
    form, made, names = STORED[name]
    assert [member.name for member in form.members] == names.split()
    assert {member.of for member in form.members} == {field.name for field in fields(made)}
    assert list(form.write(VALUES[name])) == names.split()


@pytest.mark.parametrize("name", STORED)
def test_what_was_written_is_read(name: str) -> None:
    form, _, _ = STORED[name]
    assert form.read(json.loads(json.dumps(form.write(VALUES[name])))) == VALUES[name]


@pytest.mark.parametrize("name", STORED)
def test_what_a_newer_version_added_is_left_out_and_a_newer_form_is_refused(name: str) -> None:
    form, _, _ = STORED[name]
    stored = form.write(VALUES[name])
    assert form.read({**stored, "of_a_later_version": [1]}) == VALUES[name]
    with pytest.raises(LedgerUnusable, match="upgrade scalesync"):
        form.read({**stored, "form": 2})


def test_what_older_versions_did_not_write_has_its_old_meaning() -> None:
    first = {"number": 1, "lo": 0, "hi": 9, "asked_lo": 0, "at": 9, "cursor": None, "pages": 2, "listed": 7}
    assert Partition.load(first) == Partition(1, 0, 9, 0, 9, pages=2, listed=7, different=7)
    assert IMPORT_OPTIONS.read({"sources": ["x"], "type": "t"}) == ImportOptions(("x",), "t", describe_all=True)
    assert plan._SECTION.read({"bounds": {}}) == Section("", {})


def test_a_member_that_must_be_there_is_named() -> None:
    with pytest.raises(LedgerUnusable, match="without 'rows'"):
        OPEN_PART.read({"name": "tasks-00001.jsonl"})


@dataclass
class Renamed:
    today: int


def test_a_name_in_the_code_may_change_and_the_stored_one_stays() -> None:
    form = Form(Renamed, "a number", [Member("then", "today", write=str, read=int)], number=3)
    assert form.write(Renamed(4)) == {"form": 3, "then": "4"}
    assert form.read({"form": 3, "then": "4"}) == form.read({"then": "4"}) == Renamed(4)


def test_a_file_of_a_manifest_has_its_names() -> None:
    entry = FileEntry("tasks/tasks-00001.jsonl", 2, 30, "ab" * 32, route="qa", kind="left")
    stored = entry.to_json()
    assert list(stored) == ["path", "rows", "bytes", "sha256", "route", "kind"]
    assert FileEntry.from_json({**stored, "of_a_later_version": 1}) == entry
    with pytest.raises(ValueError, match="rows"):
        FileEntry.from_json({"path": "x", "bytes": 1, "sha256": "x"})
