"""scalesync types: which task types are documented, and what each needs, without a key or a request."""

from __future__ import annotations

import pytest

from scalesync.sandbox.scale.tasks import tasktypes
from scalesync.sandbox.scale.v2.state import FAMILY

from .conftest import Run


def test_types_lists_types_that_the_sandbox_makes_and_what_each_needs(run: Run) -> None:
    shown = run("types", "--json", key=None)
    assert (shown.code, shown.err) == (0, "")
    found = {entry["type"]: entry for entry in shown.json["types"]}
    assert len(found) > 20
    assert FAMILY <= set(found) <= set(tasktypes.TYPES) | FAMILY
    assert found["namedentityrecognition"]["required"] == [["text"], ["labels"]]
    people = run("types", key=None)
    assert people.code == 0
    assert [line.split()[0] for line in people.out.splitlines()] == ["type", *found]


@pytest.mark.parametrize(
    ("name", "needs", "may"),
    [
        ("categorization", "attachment or attachments, attachment_type, categories", "allow_multiple"),
        ("textcollection", "attachments, fields", "responses_required"),
    ],
)
def test_types_of_one_name_its_fields(name: str, needs: str, may: str, run: Run) -> None:
    head, row, *rest = run("types", name, key=None).out.splitlines()
    assert head.split() == ["type", "needs"]
    assert row.split("  ") == [name, needs]
    assert may in " ".join(rest)
    assert "unique_id" in " ".join(rest)


def test_a_type_that_is_not_documented_is_answered_with_the_nearest(run: Run) -> None:
    ended = run("types", "categorisation", key=None)
    assert (ended.code, ended.out) == (2, "")
    assert "no documentation has a type 'categorisation'; did you mean 'categorization'?" in ended.err


@pytest.mark.parametrize(("typed", "meant"), [("namedentity", "namedentityrecognition"), ("lidar", None), ("na", None)])
def test_the_beginning_of_a_type_is_answered_with_it(typed: str, meant: str | None, run: Run) -> None:
    hint = "" if meant is None else f"; did you mean {meant!r}?"
    assert f"no documentation has a type {typed!r}{hint}; scalesync types lists them" in run("types", typed).err
