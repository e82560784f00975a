"""What is wrong with the stages of a blueprint: everything in one go, each with the nearest name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from scalesync.sandbox.scale.multistage.conditions import same
from scalesync.sandbox.scale.multistage.plan import Condition, Plan, Stage, ancestors
from scalesync.sandbox.scale.multistage.reading import nearest


def findings(plan: Plan) -> list[str]:
    """One sentence for each finding; none if the blueprint can be used."""
    found = [f'the name "{name}" is given to {n} stages' for name, n in _counts(plan).items() if n > 1]
    found += _unknown(plan)
    circle = _circle(plan)
    if circle:
        found.append(f"stages wait for each other in a circle: {' -> '.join(circle)}")
    for stage in plan.stages:
        found += [f'stage "{stage.name}": {words}' for words in _conditions(plan, stage)]
    if not found:
        found += _never(plan)
    return found


def _counts(plan: Plan) -> Counter[str]:
    return Counter(stage.name for stage in plan.stages if stage.name)


def _unknown(plan: Plan) -> Iterator[str]:
    for stage in plan.stages:
        for name in stage.after:
            if name not in plan.places:
                yield f'stage "{stage.name}" waits for "{name}", which is not a stage{nearest(name, plan.places)}'


def _circle(plan: Plan) -> list[str]:
    """The names of one circle, the first again at its end; empty if there is none."""
    placed = set(plan.order)
    stuck = {plan.stages[n].name: plan.stages[n].after for n in range(len(plan.stages)) if n not in placed}
    while True:
        within = {name: after for name, after in stuck.items() if any(other in stuck for other in after)}
        if len(within) == len(stuck):
            break
        stuck = within
    path = list(stuck)[:1]
    while path:  # each of these waits for another one of them, so the way comes back
        name = next(other for other in stuck[path[-1]] if other in stuck)
        if name in path:
            return [*path[path.index(name) :], name]
        path.append(name)
    return []


def _conditions(plan: Plan, stage: Stage) -> Iterator[str]:
    before = ancestors(plan.stages, stage.name) if stage.conditions else set()
    for condition in stage.conditions:
        place = plan.places.get(condition.stage)
        if place is None:
            yield f'it looks at "{condition.stage}", which is not a stage{nearest(condition.stage, plan.places)}'
        elif condition.stage not in before or condition.stage == stage.name:
            yield f'it looks at "{condition.stage}", but does not run after it'
        else:
            yield from _value(plan.stages[place], condition)


def _value(looked_at: Stage, condition: Condition) -> Iterator[str]:
    attribute = condition.attribute
    if attribute not in looked_at.attributes:
        hint = nearest(attribute, looked_at.attributes)
        yield f'it looks at "{attribute}", which is not an attribute of stage "{looked_at.name}"{hint}'
        return
    choices = looked_at.attributes[attribute]
    if choices is not None and not any(same(choice, condition.value) for choice in choices):
        hint = nearest(str(condition.value), [str(choice) for choice in choices])
        yield f'"{condition.value}" is not a choice of "{attribute}" of stage "{looked_at.name}"{hint}'


def _never(plan: Plan) -> Iterator[str]:
    """Stages whose conditions exclude each other, also by way of the stages that they look at."""
    wants: dict[str, list[Condition]] = {}
    for place in plan.order:
        stage = plan.stages[place]
        all_of_it = list(stage.conditions)
        for condition in stage.conditions:
            if condition.wanted:  # what has a value has run, so its own conditions held
                all_of_it += wants[condition.stage]
        wants[stage.name] = all_of_it
        for one in all_of_it:
            if one.wanted and any(_excludes(other, one) for other in all_of_it):
                where = f'"{one.attribute}" of stage "{one.stage}"'
                yield f'stage "{stage.name}" can never run: {where} would have to be "{one.value}" and not be it'
                break


def _excludes(one: Condition, other: Condition) -> bool:
    at_the_same = (one.stage, one.attribute) == (other.stage, other.attribute)
    return at_the_same and one.wanted != other.wanted and same(one.value, other.value)
