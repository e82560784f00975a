"""What an export keeps in the ledger: versions of tasks, steps, the latest run, windows of a backfill."""

from __future__ import annotations

from dataclasses import dataclass, field

from scalesync.model.records import JsonObject


@dataclass(frozen=True, slots=True)
class Version:
    """The newest version of a task that an export has met.

    matched: whether it belonged to the export at that time.
    """

    updated_ms: int
    matched: bool


@dataclass(slots=True)
class Commit:
    """One step of an export, written as a whole.

    partitions: number -> state; done ones too.
    files: path -> (kind, entry).
    versions: task_id -> version.
    parts: task_id -> name of a part -> when it was delivered last, as the service spells it.
    plan: progress of the run.
    """

    partitions: dict[int, JsonObject] = field(default_factory=dict)
    files: dict[str, tuple[str, JsonObject]] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    parts: dict[str, dict[str, str]] = field(default_factory=dict)
    plan: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run of an export as the ledger holds it: its plan, its progress, the states of its partitions."""

    plan: JsonObject
    progress: JsonObject
    partitions: list[JsonObject]
    done: bool


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One window.

    start, end: ISO 8601.
    state: pending, open, done, unsettled or incomplete.
    """

    start: str
    end: str
    state: str
    figures: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """One line met.

    position: its number over all files, ascending.
    left: it says that the task left the export.
    """

    task_id: str
    updated_ms: int
    position: int
    left: bool
