"""A number in a key or a name counts by its value: 7 and 7.0 are one record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scalesync.errors import RecordError
from scalesync.mapping.body import BodyBuilder, BodySpec
from scalesync.mapping.template import Template
from scalesync.model.records import Outgoing, SourceRecord
from scalesync.platforms.scale.spec import SPEC


def build(record: dict[str, Any], template: dict[str, Any] | None = None, **spec: Any) -> Outgoing:
    shaped = Template.EMPTY if template is None else Template.from_mapping(template)
    return BodyBuilder(BodySpec("categorization", template=shaped, **spec), SPEC.shaper).build(
        SourceRecord(1, record), 0
    )


WHOLE = [(7, 7.0, "7"), (0, -0.0, "0"), (10**16, 1e16, "10000000000000000"), (-3, -3.0, "-3")]


@pytest.mark.parametrize(("whole", "floating", "text"), WHOLE)
@pytest.mark.parametrize("expression", ["{id}", "item-{id}", "item-{row.id}", "item-{id?}"])
def test_whole_floats_make_the_same_unique_id_as_integers(
    whole: int, floating: float, text: str, expression: str
) -> None:
    keys = []
    for number in (whole, floating):
        record = {"id": number, "row": {"id": number}, "attachment": "a"}
        keys += [
            build(record, unique_id=expression).key,
            build(record, {"task": {"unique_id": expression}}).key,
        ]
    assert set(keys) == {expression.replace("row.", "").replace("{id}", text).replace("{id?}", text)}


@pytest.mark.parametrize(("whole", "floating", "text"), WHOLE)
def test_whole_floats_make_the_same_batch_project_and_own_id(whole: int, floating: float, text: str) -> None:
    for number in (whole, floating):
        made = build({"n": number, "unique_id": number}, batch="b-{n}", project="p")
        assert (made.key, made.batch) == (text, f"b-{text}")
        assert build({"n": number}, batch="{n}").batch == text
        if number:  # an own batch or project of 0 counts as none
            assert build({"batch": number, "project": number}).batch == text
            assert build({"project": number}).project == text
        assert json.loads(build({"n": number}, {"task": {"batch": "x{n}"}}).body)["batch"] == f"x{text}"


@pytest.mark.parametrize("number", [7.5, 1e-7])
def test_a_fraction_alone_is_no_name(number: float) -> None:
    with pytest.raises(RecordError, match="unique_id is a number, not a string"):
        build({"id": number}, unique_id="{id}")
    assert build({"id": number}, unique_id="i{id}").key == f"i{number}"
