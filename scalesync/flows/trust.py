"""How far a list is believed: its pages must belong to the question, and each must bring the reader on."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import anyio

from scalesync.engine.retry import RetryPolicy
from scalesync.errors import BudgetUsed
from scalesync.flows.wiring import Connection
from scalesync.model import Selection
from scalesync.ports import ListPage, TaskView
from scalesync.times import iso

IDLE_PAGES = 200  # in a row that bring no task: some servers search behind an empty page, none for ever
FOREIGN_ANSWERS = RetryPolicy(max_attempts=5, cap_s=2.0)
_AGAIN = "run the same command again to carry on"


async def listed_for(
    asked: Selection,
    query: Mapping[str, Any],
    cursor: str | None,
    connection: Connection,
    note: Callable[[str], None],
) -> tuple[ListPage, list[TaskView]]:
    """One page that answers this question, and the heads of its tasks.

    A page with tasks that cannot belong to it, as a cache or a wrong replica may send, is asked for again. Raises
    BudgetUsed when such pages keep coming.
    """
    rng = random.Random()
    attempt = 1
    while True:
        page, heads = await connection.call(partial(_listed, connection, query, cursor))
        foreign = next((told for head in heads if (told := _foreign(asked, head))), "")
        if not foreign:
            return page, heads
        told = f"the server sent a page that is not of the tasks asked for: {foreign}"
        if not FOREIGN_ANSWERS.may_retry(attempt):
            raise BudgetUsed(f"{told}, {attempt} times; {_AGAIN}")
        if attempt == 1:
            note(f"{told}; asking again")
        await anyio.sleep(FOREIGN_ANSWERS.wait_s(attempt, rng))
        attempt += 1


async def _listed(
    connection: Connection, query: Mapping[str, Any], cursor: str | None
) -> tuple[ListPage, list[TaskView]]:
    page = await connection.platform.page(query, cursor)
    return page, [connection.platform.head(raw) for raw in page.documents]


def _foreign(asked: Selection, head: TaskView) -> str:
    """Why a task cannot be an answer, "" when it can.

    Only by what never changes: between the server's look at its index and its reply a task may be completed, updated
    or tagged. Times are asked a millisecond wider, and their bounds may be inclusive.
    """
    for name in ("project", "batch", "type"):
        wanted, told = getattr(asked, name), head.get(name)
        if wanted and told is not None and told != wanted:
            return f"a task of {name} {told!r}, not {wanted!r}"
    created_ms = head.created_ms()
    after, before = asked.bounds.get("created_after", 0), asked.bounds.get("created_before")
    if created_ms < after - 1 or (before is not None and created_ms > before + 1):
        return f"a task created at {iso(created_ms)}, not from {iso(after)} to {iso(before or after)}"
    return ""


class Advance:
    """Sees that a chain of pages gets on: 8 bytes of each token are kept, 6 MB per million tasks at most."""

    def __init__(self) -> None:
        self._met: set[int] = set()
        self._idle = 0

    def look(self, cursor: str | None, following: str | None, *, new: int) -> None:
        """One page: its own token, the one it names, and how many of its tasks this reading had not met.

        Raises BudgetUsed for a list that leads nowhere.
        """
        if cursor is not None:
            self._met.add(hash(cursor))
        if following is None:
            return
        if hash(following) in self._met:
            raise BudgetUsed(f"the list goes in a circle: the server sent the next_token of an earlier page; {_AGAIN}")
        self._idle = 0 if new else self._idle + 1
        if self._idle >= IDLE_PAGES:
            raise BudgetUsed(
                f"the list leads nowhere: {IDLE_PAGES} pages in a row brought no new task, and the server says that"
                f" there are more; {_AGAIN}"
            )
