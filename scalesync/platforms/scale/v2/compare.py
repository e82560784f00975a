"""Compare a chat with the record of the same key. Pure.

A task of version 2 shows its metadata, its project and its batch. It holds neither the template variables nor the
callback address (official SDK, Task2), so these cannot be compared; a server that shows them all the same is believed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from scalesync.model.outcomes import Comparison, Match
from scalesync.model.records import JsonObject
from scalesync.platforms.scale.compare import echoes
from scalesync.times import milliseconds

NAMED = {"project_name": "project", "batch_name": "batch"}
_NOWHERE = object()


def differences(body: Mapping[str, Any], task: JsonObject) -> tuple[dict[str, tuple[Any, Any]], frozenset[str]]:
    """Fields of the create body that the task shows otherwise, field -> (ours, theirs); and those it does not show."""
    found: dict[str, tuple[Any, Any]] = {}
    hidden = set()
    for field, ours in body.items():
        name = NAMED.get(field, field)
        theirs = task.get(name, _NOWHERE)
        if field in NAMED:  # an id says nothing; a task without a batch shows none, which does
            theirs = theirs.get("name", _NOWHERE) if isinstance(theirs, dict) else _NOWHERE
        if theirs is _NOWHERE:
            hidden.add(name)
        elif not echoes(ours, theirs):
            found[name] = (ours, theirs)
    return found, frozenset(hidden)


def compare(body: JsonObject, task: JsonObject, learned: Collection[str], dead: Collection[str]) -> Comparison:
    """Compare a create body with the task under its key.

    learned: fields that the server is known to rewrite.
    dead: statuses of tasks that nobody works on.
    """
    found, hidden = differences(body, task)
    unclear = hidden | {name for name in found if name in learned}
    found = {name: pair for name, pair in found.items() if name not in unclear}
    match = Match.DIFFERENT if found else Match.EQUAL
    status = str(task.get("status", ""))
    if status in dead:
        found["status"] = ("pending or completed", status)
        match = Match.DEAD
    return Comparison(
        match,
        ref=str(task.get("task_id", "")),
        created_ms=milliseconds(task.get("created_at")),
        status=status,
        differences=found,
        not_comparable=unclear,
    )
