"""What must be true, told by the source and the server alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.walks.sources import Files, Letter

DEAD = frozenset({"canceled", "error"})


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the server. key: its unique_id, None once it was cleared."""

    task_id: str
    key: str | None
    status: str
    identity: tuple[int, int]

    @property
    def dead(self) -> bool:
        return self.status in DEAD


def tasks_of(documents: Sequence[Mapping[str, Any]]) -> list[Task]:
    """The server's tasks of records, dead ones included."""
    return [
        Task(
            str(one["task_id"]),
            one.get("unique_id"),
            str(one["status"]),
            (one["metadata"]["number"], one["metadata"]["version"]),
        )
        for one in documents
        if "version" in one["metadata"]
    ]


def repeated(tasks: Sequence[Task], files: Files) -> list[str]:
    """Records that are paid twice: two living tasks for one key."""
    found = Counter(task.identity[0] if files.own_ids else task.identity for task in tasks if not task.dead)
    return [f"record {key} has {number} living tasks" for key, number in found.items() if number > 1]


@dataclass(frozen=True, slots=True)
class Row:
    """What the ledger says of a key."""

    key: str
    state: str
    task_id: str | None


def forgotten(before: Sequence[Row], after: Sequence[Row], tasks: Sequence[Task]) -> list[Row]:
    """Rows that knew their task, which lives on under its key, and say now that there is none."""
    living = {(task.key, task.task_id) for task in tasks if not task.dead}
    now = {row.key: row for row in after}
    knew = [row for row in before if row.state in {"created", "adopted"} and (row.key, row.task_id) in living]
    return [row for row in knew if row.key not in now or now[row.key].state in {"pending", "failed"}]


@dataclass(slots=True)
class Expected:
    """The counts of a job whose import has come to its end. living: keys that have an equal, living task."""

    read: int = 0
    tasks: int = 0
    conflicts: int = 0
    failed: int = 0
    invalid: int = 0
    duplicates: int = 0
    gone: int = 0

    @property
    def done(self) -> bool:
        return not (self.conflicts or self.failed or self.invalid)


def expected(files: Files, tasks: Sequence[Task], start: str = "") -> Expected:
    """What an import that read everything must count, where no task has died and no ledger was lost.

    start: of the names of the files that its job reads. gone: tasks of records that are in none of them; a dead one is
    nobody's any more.
    """
    told = Expected()
    first: dict[Any, Letter] = {}
    held = {task.identity[0] if files.own_ids else task.identity: task for task in tasks if task.key is not None}
    for letter in files.of(start):
        told.read += 1
        if letter.bad:
            told.invalid += 1
            continue
        key = files.key(letter)
        if key in first:
            before = first[key]
            same = (before.identity, before.poison) == (letter.identity, letter.poison)
            told.duplicates += same
            told.conflicts += not same
            continue
        first[key] = letter
        task = held.get(key)
        if task is None:
            told.failed += 1
        elif task.identity == letter.identity and not task.dead and not letter.poison:
            told.tasks += 1
        else:
            told.conflicts += 1
    for key, task in held.items():
        if key not in first:
            told.gone += 1
            told.read += not task.dead
            told.tasks += not task.dead
    return told
