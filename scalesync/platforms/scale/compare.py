"""Compare a task with the record of the same unique_id. Pure.

A field is equal if the server echoes what the record sets: numbers by value, object members in any order, arrays in
order, links without their signatures. Members that the server adds are ignored. A field that the server rewrites or
does not echo cannot be compared. The program learns these fields from the replies to its own creates, because the task
of such a reply is certainly ours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from scalesync.model.outcomes import Comparison, Match
from scalesync.model.records import JsonObject
from scalesync.signatures import unsigned
from scalesync.times import milliseconds

ABSENT = "(absent)"
_NOWHERE = object()

# Parameters of the call itself, which are not part of the task (Node SDK: create task parameters).
CONTROLS = frozenset({"clear_unique_id_on_error", "project_version", "unique_id"})
# Fields outside `params`. A null in one of them means "not set", and the server fills in its default.
COMMON = frozenset({"project", "batch", "instruction", "callback_url", "metadata", "priority", "tags", "urgency"})
DEAD = frozenset({"canceled", "error"})


def differences(body: Mapping[str, Any], task: JsonObject) -> dict[str, tuple[Any, Any]]:
    """Top-level fields of the create body that the task does not echo: field -> (ours, theirs).

    Common fields are at the task's top level, and the fields of its type are under `params`. A field of a type may have
    the name of a member of every task (`status`), so `params` is searched first.
    """
    params = task.get("params")
    inner: Mapping[str, Any] = params if isinstance(params, dict) else {}
    found: dict[str, tuple[Any, Any]] = {}
    for name, ours in body.items():
        if name in CONTROLS or (ours is None and name in COMMON):
            continue
        here, there = (task, inner) if name in COMMON else (inner, task)
        theirs = here[name] if name in here else there.get(name, _NOWHERE)
        if theirs is _NOWHERE and ours is None:
            continue
        if not echoes(ours, theirs):
            found[name] = (ours, ABSENT if theirs is _NOWHERE else theirs)
    return found


def echoes(ours: Any, theirs: Any) -> bool:
    """Whether `theirs` contains everything in `ours`."""
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
    if isinstance(ours, str) and isinstance(theirs, str) and ours != theirs and ("?" in ours or "?" in theirs):
        return bool(unsigned(ours) == unsigned(theirs))
    return type(ours) is type(theirs) and bool(ours == theirs)


def compare(
    body: JsonObject, task_type: str, task: JsonObject, learned: Collection[str], appended: Collection[str]
) -> Comparison:
    """Compare a create body with the task under its key.

    learned: fields that the server is known to rewrite.
    appended: the instructions that the task's project has or had; the server appends them to the task's own.
    """
    found = differences(body, task)
    unclear = {name for name in found if name in learned}
    if "instruction" in found and is_appended(*found["instruction"], appended):
        unclear.add("instruction")
    found = {name: pair for name, pair in found.items() if name not in unclear}
    their_type = task.get("type")
    if their_type != task_type:
        found["type"] = (task_type, their_type)
    status = str(task.get("status", ""))
    match = Match.DIFFERENT if found else Match.EQUAL
    if status in DEAD:
        found["status"] = ("pending or completed", status)
        match = Match.DEAD
    return Comparison(
        match,
        ref=str(task.get("task_id", "")),
        created_ms=milliseconds(task.get("created_at")),
        status=status,
        differences=found,
        not_comparable=frozenset(unclear),
    )


def is_appended(ours: Any, theirs: Any, appended: Collection[str]) -> bool:
    """Whether their instruction is ours, then only white space, then one of the project's instructions."""
    if not isinstance(ours, str) or not isinstance(theirs, str) or not theirs.startswith(ours):
        return False
    rest = theirs[len(ours) :].strip()
    return any(text.strip() and rest == text.strip() for text in appended)
