"""Templates and the texts with placeholders in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.errors import ConfigError, RecordError
from scalesync.mapping.expressions import MISSING, Expression
from scalesync.mapping.template import Template

EXAMPLES = Path(__file__).parents[2] / "config" / "examples"


def render(task: dict[str, Any], record: dict[str, Any], **rest: Any) -> Any:
    return Template.from_mapping({"task": task, **rest}).render(record)


@pytest.mark.parametrize("value", [1, 1.5, True, None, "", "x", [1, {"a": 2}], {"a": []}, 2**70])
def test_a_placeholder_alone_keeps_the_type(value: Any) -> None:
    assert render({"f": "{n}", "l": ["{n}"]}, {"n": value}) == {"f": value, "l": [value]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (7, "7"),
        (1.0, "1"),
        (7.5, "7.5"),
        (1e16, "10000000000000000"),
        (-0.0, "0"),
        (True, "true"),
        (False, "false"),
        ("", ""),
    ],
)
def test_inside_a_text_values_become_texts(value: Any, text: str) -> None:
    assert render({"f": "a-{n}-{n}"}, {"n": value}) == {"f": f"a-{text}-{text}"}


@pytest.mark.parametrize(("value", "words"), [(None, "is null"), ([1], "is a list"), ({"a": 1}, "is an object")])
def test_inside_a_text_some_values_cannot_stand(value: Any, words: str) -> None:
    with pytest.raises(RecordError, match=f'column "n" {words}'):
        render({"f": "a{n}"}, {"n": value})


def test_a_missing_column_is_named_and_so_are_those_there() -> None:
    with pytest.raises(RecordError, match=r'no column "txt" \(there is text, label\)'):
        render({"f": "{txt}"}, {"text": 1, "label": 2})
    with pytest.raises(RecordError, match=r"and 12 more"):
        render({"f": "a {b.c}"}, {f"c{n}": n for n in range(20)})


def test_nested_names_and_names_with_dots() -> None:
    record = {"a": {"b": {"c": 1}, "l": [{"u": "x"}]}, "a.b": "flat"}
    task = {"n": "{a.b.c}", "f": "{a.b}", "l": "{a.l.0.u}"}
    assert render(task, record) == {"n": 1, "f": "flat", "l": "x"}
    with pytest.raises(RecordError):
        render({"f": "{a.l.1.u}"}, record)


@pytest.mark.parametrize("absent", [{}, {"label": ""}, {"label": None}])
def test_optional_fields_are_left_out(absent: dict[str, Any]) -> None:
    task = {"t": "<{label?}>", "m": {"label": "{label?}", "x": 1}, "l": ["{label?}", "z"]}
    assert render(task, absent) == {"t": "<>", "m": {"x": 1}, "l": ["z"]}
    assert render(task, {"label": "y"}) == {"t": "<y>", "m": {"x": 1, "label": "y"}, "l": ["y", "z"]}


def test_a_column_may_end_in_a_question_mark() -> None:
    assert render({"f": "{Is it ok?}"}, {"Is it ok?": "yes"}) == {"f": "yes"}


def test_doubled_braces_are_braces_with_and_without_placeholders() -> None:
    task = {"a": "{{x}}", "b": "{{{x}}}", "c": {"d": "}}{{"}, "{key}": "k", "e": ""}
    expected = {"a": "{x}", "b": "{1}", "c": {"d": "}{"}, "{key}": "k", "e": ""}
    assert render(task, {"x": 1}) == expected
    assert render({"a": "{{x}}", "l": ["{{", 3]}, {}) == {"a": "{x}", "l": ["{", 3]}


@pytest.mark.parametrize("text", ["{", "}", "a{b", "a}b", "{}", "{ }", "{?}", "{a{b}}", "{{a}"])
def test_braces_that_do_not_match_are_reported_when_loading(text: str) -> None:
    with pytest.raises(ConfigError):
        Template.from_mapping({"task": {"f": text}})


@given(st.text())
def test_doubling_braces_gives_any_text(text: str) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert Expression(doubled).fill({}) == text
    assert Expression(doubled + "{x}").fill({"x": "!"}) == text + "!"
    assert Expression("{x?}").fill({}) is MISSING


def test_json_columns() -> None:
    template = Template.from_mapping({"task": {"l": "{labels}", "o": "{o.p?}"}, "json": ["labels", "o.p", "q"]})
    record = {"labels": '["a", 1]', "o": {"p": " ", "r": 1}}
    assert template.render(record) == {"l": ["a", 1]}
    assert record == {"labels": '["a", 1]', "o": {"p": " ", "r": 1}}
    assert template.render({"labels": [1], "o": {"p": "[2]"}}) == {"l": [1], "o": [2]}
    assert template.render({"labels": str(2**70)}) == {"l": 2**70}
    for cell in ("[1", "NaN", "x"):
        with pytest.raises(RecordError, match='column "labels" is not valid JSON'):
            template.render({"labels": cell})


def test_rendering_changes_neither_record_nor_template() -> None:
    template = Template.from_mapping({"task": {"a": {"b": [1], "c": "{x}"}}})
    first = template.render({"x": 1})
    first["a"]["c"] = "spoiled"
    assert template.render({"x": 2}) == {"a": {"b": [1], "c": 2}}


def test_mapping_and_fingerprint() -> None:
    mapping = {"task": {"a": "{x}", "unique_id": "{x}"}, "keep": ["x"], "json": ["y"]}
    template = Template.from_mapping(mapping)
    assert template.as_mapping() == mapping
    again = Template.from_mapping(json.loads(json.dumps(template.as_mapping())))
    assert again.fingerprint() == template.fingerprint()
    assert (again.keep, again.json_columns, again.unique_id) == (("x",), ("y",), "{x}")
    assert Template.from_mapping({**mapping, "keep": []}).fingerprint() != template.fingerprint()
    assert Template.EMPTY.as_mapping() == {"task": {}}
    assert Template.EMPTY.keep is None
    assert Template.EMPTY.render({"a": 1}) == {}
    assert "unique_id" not in template.render({"x": 1})


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"tasks": {}}, 'unknown key "tasks"'),
        ({"task": []}, "task is a table, not a list"),
        ({"keep": "a"}, "keep is a list"),
        ({"json": [1]}, "json is a list"),
        ({"task": {"unique_id": 7}}, "unique_id is a string"),
        ({"task": {"a": float("inf")}}, "task.a is not a finite number"),
        ([], "a template is a table"),
    ],
)
def test_templates_that_cannot_be_used(mapping: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Template.from_mapping(mapping)


def test_loading_files(tmp_path: Path) -> None:
    toml = tmp_path / "t.toml"
    toml.write_bytes(b'\xef\xbb\xbf[task]\na = "{x}"\nday = 2024-01-02\nat = 2024-01-02T03:04:05Z\n')
    assert Template.load(toml).render({"x": 1}) == {
        "a": 1,
        "day": "2024-01-02",
        "at": "2024-01-02T03:04:05+00:00",
    }
    as_json = tmp_path / "t.json"
    as_json.write_text('{"task": {"a": "{x}"}}')
    assert Template.load(str(as_json)).render({"x": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.toml", b"[task]\na = \n", r"t\.toml:2: "),
        ("t.toml", b"[task]\na = '\xff'\n", "t.toml: "),
        ("t.json", b'{"task":', "t.json: is not valid JSON"),
        ("t.toml", b"keeps = []\n", 't.toml: unknown key "keeps"'),
        ("t.toml", b"[task]\na = '{'\n", "t.toml: the braces"),
    ],
)
def test_broken_files_are_reported_with_their_place(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        Template.load(tmp_path / name)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Template.load(tmp_path / "none.toml")


def test_all_examples_load() -> None:
    names = sorted(path.stem for path in EXAMPLES.glob("*.toml") if path.stem != "profile")
    assert {"banking77", "clinc", "kinetics", "nlvr2", "pandaset", "taco"} <= set(names)
    for name in names:
        Template.load(EXAMPLES / f"{name}.toml")
