"""Changes that `scalesync apply` makes to many tasks or batches, as a platform declares and carries them out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from scalesync.model.outcomes import LookupResult, Outcome
from scalesync.model.records import JsonObject
from scalesync.ports.operation import Repeat


class Takes(Enum):
    """How an argument is typed. In a cell of a table each is text; in JSON it may also stand as itself."""

    TEXT = "text"  # as it is
    TEXTS = "texts"  # several, with commas
    FLAG = "flag"  # yes or no, true or false, 1 or 0
    NUMBER = "number"  # decimal
    OBJECT = "object"  # in JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeArgument:
    """One argument of a change, for all its tasks or for each in a column of this name.

    needed: there is no change without it.
    """

    words: str
    takes: Takes = Takes.TEXT
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """What a change would do to a task or batch, if its document shows that.

    before, after: the members that it changes; equal if nothing is to be done.
    refused: why the platform would refuse it; empty if it would not.
    """

    before: JsonObject = field(default_factory=dict)
    after: JsonObject = field(default_factory=dict)
    refused: str = ""

    @property
    def is_done(self) -> bool:
        """Whether the document shows that there is nothing to do."""
        return bool(self.after) and is_same(self.before, self.after)


def is_same(one: JsonObject, other: JsonObject) -> bool:
    """Whether two objects are one in JSON, where true is not 1, although it is for Python."""
    return one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSpec:
    """One kind of change.

    name: as typed, in words: "cancel", "tags add", "unique-id clear". What a name implies, as "audit accept" does, only
        the platform knows; `arguments` do not have it.
    words: what it does, as a verb phrase for people: "cancel tasks that nobody has begun".
    subject: "task" or "batch": what it changes.
    arguments: by name.
    plan: the effect on a document, given the arguments. Pure. If the document cannot show the effect (a callback that
        is sent again), `after` is empty.
    repeat: how a request whose outcome is not known is made again.
    undone_by: how the effect is taken back, as a sentence's end; empty if it cannot be, so that a person is asked.
    reads: the request depends on the document (metadata that are merged), so it is read before each.
    check: raises ValueError for arguments that do not go together or that no task can take.
    """

    name: str
    words: str
    plan: Callable[[JsonObject, JsonObject], Planned]
    repeat: Repeat
    subject: str = "task"
    arguments: Mapping[str, ChangeArgument] = field(default_factory=dict)
    undone_by: str = ""
    reads: bool = False
    check: Callable[[JsonObject], None] = lambda arguments: None


class Changer(Protocol):
    """Carries changes out, one in each call, on one platform.

    landing_s: seconds in which a request that was given up may still take effect; before a repeat that compares first.
    """

    landing_s: float

    async def change(self, spec: ChangeSpec, ref: str, arguments: JsonObject, document: JsonObject | None) -> Outcome:
        """Make one change. Never raises for an answer of the service.

        ref: the platform's id of a task, or the name of a batch.
        document: of the task, if the change `reads`.
        CREATED: it was carried out, or the task was so already. REFUSED, also for arguments that cannot be sent;
        THROTTLED, UNAVAILABLE, UNKNOWN, NOT_ALLOWED: as for a create.
        """

    async def read(self, spec: ChangeSpec, ref: str) -> LookupResult:
        """The task or batch as it is; ABSENT if there is none. Raises RemoteError."""
