"""Requests under way whose records must not be sent twice at once, or that the service works on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from scalesync.ledger.sqlite.writer import Writer
from scalesync.model.chunks import OpenChunk
from scalesync.times import local_ms

# No record of it is in doubt.
_CLEAR = """NOT EXISTS (SELECT 1 FROM json_each(chunks.keys) k CROSS JOIN rows r
    WHERE r.target = chunks.target AND r.unique_id = k.value AND r.state = 'sending')"""


class ChunkStore:
    """A `ChunkLog`. alone: no other job of the target runs beside this one."""

    def __init__(self, writer: Writer, *, target: int, job: int, alone: bool) -> None:
        self._writer = writer
        self._target = target
        self._job = job
        self._alone = alone
        self._given_up: list[tuple[int, int]] = []
        self._closed: list[int] = []

    async def begin(self, keys: Sequence[str]) -> int:
        """A request with these records is about to leave; durable when this returns its number."""
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
        """The service works on it under this id; durable when it returns."""
        values = (command, self._target, number)
        await self._writer.write(
            lambda db: db.execute("UPDATE chunks SET command=? WHERE target=? AND number=?", values)
        )

    def give_up(self, number: int) -> None:
        """From now on nobody waits for its answer; written with the next outcomes."""
        self._given_up.append((local_ms(), number))

    def close(self, number: int) -> None:
        """What became of it is known, and on its way to the ledger: it is forgotten with the next outcomes."""
        self._closed.append(number)

    def ended(self) -> tuple[Sequence[tuple[int, int]], Sequence[int]]:
        """What was given up (ms, number) and closed since the last call, for `write_ended`."""
        ended = self._given_up, self._closed
        self._given_up, self._closed = [], []
        return ended

    def write_ended(self, db: sqlite3.Connection, given_up: Sequence[tuple[int, int]], closed: Sequence[int]) -> None:
        """Write that, within a transaction that holds the outcomes."""
        if given_up:
            query = "UPDATE chunks SET given_up_ms=? WHERE target=? AND number=?"
            db.executemany(query, [(at_ms, self._target, number) for at_ms, number in given_up])
        if closed:
            query = "DELETE FROM chunks WHERE target=? AND number=?"
            db.executemany(query, [(self._target, number) for number in closed])

    async def open(self) -> Sequence[OpenChunk]:
        """Those of earlier runs with records in doubt; the others are forgotten, and killed ones given up."""
        now_ms = local_ms()
        whose, values = ("target=?", (self._target,)) if self._alone else ("target=? AND job=?", self._own)

        def work(db: sqlite3.Connection) -> list[OpenChunk]:
            _tidy(db, whose, values, now_ms)
            query = f"SELECT number, keys, given_up_ms, command FROM chunks WHERE {whose} ORDER BY number"
            return [_read(row, now_ms) for row in db.execute(query, values)]

        return await self._writer.write(work)

    async def end(self) -> None:
        """All requests of this run are over: those without a record in doubt are forgotten, the others given up."""
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
    """Forget what is clear; what has no command to ask for counts as given up from now on, unless it was before."""
    db.execute(f"DELETE FROM chunks WHERE {whose} AND {_CLEAR}", values)
    db.execute(
        f"UPDATE chunks SET given_up_ms=? WHERE {whose} AND given_up_ms IS NULL AND command IS NULL", (now_ms, *values)
    )


def _read(row: tuple[int, str, int | None, str | None], now_ms: int) -> OpenChunk:
    """A command that was polled to its end is no longer asked for. A clock may have been set back."""
    number, keys, given_up_ms, command = row
    if given_up_ms is None:
        return OpenChunk(number, json.loads(keys), 0.0, command)
    return OpenChunk(number, json.loads(keys), max(0, now_ms - given_up_ms) / 1000)
