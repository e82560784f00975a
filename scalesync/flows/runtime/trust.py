"""Checks of lists: pages must belong to the query, and each page must make progress."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import anyio

from scalesync.engine.backoff import RetryPolicy
from scalesync.errors import BudgetUsed
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.selection import Selection
from scalesync.model.task_view import TaskView
from scalesync.ports.platform import Axis, Lister, ListPage, mirrored
from scalesync.times import iso

IDLE_PAGES = 200  # in a row without a task; some servers send empty pages while they search, but none for ever
FOREIGN_ANSWERS = RetryPolicy(max_attempts=5, cap_s=2.0)
_AGAIN = "run the same command again to resume"


class Listed(NamedTuple):
    """One page, the heads of its tasks, and, if the reader goes by them, their places on the axis of the list."""

    page: ListPage
    heads: Sequence[TaskView]
    places: Sequence[int] = ()


class ForeignPages(BudgetUsed):
    """Pages of another query kept coming."""


class Expected:
    """What a task of a selection must be.

    Only facts count that never change or change in one direction, because a task may be completed, updated or tagged
    between the server's look at its index and its reply. The request's times are a millisecond wider, and bounds may
    be inclusive.
    """

    def __init__(self, asked: Selection) -> None:
        members = {"project": asked.project, "batch": asked.batch, "type": asked.type}
        self._members = [(name, wanted) for name, wanted in members.items() if wanted]
        self._after = asked.bounds.get("created_after", 0)
        self._before = asked.bounds.get("created_before")
        self._since = asked.bounds.get("updated_after", 0)

    def foreign(self, listed: Listed) -> str:
        """Why a page holds a task that cannot belong to the selection; "" if all can."""
        return next(filter(None, map(self.foreign_task, listed.heads)), "")

    def foreign_task(self, head: TaskView) -> str:
        """Why a task cannot belong to the selection; "" if it can."""
        for name, wanted in self._members:
            reported = head.get(name)
            if reported is not None and reported != wanted:
                return f"a task of {name} {reported!r}, not {wanted!r}"
        after, before, since = self._after, self._before, self._since
        if after or before is not None:
            created_ms = head.created_ms()
            if created_ms < after - 1 or (before is not None and created_ms > before + 1):
                return f"a task created at {iso(created_ms)}, not from {iso(after)} to {iso(before or after)}"
        if since:
            updated_ms = head.times()["updated"]
            if 0 < updated_ms < since - 1:
                return f"a task updated last at {iso(updated_ms)}, not since {iso(since)}"
        return ""


@dataclass(frozen=True, slots=True)
class Question:
    """The query of one chain of pages: tasks of a selection within a range of places.

    expected: by the part of `asked` that the requests carry.
    """

    lister: Lister
    asked: Selection
    expected: Expected
    within: tuple[int, int]
    page_size: int

    def foreign(self, listed: Listed) -> str:
        """Why a page cannot be an answer; "" if it can. The request's bounds are one place wider, maybe inclusive."""
        return next(filter(None, map(self._foreign_task, listed.heads, listed.places)), "")

    def _foreign_task(self, task: TaskView, place: int) -> str:
        lo, hi = self.within
        match self.lister.axis:
            case Axis.CREATED if not lo - 1 <= place <= hi + 1:
                return f"a task created at {iso(place)}, not from {iso(lo)} to {iso(hi)}"
            case Axis.VERSIONS if not lo - 1 <= place <= hi + 1:
                return f"a version of a task from {iso(place)}, not from {iso(lo)} to {iso(hi)}"
            case Axis.NUMBER if place > hi:
                return f"a task with the id {mirrored(place)}, not from {mirrored(hi) + 1} on"
        return self.expected.foreign_task(task)


async def listed_for(
    question: Question, cursor: str | None, connection: Connection, note: Callable[[str], None]
) -> Listed:
    """One page that answers this query. Raises ForeignPages."""
    query = question.lister.query(question.asked, question.page_size, question.within)
    read = partial(_listed, connection.platform.spec.view, question.lister, query, cursor)
    return await believed(question.foreign, lambda: connection.call(read), note)


async def believed(
    foreign: Callable[[Listed], str], read: Callable[[], Awaitable[Listed]], note: Callable[[str], None]
) -> Listed:
    """Call `read` until its page answers this query.

    A cache or a wrong replica may send a page with tasks that cannot belong to it; then it asks again. Raises
    ForeignPages if such pages keep coming.
    """
    rng = random.Random()
    attempt = 1
    while True:
        listed = await read()
        stranger = foreign(listed)
        if not stranger:
            return listed
        what = f"the server sent a page of other tasks than requested: {stranger}"
        if not FOREIGN_ANSWERS.may_retry(attempt):
            raise ForeignPages(f"{what}, {attempt} times; {_AGAIN}")
        if attempt == 1:
            note(f"{what}; asking again")
        await anyio.sleep(FOREIGN_ANSWERS.wait_s(attempt, rng))
        attempt += 1


async def _listed(
    view: Callable[[bytes], TaskView], lister: Lister, query: Mapping[str, Any], cursor: str | None
) -> Listed:
    page = await lister.page(query, cursor)
    heads = [view(raw) for raw in page.documents]
    return Listed(page, heads, [lister.place_of(head) for head in heads])


class Advance:
    """Checks that a chain of pages makes progress: it keeps 8 bytes of each token, at most 6 MB per million tasks."""

    def __init__(self) -> None:
        self._met: set[int] = set()
        self._idle = 0

    def look(self, cursor: str | None, following: str | None, *, new: int) -> None:
        """One page: its own token, its next token, and how many of its tasks are new to this reading.

        Raises BudgetUsed for a list that leads nowhere.
        """
        if cursor is not None:
            self._met.add(hash(cursor))
        if following is None:
            return
        if hash(following) in self._met:
            raise BudgetUsed(f"the list goes in a circle: the server sent the cursor of an earlier page; {_AGAIN}")
        self._idle = 0 if new else self._idle + 1
        if self._idle >= IDLE_PAGES:
            raise BudgetUsed(
                f"the list leads nowhere: {IDLE_PAGES} pages in a row brought no new task, and the server says that"
                f" there are more; {_AGAIN}"
            )
