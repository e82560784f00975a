"""Open requests: their records must not be sent a second time meanwhile, or the service still works on them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from scalesync.ledger.sqlite.writer import Writer
from scalesync.model.chunks import OpenChunk
from scalesync.times import local_ms

# No record of the request is in doubt.
_CLEAR = """NOT EXISTS (SELECT 1 FROM json_each(chunks.keys) k CROSS JOIN rows r
    WHERE r.target = chunks.target AND r.unique_id = k.value AND r.state = 'sending')"""


class ChunkStore:
    """A `ChunkLog`.

    alone: no other job of the target runs at the same time.
    """

    def __init__(self, writer: Writer, *, target: int, job: int, alone: bool) -> None:
        self._writer = writer
        self._target = target
        self._job = job
        self._alone = alone
        self._given_up: list[tuple[int, int]] = []
        self._closed: list[int] = []

    async def begin(self, keys: Sequence[str]) -> int:
        """Write that a request with these records is about to leave. Durable when it returns the request's number."""
        values = (self._job, local_ms(), json.dumps(keys))

        def work(db: sqlite3.Connection) -> int:
            query = "SELECT coalesce(max(number), 0) + 1 FROM chunks WHERE target=?"
            number = int(db.execute(query, (self._target,)).fetchone()[0])
            db.execute(
                "INSERT INTO chunks (target, number, job, sent_ms, keys) VALUES (?,?,?,?,?)",
                (self._target, number, *values),
            )
            return number

        return await self._writer.write(work)

    async def accepted(self, number: int, command: str) -> None:
        """Write the id of the command that the service works on. Durable when it returns."""
        values = (command, self._target, number)
        await self._writer.write(
            lambda db: db.execute("UPDATE chunks SET command=? WHERE target=? AND number=?", values)
        )

    def give_up(self, number: int) -> None:
        """Note that nobody waits for the answer any longer; the next group of outcomes writes it."""
        self._given_up.append((local_ms(), number))

    def close(self, number: int) -> None:
        """Note that all outcomes of the request are known; the next group of outcomes deletes the request."""
        self._closed.append(number)

    def ended(self) -> tuple[Sequence[tuple[int, int]], Sequence[int]]:
        """The requests given up (ms, number) and those closed since the last call, for `write_ended`."""
        ended = self._given_up, self._closed
        self._given_up, self._closed = [], []
        return ended

    def write_ended(self, db: sqlite3.Connection, given_up: Sequence[tuple[int, int]], closed: Sequence[int]) -> None:
        """Write both, in the transaction of the outcomes."""
        if given_up:
            query = "UPDATE chunks SET given_up_ms=? WHERE target=? AND number=?"
            db.executemany(query, [(at_ms, self._target, number) for at_ms, number in given_up])
        if closed:
            query = "DELETE FROM chunks WHERE target=? AND number=?"
            db.executemany(query, [(self._target, number) for number in closed])

    async def open(self) -> Sequence[OpenChunk]:
        """Requests of earlier runs with records in doubt. Deletes the others, and gives up those of killed runs."""
        now_ms = local_ms()
        whose, values = ("target=?", (self._target,)) if self._alone else ("target=? AND job=?", self._own)

        def work(db: sqlite3.Connection) -> list[OpenChunk]:
            _tidy(db, whose, values, now_ms)
            query = f"SELECT number, keys, given_up_ms, command FROM chunks WHERE {whose} ORDER BY number"
            return [_read(row, now_ms) for row in db.execute(query, values)]

        return await self._writer.write(work)

    async def end(self) -> None:
        """End all requests of this run: delete those without a record in doubt, and give the others up."""
        given_up, closed = self.ended()
        now_ms = local_ms()

        def work(db: sqlite3.Connection) -> None:
            self.write_ended(db, given_up, closed)
            _tidy(db, "target=? AND job=?", self._own, now_ms)

        await self._writer.write(work)

    @property
    def _own(self) -> tuple[int, int]:
        return self._target, self._job


def _tidy(db: sqlite3.Connection, whose: str, values: tuple[int, ...], now_ms: int) -> None:
    """Delete requests without a record in doubt. A request without a command counts as given up from now on."""
    db.execute(f"DELETE FROM chunks WHERE {whose} AND {_CLEAR}", values)
    db.execute(
        f"UPDATE chunks SET given_up_ms=? WHERE {whose} AND given_up_ms IS NULL AND command IS NULL", (now_ms, *values)
    )


def _read(row: tuple[int, str, int | None, str | None], now_ms: int) -> OpenChunk:
    """Read one row. A request that was given up has no command to poll. The clock may have been set back meanwhile."""
    number, keys, given_up_ms, command = row
    if given_up_ms is None:
        return OpenChunk(number, json.loads(keys), 0.0, command)
    return OpenChunk(number, json.loads(keys), max(0, now_ms - given_up_ms) / 1000)
