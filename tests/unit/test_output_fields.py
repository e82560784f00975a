"""Cutting documents to fields."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.errors import ConfigError, RecordError
from scalesync.outputs.fields import FieldPicker, members_of
from tests.draws import draws

DOCUMENT = (
    rb'{"z": 1.0, "task_id" : "a\u00e9\ud83d\ude00", "big": 123456789012345678901234567890, '
    rb'"params": {"attachment": "http:\/\/x", "n": [1, 2.50], "deep": {"a": null, "b": 1e400}}, "status": null}'
)


@pytest.mark.parametrize(
    ("fields", "cut"),
    [
        ("task_id,big", rb'{"task_id":"a\u00e9\ud83d\ude00","big":123456789012345678901234567890}'),
        ("z", b'{"z":1.0}'),
        ("params.attachment, status", rb'{"params":{"attachment":"http:\/\/x"},"status":null}'),
        ("params.n,z,params.deep.b", b'{"params":{"n":[1, 2.50],"deep":{"b":1e400}},"z":1.0}'),
        ("params.deep.a,params.deep", b'{"params":{"deep":{"a": null, "b": 1e400}}}'),
        ("params.deep,params.deep.a", b'{"params":{"deep":{"a": null, "b": 1e400}}}'),
        ("missing,z.deeper,params.n.x,params.none", b"{}"),
    ],
)
def test_named_fields_keep_their_bytes(fields: str, cut: bytes) -> None:
    assert FieldPicker(fields).pick(DOCUMENT) == cut


def test_lone_surrogates_and_odd_bytes_survive() -> None:
    document = b'\n{ "a" :"\\ud800", "b":"\xff\t", "c": {"d" : "\\udfff" } , "a2":[]}'
    assert FieldPicker("a,c.d,b").pick(document) == b'{"a":"\\ud800","c":{"d":"\\udfff"},"b":"\xff\t"}'


@pytest.mark.parametrize("fields", ["", "a,,b", "a.", ".a", "a..b"])
def test_empty_names_are_refused(fields: str) -> None:
    with pytest.raises(ConfigError, match="is not a field name"):
        FieldPicker(fields)


@pytest.mark.parametrize(
    "document", [b"[1]", b"null", b'"\\ud800"', b"", b'{"a":"\\ud800"', b'{"\\ud800" 1}', b"{1:2}", b'["\\ud800"]']
)
def test_what_is_no_object_is_an_error_of_the_record(document: bytes) -> None:
    with pytest.raises(RecordError, match="the document is not"):
        members_of(document)


@settings(max_examples=draws(40), deadline=None)
@given(st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.lists(st.text()), max_size=5))
def test_members_of_any_object_hold_their_values(value: dict[str, object]) -> None:
    members = members_of(json.dumps(value).encode())
    assert {name: json.loads(bytes(raw)) for name, raw in members.items()} == value
