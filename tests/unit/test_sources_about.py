"""A record and where it stood: what goes into the body, what counts as content, and what an older version knew."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.mapping.body import BodyBuilder, BodySpec
from scalesync.mapping.template import Template
from scalesync.model.records import JsonObject, Outgoing, SourceRecord
from scalesync.model.rows import RowState
from scalesync.platforms.scale.spec import SPEC
from scalesync.sources.about import describe, taken_in, written_out
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions

ABOUT = {"name": "a.json", "stem": "a", "path": "sub/a.json", "size": 9}
MOVED = {"name": "b.json", "stem": "b", "path": "b.json", "size": 10}
OWN = {"name": "x", "size": 1}


def build(
    value: JsonObject, about: JsonObject | None = None, template: JsonObject | None = None, **spec: Any
) -> Outgoing:
    compiled = Template.from_mapping(template or {})
    builder = BodyBuilder(BodySpec("categorization", project="cats", template=compiled, **spec), SPEC.shaper)
    return builder.build(SourceRecord(1, value, about), 1)


def sent(record: Outgoing) -> JsonObject:
    body: JsonObject = json.loads(record.body)
    return {key: value for key, value in body.items() if key not in ("project", "unique_id")}


@given(st.lists(st.text("a. z", min_size=1, max_size=5), min_size=1, max_size=3))
def test_names_and_stems_are_those_of_pathlib(parts: list[str]) -> None:
    inside = "/".join(parts)
    if any(part.startswith(".") for part in parts):
        return
    path = PurePosixPath(inside)
    assert describe(inside, 1) == {"name": path.name, "stem": path.stem, "path": inside, "size": 1}
    assert describe(f"{inside}.json.gz", 1)["stem"] == path.name


@pytest.mark.parametrize("own", ["scan.pdf", OWN, None, {**ABOUT, "stem": "other"}, {**ABOUT, "more": 1}])
def test_a_field_of_the_records_own_is_sent_and_counts(own: object) -> None:
    value = {"k": "1", "_file": own}
    for about in (None, ABOUT):
        assert sent(build(value, about)) == value
        assert build(value, about).content != build({"k": "1"}, about).content
        assert build(value, about).content == build(value, MOVED).content
    if isinstance(own, dict):
        assert build({"k": "1", "_file": {**own, "size": 2}}).key != build(value).key


@pytest.mark.parametrize("own", ["scan.pdf", None, ["a"], {"name": "a.json"}])
def test_a_field_of_that_name_in_a_file_of_a_folder_is_the_records_own(tmp_path: Path, own: object) -> None:
    value = {"k": "1", "_file": own}
    (tmp_path / "a.json").write_text(json.dumps(value))
    (tmp_path / "b.jsonl").write_text(json.dumps(value))
    for source in open_sources([str(tmp_path)], ReadOptions()):
        (item,) = [item for block in source.blocks() for item in block.records]
        assert isinstance(item, SourceRecord)
        assert item.value == value
        assert sent(build(item.value, item.about)) == value
        assert build(item.value, item.about).content == build(value).content


def test_where_a_record_stood_is_neither_sent_nor_counted() -> None:
    plain = build({"n": 1})
    for about in (ABOUT, MOVED):
        record = build({"n": 1}, about)
        assert (record.key, record.content, record.body) == (plain.key, plain.content, plain.body)


@pytest.mark.parametrize(
    ("template", "spec", "body"),
    [
        ({"task": {"s": "{_file.stem}"}}, {}, {"s": "a", "n": 1}),
        ({"task": {"m": {"s": ["x-{_file.stem?}"]}}}, {}, {"m": {"s": ["x-a"]}, "n": 1}),
        ({"keep": ["_file.stem"]}, {}, {"_file": {"stem": "a"}}),
        ({}, {"batch": "of-{_file.stem}"}, {"n": 1, "batch": "of-a"}),
        ({}, {"unique_id": "id-{_file.stem}"}, {"n": 1}),
    ],
)
def test_only_what_is_named_of_a_file_counts(template: JsonObject, spec: dict[str, str], body: JsonObject) -> None:
    here, there = ({**ABOUT, **other} for other in ({}, {"path": "elsewhere/a.json", "size": 7}))
    assert sent(build({"n": 1}, here, template, **spec)) == body
    assert build({"n": 1}, here, template, **spec).content == build({"n": 1}, there, template, **spec).content
    assert build({"n": 1}, here, template, **spec).content != build({"n": 1}, MOVED, template, **spec).content
    if "unique_id" not in spec:
        assert build({"n": 1}, here, template, **spec).key == build({"n": 1}).key


def test_a_file_without_content_is_its_description() -> None:
    assert build({}, ABOUT).key == "7b5b041a436198e89708f2cd8cf2d62b"
    assert build({}, {**ABOUT, "size": 8}).key != build({}, ABOUT).key
    assert sent(build({}, ABOUT)) == {}
    assert build({}, ABOUT).former is None


@pytest.mark.parametrize(("value", "about"), [({"n": 1}, ABOUT), ({}, ABOUT), ({"n": 1}, None), ({"_file": 1}, MOVED)])
def test_a_record_written_out_is_the_same_record_again(value: JsonObject, about: JsonObject | None) -> None:
    template = {"task": {"s": "{_file?}", "t": "{_file.stem?}"}}
    line = json.loads(json.dumps(written_out(value, about)))
    again, record = build(line, None, template), build(value, about, template)
    assert (again.key, again.content, again.body) == (record.key, record.content, record.body)
    assert taken_in(line) == ((value, about) if about and "_file" not in value else (value, None))


# What the first version made of these records, taken from its own ledgers.
FORMER = [
    ({"n": 1}, ABOUT, "5566add86a5768e810d1b725fab0e3d1", {}),
    ({"n": 1, "_file": "replaced"}, ABOUT, "5566add86a5768e810d1b725fab0e3d1", {}),
    ({"n": 1}, ABOUT, "5566add86a5768e810d1b725fab0e3d1", {"batch": "b-{_file.stem}"}),
    ({"n": 1, "unique_id": "u"}, ABOUT, "810152962705e9b7f2fb2575d1fc4110", {}),
    ({"k": "1", "_file": OWN}, None, "ffc9e13e5d41597cc65f047e1e426620", {}),
    ({"n": 1, "_file": ABOUT}, None, "5566add86a5768e810d1b725fab0e3d1", {}),
]


@pytest.mark.parametrize(("value", "about", "digest", "spec"), FORMER)
def test_a_row_of_an_older_version_is_the_records_own(
    value: JsonObject, about: JsonObject | None, digest: str, spec: dict[str, str]
) -> None:
    builder = BodyBuilder(BodySpec("categorization", project="cats", **spec), SPEC.shaper)
    record = builder.build(SourceRecord(1, value, about), 1)
    key = str(value.get("unique_id", digest))
    assert record.former is not None
    body = {**json.loads(record.body), "unique_id": key}
    builder.known_as(record, {key: (RowState.CREATED, bytes.fromhex(digest) + b"another batch")})
    assert (record.key, record.content) == (key, bytes.fromhex(digest) + (record.batch or "").encode())
    assert json.loads(record.body) == body


def test_a_row_with_other_content_is_not_taken_for_the_older_one() -> None:
    builder = BodyBuilder(BodySpec("categorization", project="cats"), SPEC.shaper)
    record = builder.build(SourceRecord(1, {"n": 1, "unique_id": "u"}, ABOUT), 1)
    content = record.content
    builder.known_as(record, {"u": (RowState.CREATED, b"0" * 16)})
    builder.known_as(record, {})
    assert (record.key, record.content) == ("u", content)


def test_what_is_read_elsewhere_has_no_former_content() -> None:
    assert build({"n": 1, "_file": "scan.pdf"}).former is None
    assert build({"n": 1}).former is None
