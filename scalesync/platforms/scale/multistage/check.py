"""Checks a blueprint as a graph, all findings at once. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any

from scalesync.model.records import JsonObject
from scalesync.platforms.scale.multistage import wire
from scalesync.platforms.scale.multistage.blueprint import Blueprint, Condition, Stage, read, shown
from scalesync.text import did_you_mean

Fact = tuple[str, str, str]  # stage, attribute, the value with its type


def findings(value: Any) -> list[str]:
    """What is wrong with a blueprint in a JSON value, a sentence for each thing; empty for one that can be used.

    It looks at names, order, circles and conditions: a condition may look only at a stage that is finished before, at
    an attribute of that stage's taxonomy, and at one of its choices.
    """
    found: list[str] = []
    blueprint = read(value, found.append)
    return [*found, *_of_graph(blueprint)]


def ready(value: Mapping[str, Any]) -> JsonObject:
    """What is sent of a blueprint: without what the service adds. Raises ValueError with all findings."""
    found = findings(value)
    if found:
        raise ValueError(found[0] if len(found) == 1 else f"{len(found)} things are wrong: {'; '.join(found)}")
    return {name: member for name, member in value.items() if name not in wire.ADDED}


def _of_graph(blueprint: Blueprint) -> Iterator[str]:
    stages = {stage.name: stage for stage in blueprint.stages if stage.name}
    times = Counter(stage.name for stage in blueprint.stages if stage.name)
    yield from (f"{times[name]} stages are called {name!r}" for name in times if times[name] > 1)
    for stage in stages.values():
        for other in stage.after:
            if other not in stages:
                yield f"stage {stage.name!r} is after {other!r}, which is not a stage{did_you_mean(other, stages)}"
    graph = {name: {other for other in stage.after if other in stages} for name, stage in stages.items()}
    circles = list(_circles(graph))
    for circle in circles:
        yield f"stages wait for each other in a circle: {' -> '.join(circle)}"
    for stage in stages.values():
        before = _ancestors(graph, stage.name) if stage.when else set()
        for condition in stage.when:
            yield from _of_condition(stage, condition, stages, before)
    yield from _behind_circles(graph) if circles else _never(stages, graph)


def _circles(graph: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Circles that share no edge with one another, until none is left. The first of each is its last as well."""
    left = {name: set(others) for name, others in graph.items()}
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]
            yield circle
            for earlier, later in pairwise(circle):
                left[later].discard(earlier)
        else:
            return


def _behind_circles(graph: Mapping[str, set[str]]) -> Iterator[str]:
    before = {name: _ancestors(graph, name) for name in graph}
    turning = {name for name in graph if name in before[name]}
    for name in graph:
        if name not in turning and before[name] & turning:
            first = next(other for other in graph if other in before[name] & turning)
            yield f"stage {name!r} can never run: it waits for {first!r}, which is in a circle"


def _ancestors(graph: Mapping[str, set[str]], name: str) -> set[str]:
    """Everything that is finished before a stage begins; the stage itself too, if it is in a circle."""
    found: set[str] = set()
    waiting = list(graph[name])
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += graph[other]
    return found


def _of_condition(stage: Stage, condition: Condition, stages: Mapping[str, Stage], before: set[str]) -> Iterator[str]:
    what = f"stage {stage.name!r} has a condition on"
    looked_at = stages.get(condition.stage)
    if looked_at is None:
        yield f"{what} {condition.stage!r}, which is not a stage{did_you_mean(condition.stage, stages)}"
        return
    if condition.stage not in before:
        near = did_you_mean(condition.stage, before)
        yield f"{what} {condition.stage!r}, which is not finished before it: put it into its `after`{near}"
    attributes = looked_at.attributes
    if attributes is None:
        return  # it has no taxonomy, which is a finding of its own
    if condition.attribute not in attributes:
        near = did_you_mean(condition.attribute, attributes)
        yield f"{what} {condition.attribute!r}, which is not an attribute of stage {condition.stage!r}{near}"
        return
    choices = attributes[condition.attribute]
    if choices is not None and _value(condition.value) not in map(_value, choices):
        near = did_you_mean(str(condition.value), [choice for choice in choices if isinstance(choice, str)])
        yield (
            f"{what} {condition.attribute!r} of stage {condition.stage!r} with {shown(condition.value)},"
            f" which is none of its choices{near}"
        )


def _never(stages: Mapping[str, Stage], graph: Mapping[str, set[str]]) -> Iterator[str]:
    """Stages whose conditions exclude each other.

    A stage that was skipped has no answer, so a condition on a value that is there needs that stage to run, and with it
    the conditions of that stage. There are no circles.
    """
    needs: dict[str, set[tuple[Fact, bool]]] = {}
    for name in TopologicalSorter(graph).static_order():
        needs[name] = set()
        for condition in stages[name].when:
            fact = (condition.stage, condition.attribute, _value(condition.value))
            needs[name].add((fact, condition.holds))
            if condition.holds and condition.stage in needs:
                needs[name] |= needs[condition.stage]
    for name in stages:
        both = [fact for fact, holds in sorted(needs[name]) if holds and (fact, False) in needs[name]]
        for stage, attribute, value in both[:1]:
            yield (
                f"stage {name!r} can never run: its conditions want {attribute!r} of stage {stage!r} to have"
                f" {value} and not to have it"
            )


def _value(value: Any) -> str:
    """A value with its type: 1, true and "1" are three, 1 and 1.0 are one."""
    return repr(int(value)) if type(value) is float and value.is_integer() else repr(value)
