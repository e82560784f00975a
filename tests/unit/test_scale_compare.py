"""Whether a task is the one that a record asks for: field by field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.model.outcomes import Match
from scalesync.platforms.scale.compare import ABSENT, compare, differences, echoes, is_appended

HUGE = 2**64 + 1

# ours, theirs, whether theirs says all that ours says
LINK, SIGNED = "https://files.test/a.png", "X-Amz-Expires=60&X-Amz-Signature="
ECHOES: list[tuple[Any, Any, bool]] = [
    (10, 10.0, True),
    (10.0, 10, True),
    (0.1, 0.1, True),
    (10, 10.5, False),
    (True, 1, False),
    (1, True, False),
    (False, 0, False),
    (True, True, True),
    (True, False, False),
    (HUGE, HUGE, True),
    (HUGE, HUGE + 1, False),
    (HUGE, float(HUGE), False),
    (2**53, float(2**53), True),
    ("a", "a", True),
    ("a", "A", False),
    ("1", 1, False),
    ("", None, False),
    (None, None, True),
    (None, 0, False),
    (None, False, False),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
    ({"a": 1}, {"a": 1, "added": True}, True),
    ({"a": {"b": 1}}, {"a": {"b": 1, "added": [1]}}, True),
    ({"a": [{"b": 1}]}, {"a": [{"b": 1, "added": 2}]}, True),
    ({"a": 1}, {}, False),
    ({"a": None}, {}, True),
    ({"a": None}, {"a": 5}, False),
    ({}, {"a": 1}, True),
    ({}, None, False),
    ({}, [], False),
    ([1, 2], [1, 2], True),
    ([1, 2], [2, 1], False),
    ([1, 2], [1], False),
    ([1], [1, 2], False),
    ([], [], True),
    ([1], (1,), False),
    ([None], [5], False),
    ([[1.0]], [[1]], True),
    ("é", "e\u0301", False),
    # a link that was signed again
    (f"{LINK}?v=1&{SIGNED}1", f"{LINK}?v=1&{SIGNED}2", True),
    ([{"u": f"see {LINK}?{SIGNED}1!"}], [{"u": f"see {LINK}?{SIGNED}2!"}], True),
    (f"{LINK}?{SIGNED}1", LINK, True),
    (LINK, f"{LINK}?{SIGNED}1", True),
    (f"{LINK}?v=1&{SIGNED}1", f"{LINK}?v=2&{SIGNED}1", False),
    (f"{LINK}?v=1", f"{LINK}?v=2", False),
    (f"{LINK}?v=1", LINK, False),
    ("why?", "why", False),
]


@pytest.mark.parametrize(("ours", "theirs", "same"), ECHOES)
def test_a_value_is_echoed_or_not(ours, theirs, same):
    assert echoes(ours, theirs) is same


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def with_more(value: Any) -> Any:
    """The same with a member added to every object, members turned around, whole floats made integers."""
    if isinstance(value, dict):
        turned = {name: with_more(value[name]) for name in reversed(list(value))}
        return {**turned, "added by the server": [True]}
    if isinstance(value, list):
        return [with_more(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


@given(JSON)
def test_whatever_the_server_adds_a_value_is_echoed_by_itself(value):
    assert echoes(value, value)
    assert echoes(value, with_more(value))


def task(**members: Any) -> dict[str, Any]:
    return {
        "task_id": "0" * 24,
        "type": "categorization",
        "status": "pending",
        "created_at": "2024-01-01T00:00:00.500Z",
        "metadata": {},
        "priority": 0,
        "urgency": "standard",
        "callback_url": "https://default.test/hook",
        **members,
    }


# body, task, fields that differ
TABLE: list[tuple[dict[str, Any], dict[str, Any], set[str]]] = [
    ({"attachment": "x"}, task(params={"attachment": "x", "attachment_type": "text"}), set()),
    ({"attachment": "x"}, task(params={"attachment": "y"}), {"attachment"}),
    ({"attachment": "x"}, task(params={}), {"attachment"}),
    ({"attachment": "x"}, task(), {"attachment"}),
    ({"attachment": "x"}, task(params=None), {"attachment"}),
    ({"extra": None}, task(params={}), set()),
    ({"extra": None}, task(params={"extra": None}), set()),
    ({"extra": None}, task(params={"extra": 1}), {"extra"}),
    ({"metadata": {"n": 1}}, task(metadata={"n": 1}), set()),
    ({"metadata": {"n": 1}}, task(metadata={"n": 2}), {"metadata"}),
    ({"metadata": None}, task(metadata={}), set()),
    ({"priority": None, "urgency": None, "callback_url": None, "tags": None}, task(), set()),
    ({"priority": 10}, task(priority=10.0), set()),
    ({"priority": 10}, task(), {"priority"}),
    ({"project": "p"}, task(project="p"), set()),
    ({"project": "p"}, task(project="q"), {"project"}),
    ({"project": "p"}, task(), {"project"}),
    ({"batch": "b"}, task(), {"batch"}),
    ({"unique_id": "u", "project_version": -1, "clear_unique_id_on_error": True}, task(), set()),
    # A field of a type with the name of something that each task has.
    ({"status": "draft"}, task(params={"status": "draft"}), set()),
    ({"status": "draft"}, task(params={"status": "final"}), {"status"}),
    ({"metadata": {"n": 1}}, task(metadata={"n": 2}, params={"metadata": {"n": 1}}), {"metadata"}),
    ({"note": ABSENT}, task(params={}), {"note"}),
]


@pytest.mark.parametrize(("body", "found", "fields"), TABLE)
def test_the_fields_that_differ(body, found, fields):
    assert set(differences(body, found)) == fields


def test_a_difference_shows_both_sides():
    assert differences({"a": 1, "b": 2}, task(params={"a": 5})) == {"a": (1, 5), "b": (2, ABSENT)}


def verdict(body: dict[str, Any], found: dict[str, Any], learned: frozenset[str] = frozenset(), told: str = "") -> Any:
    return compare(body, "categorization", found, learned, frozenset({told} if told else ()))


def test_an_equal_task_is_equal_and_dated():
    same = verdict({"a": 1}, task(params={"a": 1}))
    assert (same.match, same.created_ms, same.status) == (Match.EQUAL, 1_704_067_200_500, "pending")
    assert same.not_comparable == frozenset()


def test_another_type_is_a_difference_even_when_all_fields_are_equal():
    other = verdict({"a": 1}, task(params={"a": 1}, type="annotation"))
    assert other.match is Match.DIFFERENT
    assert other.differences == {"type": ("categorization", "annotation")}


@pytest.mark.parametrize("status", ["canceled", "error"])
@pytest.mark.parametrize("value", [1, 2])
def test_a_dead_twin_is_dead_whether_or_not_it_is_equal(status, value):
    dead = verdict({"a": 1}, task(params={"a": value}, status=status))
    assert (dead.match, dead.status) == (Match.DEAD, status)
    assert "status" in dead.differences


def test_a_completed_task_is_alive():
    assert verdict({}, task(status="completed")).match is Match.EQUAL


def test_learned_fields_are_reported_as_not_comparable_and_decide_nothing():
    found = verdict({"a": 1, "b": 1}, task(params={"a": 2, "b": 1}), frozenset({"a", "b", "c"}))
    assert (found.match, found.not_comparable) == (Match.EQUAL, frozenset({"a"}))
    assert verdict({"a": 1, "d": 1}, task(params={"a": 2}), frozenset({"a"})).differences == {"d": (1, ABSENT)}


PROJECT = "Sort by mood.\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("Read.", "Read.\n\nSort by mood.\n", True),
        ("Read.", "Read.Sort by mood.", True),
        ("Read.", "Read.", False),  # nothing appended: equal, and never asked here
        ("Read.", "Read. Twice.\n\nSort by mood.", False),
        ("Read.", "Write.\n\nSort by mood.", False),
        ("Read.", "Sort by mood.", False),
        (None, "Sort by mood.", False),
        ("Read.", None, False),
        ("", "Sort by mood.", True),
    ],
)
def test_an_instruction_with_the_projects_behind_it(ours, theirs, same):
    assert is_appended(ours, theirs, {PROJECT}) is same


def test_an_appended_instruction_is_not_comparable_but_no_conflict():
    found = verdict({"instruction": "Read."}, task(instruction=f"Read.\n\n{PROJECT}"), told=PROJECT)
    assert (found.match, found.not_comparable) == (Match.EQUAL, frozenset({"instruction"}))
    other = verdict({"instruction": "Read."}, task(instruction=f"Write.\n\n{PROJECT}"), told=PROJECT)
    assert other.match is Match.DIFFERENT


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_instruction_of_the_project_explains_nothing(empty):
    assert not is_appended("Read.", "Read. More.", {empty})
    assert not is_appended("Read.", "Read.", {empty})
