"""Blueprints are checked as graphs: against an oracle that walks and plays instead of sorting."""

from __future__ import annotations

import json
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.platforms.scale.multistage.blueprint import Condition, read
from scalesync.platforms.scale.multistage.check import findings
from scalesync.sandbox.scale.multistage import graph, reading

NAMES = "abcde"
WORDS = ("name", "after", "stages", "when", "taxonomy", "labels", "x")
ATTRIBUTES = ("sky", "road")
VALUES = ("x", "y")
TAXONOMY = {"labels": ["car"], "attributes": {name: {"choices": list(VALUES)} for name in ATTRIBUTES}}


def stage(name: str, *after: str, when: Any = (), **more: Any) -> dict[str, Any]:
    return {"name": name, "after": list(after), "taxonomy": TAXONOMY, **({"when": list(when)} if when else {}), **more}


def has(stage: str, attribute: str, value: Any) -> dict[str, Any]:
    return {"stage": stage, "attribute": attribute, "has": value}


def lacks(stage: str, attribute: str, value: Any) -> dict[str, Any]:
    return {"stage": stage, "attribute": attribute, "has_not": value}


def plan(*stages: Any, **more: Any) -> dict[str, Any]:
    return {"name": "drive-v1", "delivery": "stage", "stages": list(stages), **more}


# --- the oracle: reach by a matrix, and every course that a task can take ---------------------------------


def reach(blueprint: dict[str, Any]) -> dict[tuple[str, str], bool]:
    """(before, later) -> whether the one must be over when the other begins; Warshall's way."""
    names = [each["name"] for each in blueprint["stages"]]
    matrix = dict.fromkeys(product(names, names), False)
    for each in blueprint["stages"]:
        for other in each["after"]:
            if other in names:
                matrix[other, each["name"]] = True
    for middle, first, last in product(names, names, names):
        matrix[first, last] = matrix[first, last] or (matrix[first, middle] and matrix[middle, last])
    return matrix


def ever_run(blueprint: dict[str, Any]) -> set[str]:
    """The stages that run in some course: all stages are played in their order with every set of answers."""
    stages = {each["name"]: each for each in blueprint["stages"]}
    asked = sorted(
        {(each["stage"], each["attribute"], each.get("has", each.get("has_not"))) for stage in stages.values()
         for each in stage.get("when", ())}
    )  # fmt: skip
    ran: set[str] = set()
    for given_answers in product((False, True), repeat=len(asked)):
        answers = dict(zip(asked, given_answers, strict=True))
        state: dict[str, bool] = {}
        while len(state) < len(stages):
            ready = [name for name in stages if name not in state and all(o in state for o in stages[name]["after"])]
            for name in ready:
                state[name] = all(
                    (state[c["stage"]] and answers[c["stage"], c["attribute"], c["has"]])
                    if "has" in c
                    else not (state[c["stage"]] and answers[c["stage"], c["attribute"], c["has_not"]])
                    for c in stages[name].get("when", ())
                )
        ran |= {name for name, runs in state.items() if runs}
    return ran


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    names = NAMES[: draw(st.integers(1, 5))]
    order = draw(st.permutations(names))
    edges = st.lists(st.sampled_from(names), max_size=2)
    return plan(*(stage(name, *draw(edges)) for name in order))


@st.composite
def conditional(draw: st.DrawFn) -> dict[str, Any]:
    """Without circles; each condition looks at a stage before."""
    names = NAMES[: draw(st.integers(2, 4))]
    stages: list[dict[str, Any]] = []
    over: dict[str, set[str]] = {}
    for place, name in enumerate(names):
        after = draw(st.sets(st.sampled_from(names[:place]), max_size=2)) if place else set()
        over[name] = after.union(*(over[other] for other in after))
        when = []
        if over[name]:
            for _ in range(draw(st.integers(0, 2))):
                make = draw(st.sampled_from((has, lacks)))
                looked_at = draw(st.sampled_from(sorted(over[name])))
                when.append(make(looked_at, draw(st.sampled_from(ATTRIBUTES)), draw(st.sampled_from(VALUES))))
        stages.append(stage(name, *sorted(after), when=when))
    return plan(*draw(st.permutations(stages)))


@given(graphs())
def test_circles_are_found_exactly_where_there_are_some(blueprint: dict[str, Any]):
    matrix = reach(blueprint)
    names = [each["name"] for each in blueprint["stages"]]
    in_circle = {name for name in names if matrix[name, name]}
    stuck = {name for name in names if name not in in_circle and any(matrix[other, name] for other in in_circle)}
    found = findings(blueprint)
    circles = [text.rpartition(": ")[2].split(" -> ") for text in found if "in a circle: " in text]
    assert bool(circles) == bool(in_circle)
    waits = {each["name"]: each["after"] for each in blueprint["stages"]}
    for circle in circles:
        assert circle[0] == circle[-1]
        assert len(circle) > 1
        assert all(earlier in waits[later] for earlier, later in pairwise(circle))
    assert {text.split("'")[1] for text in found if "can never run: it waits" in text} == stuck
    assert len(found) == len(circles) + len(stuck)


@given(conditional())
def test_a_stage_can_never_run_exactly_if_no_course_of_a_task_runs_it(blueprint: dict[str, Any]):
    never = {each["name"] for each in blueprint["stages"]} - ever_run(blueprint)
    found = findings(blueprint)
    assert {text.split("'")[1] for text in found if "can never run" in text} == never
    assert len(found) == len(never)


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_any_json_gets_its_findings_and_no_error(value: Any):
    assert findings(value)
    assert findings({"name": "n", "stages": [value]})


# --- each finding in its words --------------------------------------------------------------------


def test_a_good_blueprint_has_no_findings_and_becomes_a_value():
    said: list[str] = []
    made = plan(
        stage("boxes"),
        stage("weather"),
        stage("rain", "boxes", "weather", when=[has("weather", "sky", "x"), lacks("boxes", "road", "y")]),
    )
    assert findings(made) == []
    assert findings({**made, "active": True, "version": 3, "created_at": "2026-01-01"}) == []
    found = read(made, said.append)
    assert not said
    assert [each.name for each in found.stages] == ["boxes", "weather", "rain"]
    assert found.stages[2].after == ("boxes", "weather")
    assert found.stages[2].when == (
        Condition("weather", "sky", "x", True),
        Condition("boxes", "road", "y", False),
    )


@pytest.mark.parametrize(
    ("blueprint", "words"),
    [
        (plan(stage("boxes"), stage("tracks", "boxs")), "'boxs', which is not a stage; did you mean 'boxes'?"),
        (plan(stage("a"), stage("a")), "2 stages are called 'a'"),
        (plan(stage("a"), {"name": ""}), "stage 2 has no name"),
        (plan({"name": "a"}), "stage 'a' has no taxonomy: say which labels"),
        (plan({"name": "a", "taxonomy": {"labels": []}}), "its taxonomy has no labels"),
        (plan({"name": "a", "taxonomy": {"labels": [3]}}), "a label is a name, or an object with a choice, not 3"),
        (plan(stage("a", "a")), "in a circle: a -> a"),
        (plan(stage("a", "b"), stage("b", "a"), stage("c", "b")), "stage 'c' can never run: it waits for"),
        (plan(stage("a", tekonomy={})), "stage 'a' has an unknown member 'tekonomy'; did you mean 'taxonomy'?"),
        (plan(stage("a"), delivry="task"), "the blueprint has an unknown member 'delivry'; did you mean 'delivery'?"),
        (plan(stage("a"), delivery="tasks"), "delivery is 'task' or 'stage', not 'tasks'; did you mean 'task'?"),
        (plan(), "stages must be a list with a stage in it"),
        (plan(stage("a"), delivery=None), "delivery is 'task' or 'stage', not null"),
        (plan(stage("a"), name=".."), "'..' cannot be its name, as no address can hold it"),
        (plan(stage("a"), stage("b", "a", when=[has("a", "sky", True)])), "with true, which is none of its choices"),
        ({"stages": [stage("a")]}, "the blueprint has no name"),
        ([], "a blueprint is an object, not a list"),
        (plan(stage("a"), stage("b", when=[has("a", "sky", "x")])), "'a', which is not finished before it"),
        (plan(stage("a"), stage("b", "a", when=[has("aa", "sky", "x")])), "'aa', which is not a stage"),
        (
            plan(stage("a"), stage("b", "a", when=[has("a", "skyy", "x")])),
            "'skyy', which is not an attribute of stage 'a'; did you mean 'sky'?",
        ),
        (plan(stage("a"), stage("b", "a", when=[has("a", "sky", "z")])), "with 'z', which is none of its choices"),
        (plan(stage("a"), stage("b", "a", when=[{"stage": "a"}])), "a condition names a stage and an attribute"),
        (
            plan(stage("a"), stage("b", "a", when=[{**has("a", "sky", "x"), "has_not": "y"}])),
            "a condition names a stage and an attribute, and what it has or has_not",
        ),
        (plan(stage("a"), stage("b", "a", when=[has("a", "sky", ["x"])])), "compares with one value, not with a list"),
        (
            plan(stage("a"), stage("b", "a", when=[has("a", "sky", "x"), lacks("a", "sky", "x")])),
            "stage 'b' can never run: its conditions want 'sky' of stage 'a' to have 'x' and not to have it",
        ),
    ],
)
def test_each_finding_says_what_is_wrong_and_the_nearest_name(blueprint: Any, words: str):
    assert words in "\n".join(findings(blueprint))


def test_all_findings_come_at_once():
    found = findings(plan(stage("a", "z", colour=1), stage("b", "c"), stage("c", "b"), {"name": "d"}, delivery="never"))
    assert len(found) == 5


def test_numbers_truth_and_words_are_different_values():
    taxonomy = {"labels": ["car"], "attributes": {"lanes": {"choices": [1, 2]}, "open": {}}}
    first = {"name": "a", "taxonomy": taxonomy}
    for value, wrong in ((1, 0), (1.0, 0), (True, 1), ("1", 1)):
        assert len(findings(plan(first, stage("b", "a", when=[has("a", "lanes", value)])))) == wrong, value
    assert findings(plan(first, stage("b", "a", when=[has("a", "open", "anything")]))) == []


def test_choices_may_be_objects_as_labels_may():
    taxonomy = {"labels": [{"choice": "car"}], "attributes": {"sky": {"choices": [{"choice": "x"}, "y"]}}}
    first = {"name": "a", "taxonomy": taxonomy}
    for value, wrong in (("x", 0), ("y", 0), ("z", 1)):
        made = plan(first, stage("b", "a", when=[has("a", "sky", value)]))
        theirs: list[str] = []
        theirs += graph.findings(reading.read(made, theirs))
        assert (len(findings(made)), len(theirs)) == (wrong, wrong), value


@pytest.mark.timeout(20)
def test_thousands_of_stages_one_after_the_other_are_checked_in_time():
    made = plan(stage("0"), *(stage(str(n), str(n - 1)) for n in range(1, 20_000)))
    assert findings(made) == []
    theirs: list[str] = []
    read_by_them = reading.read(made, theirs)
    assert [*theirs, *graph.findings(read_by_them)] == []
    assert read_by_them.order == tuple(range(20_000))


# --- beside the sandbox's own check, which shares nothing with this one -----------------------------------


@st.composite
def odd(draw: st.DrawFn) -> dict[str, Any]:
    """A blueprint with conditions, in which a few members were replaced."""
    blueprint = json.loads(json.dumps(draw(conditional())))
    for _ in range(draw(st.integers(0, 2))):
        each = draw(st.sampled_from(blueprint["stages"]))
        places = [(each, "after", [["a"], ["nobody"], [each["name"]], "a"]), (each, "name", ["a", "", 7])]
        places += [(each, "taxonomy", [None, {}, {"labels": []}, {"labels": ["x"]}]), (each, "colour", [1])]
        places += [(when, "attribute", ["sky", "moon"]) for when in each.get("when", ())]
        places += [(when, "has", ["x", True, None, [], {}]) for when in each.get("when", ()) if "has" in when]
        places += [(when, "stage", ["a", "nobody"]) for when in each.get("when", ())]
        places += [(blueprint, "delivery", ["task", "parcel"]), (blueprint, "name", [""])]
        target, name, values = draw(st.sampled_from(places))
        target[name] = draw(st.sampled_from(values))
    return blueprint


@given(odd())
def test_the_service_refuses_exactly_what_the_check_finds(blueprint: dict[str, Any]):
    theirs: list[str] = []
    theirs += graph.findings(reading.read(json.loads(json.dumps(blueprint)), theirs))
    assert bool(findings(blueprint)) == bool(theirs), (findings(blueprint), theirs)
