"""A row of the ledger as its users see it: an admission, a check, a look-up of records that are gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scalesync.model.rows import CHANGED, FINAL, Gone, RowState


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger holds of a key.

    home: the row was brought by the admitting job.
    place: source and line.
    gone: as in the row.
    ref: the row's task.
    loose: the task is another one than the row's content asks for, and was adopted all the same.
    accepted: content of this job's record that accepted the row's task, though it was made for another content.
    """

    state: RowState
    content: bytes
    intent_ms: int
    reason: str | None
    was: str | None
    home: bool
    place: tuple[int, int] = (0, 0)
    gone: int | None = None
    loose: bool = False
    ref: str | None = None
    accepted: bytes | None = None

    @property
    def seen_from_beside(self) -> RowState:
        """The state for another job: a task whose record changed at home is what it was."""
        if self.state is RowState.CONFLICT and self.reason == CHANGED:
            return RowState(self.was or RowState.CREATED)
        return self.state


@dataclass(frozen=True, slots=True)
class Held:
    """A row as a check sees it.

    turned: the dead status of its task, when an earlier check found it so.
    was: the state before that, or before its record changed.
    home: whether the row is the job's own.
    dead: the status of the dead task that a conflict is about, turned or found so.
    gone: no source holds its record any longer.
    accepted: content of the job's record that accepted the row's task, though it was made for another one.
    terms: in what the task differed then, None if nobody looked (see `contents.terms`).
    """

    key: str
    state: RowState
    ref: str | None
    content: bytes
    intent_ms: int
    reason: str | None
    was: str | None
    turned: str | None
    home: bool
    source: int
    line: int
    dead: str | None = None
    gone: bool = False
    accepted: bytes | None = None
    terms: Mapping[str, str] | None = None

    @property
    def ours(self) -> bool:
        """Whether the row once came to have a task of its own."""
        return self.state in FINAL or self.was is not None

    @property
    def is_others(self) -> bool:
        """Whether it is a conflict over a task that was made for somebody else's record."""
        return self.state is RowState.CONFLICT and not self.ours and not self.is_changed

    @property
    def is_changed(self) -> bool:
        """Whether it is a conflict because its record changed after its task was made."""
        return self.state is RowState.CONFLICT and self.reason == CHANGED


@dataclass(frozen=True, slots=True)
class Turn:
    """A row whose task died, or came back to life.

    status: of the task error. turned None: it lives.
    """

    row: Held
    turned: str | None
    reason: str | None = None
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a home row counts: with its record as it was last met, and if this reading does not meet it. None: not."""

    now: str | None
    gone: str | None


class Doubtful(NamedTuple):
    """A row that is gone, and for whose record a request may have left.

    intent_ms: server time.
    """

    key: str
    intent_ms: int
    content: bytes


class LookedUp(NamedTuple):
    """What the server said of one.

    ref: its living task.
    """

    key: str
    gone: Gone
    ref: str | None = None
