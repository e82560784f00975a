"""Tasks that match filters, as the platform lists them when the job begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from scalesync.errors import BudgetUsed
from scalesync.flows.changes.targets.target import Named, Rows
from scalesync.flows.runtime.trust import Advance, Expected, Listed, believed
from scalesync.flows.runtime.wiring import Connection
from scalesync.mapping.seen import SeenTable, Sight
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection

READINGS = 3  # at most, of a list that shows fewer tasks than it counts


class Matching:
    """The tasks of a selection. The list is read to its end before anything changes, for changes move tasks in it.

    Memory holds 12 bytes for each listed task.
    """

    def __init__(self, connection: Connection, selection: Selection, note: Callable[[str], None]) -> None:
        self._connection = connection
        self._selection = selection
        self._note = note
        self._met = SeenTable()

    def sources(self) -> Sequence[tuple[str, JsonObject]]:
        """None: no file names them."""
        return ()

    async def rows(self) -> Rows:
        """Every task that matches, each once. Raises BudgetUsed if the list never shows what it counts."""
        lister = self._connection.platform.lister
        asked = self._selection.only(lister.filters)
        expected = Expected(asked)
        number = 0
        for _ in range(READINGS):
            cursor, total, shown, advance = None, None, 0, Advance()
            mark = b"%d" % _
            while True:
                read = partial(self._page, asked, cursor)
                page, heads, _places = await believed(expected.foreign, read, self._note)
                found = []
                fresh = 0
                for head in heads:
                    sight = self._met.renew(head.ref, mark)
                    if sight is Sight.SAME:
                        continue
                    fresh += 1
                    if sight is Sight.NEW and self._selection.matches(head, head.times()):
                        number += 1
                        found.append(Named(head.ref, None, {}, 0, number))
                shown += fresh
                total = page.total if total is None or page.total is None else min(total, page.total)
                if found:
                    yield found
                advance.look(cursor, page.cursor, new=fresh)
                cursor = page.cursor
                if cursor is None:
                    break
            if total is None or shown >= total:
                return
        raise BudgetUsed(
            f"the list shows {shown:,} tasks and counts {total:,}, even when asked {READINGS} times; nothing was"
            " changed: run the same command again"
        )

    async def _page(self, asked: Selection, cursor: str | None) -> Listed:
        platform = self._connection.platform
        query = platform.lister.query(asked, platform.spec.page_most)
        page = await self._connection.call(partial(platform.lister.page, query, cursor))
        return Listed(page, [platform.spec.view(document) for document in page.documents])
