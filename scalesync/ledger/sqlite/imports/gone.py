"""Rows in doubt whose record is gone (`row_counts.mark_gone`): a request may have left before the record vanished."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from scalesync.ledger.sqlite.writer import Writer
from scalesync.model.row_views import Doubtful, LookedUp
from scalesync.model.rows import Gone


def in_doubt(db: sqlite3.Connection, target: int, job: int) -> int:
    """How many rows of a job are gone and in doubt."""
    query = "SELECT count(*) FROM rows WHERE target=? AND job=? AND state='sending' AND gone=?"
    return int(db.execute(query, (target, job, Gone.GONE)).fetchone()[0])


class GoneStore:
    """`GoneRows` of one job."""

    def __init__(self, writer: Writer, *, target: int, job: int) -> None:
        self._writer = writer
        self._target = target
        self._job = job

    async def doubtful(self, after: str, size: int) -> list[Doubtful]:
        """Up to `size` of these rows after a key, in order."""
        query = (
            "SELECT unique_id, intent_ms, content FROM rows WHERE target=? AND job=? AND state='sending' AND gone=?"
            " AND unique_id>? ORDER BY unique_id LIMIT ?"
        )
        values = (self._target, self._job, Gone.GONE, after, size)
        found = await self._writer.read(lambda db: db.execute(query, values).fetchall())
        return [Doubtful(*row) for row in found]

    async def waiting(self) -> int:
        """How many such rows there are."""
        target, job = self._target, self._job
        found: int = await self._writer.read(lambda db: in_doubt(db, target, job))
        return found

    async def conclude(self, found: Sequence[LookedUp]) -> None:
        """Write the results of look-ups. A row that changed meanwhile stays as it is."""
        rows = [(one.gone, one.ref, self._target, one.key, Gone.GONE) for one in found]
        await self._writer.write(
            lambda db: db.executemany(
                "UPDATE rows SET gone=?, task_id=? WHERE target=? AND unique_id=? AND state='sending' AND gone=?", rows
            )
        )
