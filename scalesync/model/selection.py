"""Which tasks an export asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class TaskFields:
    """What is known of a task type.

    required: groups of fields, one of each is needed.
    names: all that are known.
    """

    required: tuple[tuple[str, ...], ...]
    names: frozenset[str]


class Members(Protocol):
    """Anything whose members can be asked for by name."""

    def get(self, name: str, /) -> Any:
        """A member by its neutral name (see ports.platform.TaskView), None when there is none."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tasks belong to an export.

    bounds: name such as created_after -> ms since the epoch.

    after is inclusive, before exclusive; several values of one filter mean any of them.

    judged_here: the server was not asked for what can change, so a task without a review status does not match.
    since: only tasks that changed since this cursor, which the platform gave; None for all.
    """

    project: str | None
    batch: str | None
    type: str | None
    status: frozenset[str]
    review_status: tuple[str, ...]
    tags: frozenset[str]
    bounds: Mapping[str, int]
    judged_here: bool = False
    since: Mapping[str, Any] | None = None

    def only(self, names: Collection[str]) -> Selection:
        """The selection by these of its members and bounds, and by no others."""
        left_out: dict[str, Any] = {name: value for name, value in _ANY.items() if name not in names}
        bounds = {name: ms for name, ms in self.bounds.items() if name in names}
        return replace(self, bounds=bounds, **left_out)

    def without(self, names: Collection[str]) -> Selection:
        """The selection by all but these of its members and bounds."""
        return self.only({*_ANY, *self.bounds} - set(names))

    def matches(self, task: Members, times: Mapping[str, int]) -> bool:
        """Whether a task belongs here.

        times: created, updated, completed in ms, 0 when the task has none.
        """
        for name in ("project", "batch", "type"):
            wanted = getattr(self, name)
            if wanted and task.get(name) != wanted:
                return False
        if self.status and task.get("status") not in self.status:
            return False
        if self.tags and not self.tags & set(task.get("tags") or ()):
            return False
        review = task.get("review_status")
        if self.review_status and review not in self.review_status and (review is not None or self.judged_here):
            return False
        for name, ms in self.bounds.items():
            what, _, side = name.partition("_")
            at = times[what]
            if not at or (at < ms if side == "after" else at >= ms):
                return False
        return True


_ANY: Mapping[str, Any] = {
    "project": None,
    "batch": None,
    "type": None,
    "status": frozenset(),
    "review_status": (),
    "tags": frozenset(),
}
