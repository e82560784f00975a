"""A platform's answers: to a send, to a look-up, and how a task compares with its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from scalesync.model.records import JsonObject
from scalesync.model.task_view import TaskView


class OutcomeKind(Enum):
    """The result of one send; each kind has one disposition."""

    CREATED = "created"
    ACCEPTED = "accepted"  # the service works on it: poll the command
    TAKEN = "taken"  # the key is in use: read and compare
    REFUSED = "refused"  # definite no for this record
    THROTTLED = "throttled"  # not processed, wait
    UNAVAILABLE = "unavailable"  # not processed, no connection
    UNKNOWN = "unknown"  # may have been processed: look it up
    NOT_ALLOWED = "not_allowed"  # the key or account: stop the job


class Outcome(NamedTuple):
    """The answer for one record.

    ref: the platform's id, of the other task when TAKEN.
    retry_after_s: seconds that the platform asked to wait.
    astray: something else than the platform answered.
    command: id of the command to poll when ACCEPTED; the records of one chunk may share it.
    """

    kind: OutcomeKind
    ref: str | None = None
    status: int | None = None
    message: str = ""
    retry_after_s: float | None = None
    command: str | None = None
    astray: bool = False


class Presence(Enum):
    """The answer of a look-up about a key."""

    FOUND = "found"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """One key looked up.

    task: the platform's document when FOUND.
    view: the same as the program reads it.
    others: ids of further tasks under the key, where keys may repeat; a record should have one task.
    short: ABSENT, but the list counted more tasks than it showed. A platform that refuses a key in use may be sent the
        record all the same; nothing else may rest on it.
    """

    presence: Presence
    task: JsonObject | None = None
    short: bool = False
    view: TaskView | None = None
    others: tuple[str, ...] = ()


class Match(Enum):
    """How a task found under our key compares with the record."""

    EQUAL = "equal"
    DIFFERENT = "different"
    DEAD = "dead"  # canceled or in error: nobody works on it


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why a task is in error, in the platform's words.

    status: of what it could not fetch, None if unknown.
    """

    words: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Comparison of a record with a task.

    differences: field -> (ours, theirs).
    error: of a task in error.
    others: ids of further tasks under the key.
    """

    match: Match
    ref: str
    created_ms: int
    status: str
    differences: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    not_comparable: frozenset[str] = frozenset()
    error: TaskError | None = None
    others: tuple[str, ...] = ()
