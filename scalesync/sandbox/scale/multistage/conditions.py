"""Which stages a condition leaves out, and the reason in words."""

from __future__ import annotations

from typing import Any

from scalesync.sandbox.core.wire.rawjson import dumps
from scalesync.sandbox.scale.multistage import wire
from scalesync.sandbox.scale.multistage.plan import Condition


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same: 1 and 1.0 are, 1 and true are not."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def failure(condition: Condition, answer: dict[str, Any] | None) -> str:
    """Why a condition does not hold; empty if it does. answer: of the stage it looks at, None if that was skipped."""
    where = f'"{condition.attribute}" of stage "{condition.stage}"'
    value = dumps(condition.value).decode(errors="replace")
    has = answer is not None and _has(answer, condition)
    if has == condition.wanted:
        return ""
    if answer is None:
        return f'{where} has not the value {value}: stage "{condition.stage}" was skipped'
    return f"{where} has {'not ' if condition.wanted else ''}the value {value}"


def _has(answer: dict[str, Any], condition: Condition) -> bool:
    """Whether an annotation has the value, alone or as one of several."""
    annotations = answer.get(wire.ANNOTATIONS)
    for annotation in annotations if isinstance(annotations, list) else ():
        attributes = annotation.get(wire.ATTRIBUTES) if isinstance(annotation, dict) else None
        if not isinstance(attributes, dict) or condition.attribute not in attributes:
            continue
        value = attributes[condition.attribute]
        if any(same(one, condition.value) for one in (value if isinstance(value, list) else [value])):
            return True
    return False
