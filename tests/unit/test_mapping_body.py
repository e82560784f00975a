"""Records as bodies of create calls: what wins over what, and which unique_id comes out."""

from __future__ import annotations

import json
import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.errors import ConfigError, RecordError
from scalesync.mapping.body import BodyBuilder, BodySpec
from scalesync.mapping.identity import content_hash, derived_unique_id
from scalesync.mapping.overlay import merge, parse_set, parse_sets
from scalesync.mapping.template import Template
from scalesync.model.records import Outgoing, SourceRecord
from scalesync.platforms.scale.spec import SPEC
from tests.draws import draws


def build(record: dict[str, Any], template: dict[str, Any] | None = None, **spec: Any) -> Outgoing:
    compiled = Template.EMPTY if template is None else Template.from_mapping(template)
    return BodyBuilder(BodySpec("categorization", template=compiled, **spec), SPEC.shaper).build(
        SourceRecord(7, record), 3
    )


def body(record: dict[str, Any], template: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    found = json.loads(build(record, template, **spec).body)
    del found["unique_id"]
    return dict(found)


def test_template_then_record_then_sets() -> None:
    template = {"task": {"a": {"x": 1, "y": 1, "z": "{n}"}, "l": [1, 2], "t": 1}}
    record = {"n": 5, "a": {"y": 2}, "l": [3], "s": {"k": 1, "m": 1}}
    sets = {"s.k": 9, "a": {"x": 9}, "new": None}
    assert body(record, template, sets=sets) == {
        "a": {"x": 9, "y": 2, "z": 5},
        "l": [3],
        "t": 1,
        "n": 5,
        "s": {"k": 9, "m": 1},
        "new": None,
    }


def test_facts_of_the_row() -> None:
    out = build({"unique_id": "u", "a": 1}, project="p", batch="b")
    assert (out.key, out.source, out.line, out.project, out.batch) == ("u", 3, 7, "p", "b")
    assert out.content == content_hash("p", "categorization", {"unique_id": "u", "a": 1}) + b"b"
    assert json.loads(out.body) == {"unique_id": "u", "a": 1, "project": "p", "batch": "b"}


def test_keep() -> None:
    record = {"a": 1, "b": {"c": 2, "d": 3}, "e.f": 4, "_file": {"stem": "x"}}
    assert body(record) == record
    assert body(record, {"keep": []}) == {}
    assert body(record, {"keep": ["a", "b.d", "e.f", "none"]}) == {"a": 1, "b": {"d": 3}, "e.f": 4}
    assert body(record, {"task": {"f": "{_file.stem}"}, "keep": []}) == {"f": "x"}


def test_type_is_no_special_field() -> None:
    assert body({"type": "website"}) == {"type": "website"}


@pytest.mark.parametrize(
    ("record", "template", "spec", "project", "batch"),
    [
        ({}, None, {}, None, None),
        ({"project": "own"}, None, {"project": "flag"}, "own", None),
        ({"project": "own"}, None, {"project": "flag", "force": True}, "flag", None),
        ({"project": ""}, None, {"project": "flag"}, "flag", None),
        ({"project": ""}, {"task": {"project": "tmpl"}}, {}, "tmpl", None),
        ({"project": None}, None, {}, None, None),
        ({"project": "own"}, {"task": {"project": "tmpl"}}, {}, "own", None),
        ({"project": "own"}, {"keep": []}, {"project": "flag"}, "flag", None),
        ({}, {"task": {"project": "tmpl", "batch": "{n?}"}}, {"project": "flag"}, "flag", None),
        ({}, {"task": {"project": "tmpl"}}, {}, "tmpl", None),
        ({"d": 7}, None, {"batch": "{d}"}, None, "7"),
        ({"d": 7}, None, {"batch": "drive-{d}"}, None, "drive-7"),
        ({"d": 7, "batch": "own"}, None, {"batch": "drive-{d}"}, None, "own"),
        ({"d": 7, "batch": "own"}, None, {"batch": "drive-{d}", "force": True}, None, "drive-7"),
        ({"batch": "own"}, None, {"batch": "{d?}", "force": True}, None, "own"),
        ({}, None, {"batch": "{project}-1", "project": "p"}, "p", "p-1"),
        ({}, None, {"sets": {"project": "set", "batch": "b{{1}}"}}, "set", "b{1}"),
        ({"project": "own"}, None, {"sets": {"project": "set"}}, "own", None),
        ({}, None, {"sets": {"project": "set"}, "project": "flag"}, "flag", None),
        ({"m": '{"d": 1}'}, {"json": ["m"], "keep": []}, {"batch": "d{m.d}"}, None, "d1"),
    ],
)
def test_project_and_batch(
    record: dict[str, Any], template: Any, spec: dict[str, Any], project: str | None, batch: str | None
) -> None:
    out = build(record, template, **spec)
    assert (out.project, out.batch) == (project, batch)
    sent = json.loads(out.body)
    assert (sent.get("project"), sent.get("batch")) == (project, batch)
    assert not {key for key, value in sent.items() if key in ("project", "batch") and value is None}


@pytest.mark.parametrize(
    ("record", "template", "expression", "key"),
    [
        ({"unique_id": "own", "a": 1}, None, "{a}", "own"),
        ({"unique_id": 12}, None, None, "12"),
        ({"a": "x"}, None, "{project}/{a}", "p/x"),
        ({"a": "x", "project": "own"}, None, "{project}/{a}", "own/x"),
        ({"a": 5}, None, "{a}", "5"),
        ({"a": 5}, {"task": {"unique_id": "t-{a}"}}, None, "t-5"),
        ({"a": 5}, {"task": {"unique_id": "t-{a}"}}, "f-{a}", "f-5"),
        ({"a": 5, "unique_id": "own"}, {"task": {"unique_id": "t-{a}"}, "keep": []}, "f-{a}", "own"),
        ({"a": 5}, None, "{type}:{a}", "categorization:5"),
    ],
)
def test_unique_ids(record: dict[str, Any], template: Any, expression: str | None, key: str) -> None:
    out = build(record, template, project="p", unique_id=expression)
    assert out.key == key
    assert json.loads(out.body)["unique_id"] == key


@pytest.mark.parametrize("own", ["", None, True, 1.5, [], {}])
def test_unique_ids_that_are_none(own: Any) -> None:
    with pytest.raises(RecordError, match="unique_id is"):
        build({"unique_id": own})
    with pytest.raises(RecordError, match="unique_id is"):
        build({"a": own}, unique_id="{a?}" if own in ("", None) else "{a}")


def test_expressions_without_their_column() -> None:
    with pytest.raises(RecordError, match='no column "nope"'):
        build({"a": 1}, unique_id="{nope}")
    with pytest.raises(RecordError, match='no column "nope"'):
        build({"a": 1}, batch="{nope}")
    with pytest.raises(RecordError, match="batch is empty"):
        build({"a": ""}, batch="{a}")
    with pytest.raises(RecordError, match="project is a list"):
        build({"project": [1]})


def test_derived_ids_know_only_the_source_record() -> None:
    record = {"text": "hello", "u": "https://x.test/a?X-Amz-Signature=1&X-Amz-Date=2"}
    plain = build(record, project="p")
    assert plain.key == derived_unique_id(content_hash("p", "categorization", record))
    changed = build(
        {**record, "u": "https://x.test/a?X-Amz-Signature=7&X-Amz-Date=8"},
        {"task": {"attachment": "{text}"}, "keep": []},
        project="p",
        batch="b",
        sets={"priority": 30},
    )
    assert changed.key == plain.key
    assert build(record, project="q").key != plain.key
    assert "X-Amz-Signature=1" in plain.body.decode()


def test_settings_that_cannot_work_are_reported_at_once() -> None:
    for spec in (
        {"unique_id": "same"},
        {"unique_id": "{"},
        {"batch": "{"},
        {"batch": ""},
        {"sets": {"unique_id": "x"}},
        {"template": Template.from_mapping({"task": {"unique_id": "same"}})},
    ):
        with pytest.raises(ConfigError):
            BodyBuilder(BodySpec("t", **spec), SPEC.shaper)  # type: ignore[arg-type]


def test_big_integers_and_deep_records() -> None:
    assert json.loads(build({"n": 2**80}).body)["n"] == 2**80
    deep: Any = []
    for _ in range(240):
        deep = [deep]
    assert json.loads(build({"d": deep}).body)["d"] == deep
    assert json.loads(build({"d": deep, "n": 2**80}).body)["n"] == 2**80
    for _ in range(20):
        deep = [deep]
    with pytest.raises(RecordError, match="nested too deep"):
        build({"d": deep})


def test_records_and_templates_are_left_alone() -> None:
    template = Template.from_mapping({"task": {"a": {"b": [1]}, "m": {"k": 1}}})
    builder = BodyBuilder(BodySpec("t", project="p", template=template, sets={"m": {"s": 1}, "a.c": 2}), SPEC.shaper)
    record = {"x": 1, "m": {"r": 1}}
    first = builder.build(SourceRecord(1, record), 0)
    assert record == {"x": 1, "m": {"r": 1}}
    assert json.loads(builder.build(SourceRecord(1, {"y": 1}), 0).body)["m"] == {"k": 1, "s": 1}
    assert builder.build(SourceRecord(1, record), 0) == first


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1", {"a": 1}),
        ('a="x=y"', {"a": "x=y"}),
        ("a.b.c=[1]", {"a": {"b": {"c": [1]}}}),
        ("a=null", {"a": None}),
        (f"a={2**70}", {"a": 2**70}),
    ],
)
def test_parse_set(text: str, expected: Any) -> None:
    assert parse_set(text) == expected


@pytest.mark.parametrize("text", ["a", "=1", "a..b=1", "a=", "a=hello", "a=NaN", "a={", "a=\udc80"])
def test_parse_set_errors(text: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        parse_set(text)


def test_parse_set_suggests_quotes() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_set('a=say "hi"')
    assert r"""--set 'a="say \"hi\""'""" in str(caught.value)
    assert parse_sets(["a.b=1", "a.c=2", "a.b=3"]) == {"a": {"b": 3, "c": 2}}


KEYS = st.sampled_from("abcd")
OBJECTS = st.recursive(
    st.dictionaries(KEYS, st.integers() | st.lists(st.integers(), max_size=2), max_size=3),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


@given(OBJECTS, OBJECTS, OBJECTS)
@settings(max_examples=draws(100), deadline=None)
def test_merging(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    assert merge(a, {}) == a
    assert merge({}, b) == b
    assert merge(a, a) == a
    merged = merge(a, b)
    assert merge(merged, b) == merged
    assert merged.keys() == a.keys() | b.keys()
    for key, value in b.items():
        if not isinstance(value, dict):
            assert merged[key] == value
    merge(merged, c)
    assert merged == merge(a, b)


def test_the_batch_of_a_record_that_cannot_be_built_is_reported_where_it_can_be() -> None:
    template = Template.from_mapping({"json": ["n"], "task": {"n": "{n}", "batch": "t-{a}"}})
    cases = [
        ({"a": "x", "n": ""}, None, "t-x"),
        ({"a": "x", "n": "no json"}, "b-{a}", "b-x"),
        ({"a": "x", "n": "{", "batch": "own"}, "b-{a}", "own"),
        ({"a": "x", "n": "{"}, "b-{n}", None),
        ({"n": ""}, None, None),
        ({"a": "x", "n": "", "unique_id": "u"}, "{type}", "categorization"),
    ]
    for value, batch, told in cases:
        builder = BodyBuilder(BodySpec("categorization", batch=batch, template=template), SPEC.shaper)
        record = SourceRecord(1, value)
        with pytest.raises(RecordError):
            builder.build(record, 1)
        assert builder.batch_of(record) == told


@pytest.mark.parametrize(
    ("spec", "template", "record", "key"),
    [
        ({"unique_id": "{project}", "project": "p"}, {}, {"a": 1}, None),
        ({"unique_id": "{type}-{batch}", "batch": "b-{project}", "project": "p"}, {}, {"a": 1}, None),
        ({"unique_id": "{project}", "project": "p", "batch": "{a}"}, {}, {"a": 1}, None),
        ({"unique_id": "{project}"}, {}, {"project": "own"}, "own"),
        ({"unique_id": "{batch}", "batch": "b-{a}"}, {}, {"a": 1}, "b-1"),
        ({"unique_id": "{batch}"}, {"task": {"batch": "t-{a}"}}, {"a": 1}, "t-1"),
        ({"unique_id": "{project}-{a}", "project": "p"}, {}, {"a": 1}, "p-1"),
        ({"unique_id": "{project}", "project": "p"}, {}, {"unique_id": "u"}, "u"),
    ],
)
def test_an_expression_without_a_column_is_refused_unless_the_record_has_one_of_that_name(
    spec: dict[str, str], template: dict[str, Any], record: dict[str, Any], key: str | None
) -> None:
    if key is not None:
        assert build(record, template, **spec).key == key
        return
    with pytest.raises(ConfigError, match="names no column of this record"):
        build(record, template, **spec)


@pytest.mark.parametrize(
    ("spec", "template", "told"),
    [
        ({"batch": ""}, {}, "--batch is empty; give a string"),
        ({"sets": {"batch": 5}}, {}, "--set batch is a number; give a string"),
        ({"unique_id": ""}, {}, "--unique-id is empty"),
        ({"unique_id": "const"}, {}, '--unique-id "const" names no column'),
        ({}, {"task": {"unique_id": ""}}, "unique_id of the template is empty"),
    ],
)
def test_what_cannot_be_an_expression_is_reported_with_its_place(
    spec: dict[str, Any], template: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        build({"a": 1}, template, **spec)


def test_where_a_key_is_known_within_one_project_a_record_of_another_one_is_invalid() -> None:
    builder = BodyBuilder(BodySpec("t", project="cats", platform="toy", one_project=True), SPEC.shaper)
    assert builder.build(SourceRecord(1, {"a": 1}), 1).project == "cats"
    with pytest.raises(RecordError, match="its project is dogs, and a job here has one project: cats"):
        builder.build(SourceRecord(1, {"a": 1, "project": "dogs"}), 1)


def test_a_waiting_body_takes_as_much_memory_as_its_text() -> None:
    """A run holds a thousand bodies and more; the bytes of orjson would keep 4 kB for each."""
    record = {"unique_id": "fleet-07", "attachment": "a" * 300, "metadata": {"frame": 1}}
    build(record)
    tracemalloc.start()
    try:
        bodies = [build(record).body for _ in range(100)]
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < 100 * (sys.getsizeof(bodies[0]) + 100)
