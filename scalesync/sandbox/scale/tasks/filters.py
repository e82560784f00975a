"""The query of GET /tasks as a filter: a base index, a range of creation times, and a predicate for the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scalesync.sandbox.core.lists.index import Index
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call
from scalesync.sandbox.core.wire.times import parse_us
from scalesync.sandbox.scale.state.model import COMPLETED, REVIEWS, STATUSES, Batch, Project, Task
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks.documents import review

NEVER = 1 << 62
RANGES = {
    "created": ("start_time", "end_time"),
    "completed": ("completed_after", "completed_before"),
    "updated": ("updated_after", "updated_before"),
}
KNOWN = frozenset(
    {
        "start_time",
        "end_time",
        "completed_after",
        "completed_before",
        "updated_after",
        "updated_before",
        "status",
        "type",
        "project",
        "batch",
        "customer_review_status",
        "unique_id",
        "tags",
        "limit",
        "next_token",
        "include_attachment_url",
        "limited_response",
        "offset",
    }
)
Range = tuple[int, int]
EVER: Range = (-NEVER, NEVER)


@dataclass(frozen=True)
class Filter:
    """The conditions of a list request. Frozen, because cached results have it as their key.

    Ranges are milliseconds, both ends included; None matches every task.
    """

    project: int | None = None
    batch: int | None = None
    status: str | None = None
    type: str | None = None
    reviews: frozenset[str] | None = None
    tags: frozenset[str] | None = None
    completed: Range | None = None
    updated: Range | None = None

    @property
    def indexed(self) -> bool:
        """Whether an index holds exactly the matching tasks."""
        return not (self.status or self.type or self.reviews or self.tags or self.completed or self.updated)

    def matches(self, task: Task, *, all_tags: bool) -> bool:
        """Whether a task is listed."""
        if self.status is not None and task.status != self.status:
            return False
        if self.updated is not None and not self.updated[0] <= task.updated_ms <= self.updated[1]:
            return False
        if self.project is not None and task.project != self.project:
            return False
        if self.batch is not None and task.batch != self.batch:
            return False
        if self.type is not None and task.type != self.type:
            return False
        return self._matches_rest(task, all_tags)

    def _matches_rest(self, task: Task, all_tags: bool) -> bool:
        completed = self.completed
        if completed is not None and not (task.completed_ms and completed[0] <= task.completed_ms <= completed[1]):
            return False
        if self.reviews is not None and not (task.status == COMPLETED and review(task) in self.reviews):
            return False
        if self.tags is None:
            return True
        own = self.tags.intersection(task.tags or ())
        return len(own) == len(self.tags) if all_tags else bool(own)


@dataclass(frozen=True)
class Listing:
    """A parsed list request."""

    filter: Filter
    created: Range
    unique_ids: tuple[str, ...] | None
    nothing: bool  # a named project or batch does not exist


def parse(world: World, call: Call) -> Listing:
    """Parse the filter of a query. Raises ApiError 400 for an invalid value."""
    if world.config.unknown_query == "error":
        unknown = sorted(set(call.query) - KNOWN)
        if unknown:
            raise ApiError(400, f"Unknown parameter: {unknown[0]}")
    ranges = {name: time_range(world, call, *names) for name, names in RANGES.items()}
    project, lost_project = _project(world, call)
    batch, lost_batch = _batch(world, call)
    nothing = lost_project or lost_batch
    if batch is not None and project is not None and world.batches[batch].project != project:
        nothing = True
    found = Filter(
        project=None if batch is not None else project,
        batch=batch,
        status=_choice(call, "status", STATUSES),
        type=call.first("type"),
        reviews=_reviews(call),
        tags=frozenset(call.query["tags"]) if "tags" in call.query else None,
        completed=ranges["completed"],
        updated=ranges["updated"],
    )
    ids = tuple(dict.fromkeys(call.query["unique_id"])) if "unique_id" in call.query else None
    return Listing(found, ranges["created"] or EVER, ids, nothing)


def time_range(world: World, call: Call, low: str, high: str) -> Range | None:
    """The range that two query parameters set; None if neither is given. Raises ApiError 400."""
    bounds = world.config.time_bounds
    after, before = call.first(low), call.first(high)
    if after is None and before is None:
        return None
    start, end = EVER
    if after is not None:
        us = _time(low, after)
        start = us // 1000 + 1 if bounds == "exclusive" else -(-us // 1000)
    if before is not None:
        us = _time(high, before)
        end = us // 1000 if bounds == "inclusive" else -(-us // 1000) - 1
    return start, end


def _time(name: str, text: str) -> int:
    try:
        return parse_us(text)
    except ValueError:
        raise ApiError(400, f"Invalid {name}: must be an ISO 8601 time") from None


def _choice(call: Call, name: str, allowed: tuple[str, ...]) -> str | None:
    value = call.first(name)
    if value is not None and value not in allowed:
        raise ApiError(400, f"Invalid {name}: must be one of {', '.join(allowed)}")
    return value


def _reviews(call: Call) -> frozenset[str] | None:
    values = call.query.get("customer_review_status")
    if not values:
        return None
    named = frozenset(part for value in values for part in value.split(",") if part)
    if not named <= set(REVIEWS):
        raise ApiError(400, f"Invalid customer_review_status: must be among {', '.join(REVIEWS)}")
    return named


def _project(world: World, call: Call) -> tuple[int | None, bool]:
    name = call.first("project")
    return _named(world, "Project", name, world.project_names.get)


def _batch(world: World, call: Call) -> tuple[int | None, bool]:
    name = call.first("batch")
    return _named(world, "Batch", name, world.batch_names.get)


def _named(
    world: World, kind: str, name: str | None, find: Callable[[str], Batch | Project | None]
) -> tuple[int | None, bool]:
    if name is None:
        return None, False
    found = find(name)
    if found is None:
        if world.config.unknown_parent_in_list == "error":
            raise ApiError(404, f'{kind} "{name}" not found.')
        return None, True
    return found.number, False


def candidates(world: World, wanted: Filter) -> Index:
    """The sorted numbers that a filter selects, before its range of creation times applies."""
    base = world.listed
    if wanted.batch is not None:
        base = world.of_batch[wanted.batch]
    elif wanted.project is not None:
        base = world.of_project[wanted.project]
    if wanted.indexed:
        return base
    all_tags = world.config.tags_match == "all"

    def matches(seq: int) -> bool:
        task = world.by_seq[seq]
        return task is not None and task.listed and wanted.matches(task, all_tags=all_tags)

    return world.view(wanted, matches, base)
