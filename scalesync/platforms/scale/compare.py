"""Is the task found under our unique_id the one that our record asks for? Pure.

A field counts as equal when the server echoes what the record sets: numbers by value, object members in any order,
arrays in order. Members that the server adds are ignored. Fields that it rewrites or does not echo cannot be compared;
which these are is learned from the replies to our own creates, where the task is certainly ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from scalesync.model import JsonObject, Likeness, Verdict
from scalesync.times import milliseconds

ABSENT = "(absent)"

# Instructions to the server about the call itself, no part of the task (Node SDK: create task parameters).
CONTROLS = frozenset({"clear_unique_id_on_error", "project_version", "unique_id"})
DEAD = frozenset({"canceled", "error"})


def differences(body: Mapping[str, Any], task: JsonObject) -> dict[str, tuple[Any, Any]]:
    """Top-level fields of the create body that the task does not echo: field -> (ours, theirs).

    Common fields stand at the task's top level, the fields of its type under `params`.
    """
    params = task.get("params")
    inner: Mapping[str, Any] = params if isinstance(params, dict) else {}
    found: dict[str, tuple[Any, Any]] = {}
    for name, ours in body.items():
        if name in CONTROLS:
            continue
        theirs = task[name] if name in task else inner.get(name, ABSENT)
        if theirs == ABSENT and ours is None:
            continue
        if not echoes(ours, theirs):
            found[name] = (ours, theirs)
    return found


def echoes(ours: Any, theirs: Any) -> bool:
    """Whether `theirs` says all that `ours` says."""
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        return ours == theirs
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and all(
            echoes(value, theirs[name]) if name in theirs else value is None for name, value in ours.items()
        )
    if isinstance(ours, list):
        return (
            isinstance(theirs, list)
            and len(ours) == len(theirs)
            and all(echoes(a, b) for a, b in zip(ours, theirs, strict=True))
        )
    return type(ours) is type(theirs) and bool(ours == theirs)


def judge(body: JsonObject, task_type: str, task: JsonObject, learned: Collection[str], appended: str) -> Verdict:
    """Compare a create body with the task under its key.

    learned: fields that the server is known to rewrite. appended: the project's instruction, which the server puts
    behind the task's own ("" when there is none).
    """
    found = differences(body, task)
    unclear = {name for name in found if name in learned}
    if "instruction" in found and appended and _is_appended(*found["instruction"], appended):
        unclear.add("instruction")
    found = {name: pair for name, pair in found.items() if name not in unclear}
    their_type = task.get("type")
    if their_type != task_type:
        found["type"] = (task_type, their_type)
    status = str(task.get("status", ""))
    likeness = Likeness.DIFFERENT if found else Likeness.EQUAL
    if status in DEAD:
        found["status"] = ("pending or completed", status)
        likeness = Likeness.DEAD
    return Verdict(
        likeness,
        ref=str(task.get("task_id", "")),
        created_ms=milliseconds(task.get("created_at")),
        status=status,
        differences=found,
        not_comparable=frozenset(unclear),
    )


def _is_appended(ours: Any, theirs: Any, appended: str) -> bool:
    return (
        isinstance(ours, str)
        and isinstance(theirs, str)
        and theirs.startswith(ours)
        and theirs.rstrip().endswith(appended.rstrip())
    )
