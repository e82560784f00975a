"""The canary of an import: watch its first new records before sending the rest.

The server answers 200 and fetches attachments afterwards, so an answer alone says little. A task is accepted when it
was completed, when its record names no URL and the look-up shows the task alive, or when it is still pending at the end
of the wait: a live task says nothing between "attachments fetched" and "annotated".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import anyio

from scalesync.engine.limits import Tally
from scalesync.errors import BudgetUsed
from scalesync.flows.runtime.bulk_lookup import BulkLookup
from scalesync.flows.runtime.dead_tasks import turn_of
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.outcomes import LookupResult, Presence
from scalesync.model.records import Outgoing
from scalesync.ports.verify_ledger import VerifyLedger
from scalesync.text import be, count

FIRST_GAP_S = 0.25
LONGEST_GAP_S = 5.0


@dataclass(frozen=True, slots=True)
class Watched:
    """One record of the canary.

    fetched: its body names a URL, so the server has something to fetch.
    """

    key: str
    fetched: bool
    batch: str | None = None

    @classmethod
    def of(cls, record: Outgoing) -> Watched:
        """The facts to remember about a record that is sent."""
        return cls(record.key, b"://" in record.body, record.batch)


class Canary:
    """Waits for the platform's answer about the watched records."""

    def __init__(self, connection: Connection, store: VerifyLedger, tally: Tally, note: Callable[[str], None]) -> None:
        self._connection = connection
        self._store = store
        self._tally = tally
        self._note = note
        self._lost = 0

    async def judge(
        self, watched: Sequence[Watched], recorded: Callable[[], Awaitable[None]], *, wait_s: float
    ) -> None:
        """Wait for the watched records. Raises BudgetUsed if one was refused, is in conflict, died or cannot be found.

        recorded: waits until every sent record has its outcome in the ledger.
        wait_s: the longest wait after that, seconds.
        """
        await recorded()
        refused = self._tally.failed + self._tally.conflicts
        if refused:
            self._stop(f"{refused} of the first records {'was' if refused == 1 else 'were'} not accepted")
        waiting = await self._look(watched)
        deadline, gap_s = anyio.current_time() + wait_s, FIRST_GAP_S
        if waiting and wait_s:
            sent = count(len(watched), "record")
            self._note(f"{sent} sent; waiting at most {wait_s:g} s for attachments")
        while waiting and anyio.current_time() < deadline:
            await anyio.sleep(max(0.0, min(gap_s, deadline - anyio.current_time())))
            gap_s = min(2 * gap_s, LONGEST_GAP_S)
            waiting = await self._look(waiting)
        if self._lost:
            lost = f"{self._lost} of the first records {be(self._lost)} not listed by the platform"
            self._stop(f"{lost} although it took them")

    async def _look(self, watched: Sequence[Watched]) -> list[Watched]:
        """Look each record up once, and return those that may still die. Raises BudgetUsed if one has died."""
        finder = BulkLookup(self._connection)
        found = await finder.find([one.key for one in watched], {one.key: one.batch for one in watched})
        words = self._connection.words
        dead = [one.key for one in watched if _status(found[one.key]) in words.dead]
        if dead:
            rows = await self._store.held(dead)
            turns = [turn_of(row, found[key], self._connection) for key, row in rows.items()]
            await self._store.turn([turn for turn in turns if turn is not None])
            self._stop(f"{len(dead)} of the first tasks died on the server")
        self._lost = sum(found[one.key].presence is not Presence.FOUND for one in watched)
        return [one for one in watched if _open(one, found[one.key], words.new)]

    def _stop(self, what: str) -> None:
        raise BudgetUsed(
            f"stopped by --canary: {what}; fix that and run the same command"
            " (--reclaim error frees the ids of tasks in error)"
        )


def _status(result: LookupResult) -> str | None:
    return None if result.view is None else result.view.status


def _open(one: Watched, result: LookupResult, new: str | None) -> bool:
    if result.presence is not Presence.FOUND:
        return True  # a list may lag behind the answer to a create
    return one.fetched and _status(result) == new
