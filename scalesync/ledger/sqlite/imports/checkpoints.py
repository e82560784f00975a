"""Checkpoints of sources in the ledger. With them a run leaves lines unread that an earlier run finished."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from scalesync.ledger.sqlite import splits
from scalesync.ledger.sqlite.writer import Writer
from scalesync.model.jobs import SourceCursor
from scalesync.model.records import Checkpoint
from scalesync.model.rows import CHANGED, RecordState

# A row in these states needs no second reading of an unchanged line. A conflict over a changed record does need it.
_QUIET = "state IN ('created', 'adopted', 'failed') OR (state='conflict' AND coalesce(reason, '')<>?)"
_REPEATS = "('duplicate', 'clash')"
# Older ledgers hold no content for a repeat; such a repeat is compared again.
_STILL = f"state='invalid' OR (state IN {_REPEATS} AND content IS NOT NULL)"


class CheckpointStore:
    """A `Checkpoints`: the checkpoints of a job's sources, and the rows before them."""

    def __init__(self, writer: Writer, *, target: int, job: int) -> None:
        self._writer = writer
        self._target = target
        self._job = job

    async def marked(self, settings: str) -> frozenset[int]:
        """The sources that have checkpoints made with these settings."""
        query = (
            "SELECT number FROM splits WHERE job=? AND kind='source' AND cursor IS NOT NULL"
            " AND json_extract(cursor, '$.settings')=? AND json_array_length(cursor, '$.marks')>0"
        )
        values = (self._job, settings)
        found = await self._writer.read(lambda db: db.execute(query, values).fetchall())
        return frozenset(number for (number,) in found)

    async def load(self, number: int) -> list[tuple[Checkpoint, int]]:
        """The checkpoints of one of these sources, each with the number of home rows up to it."""
        query = "SELECT cursor FROM splits WHERE job=? AND number=?"
        (kept,) = await self._writer.read(lambda db: db.execute(query, (self._job, number)).fetchone())
        return splits.cursor_marks(kept)

    async def keep(self, number: int, cursor: SourceCursor) -> None:
        """Write the checkpoints of a source that the run is still reading."""
        values = (splits.cursor_to_json(cursor), self._job, number)
        await self._writer.write(
            lambda db: db.execute("UPDATE splits SET state='open', cursor=? WHERE job=? AND number=?", values)
        )

    async def first_open_line(self, number: int) -> int | None:
        """The first line of a source that has to be read again, because its row is not final; None if there is none."""
        job = self._job

        def work(db: sqlite3.Connection) -> int | None:
            row = db.execute(
                f"SELECT min(line) FROM rows WHERE target=? AND job=? AND source=? AND gone IS NULL AND NOT ({_QUIET})",
                (self._target, job, number, CHANGED),
            ).fetchone()
            other = db.execute(
                f"SELECT min(line) FROM other_records WHERE job=? AND source=? AND NOT ({_STILL})", (job, number)
            ).fetchone()
            return min((line for (line,) in (row, other) if line is not None), default=None)

        found: int | None = await self._writer.read(work)
        return found

    async def first_alone(
        self, number: int, repeats: Callable[[RecordState, str, bytes, bytes | None], bool]
    ) -> int | None:
        """The first line of a source that was a repeat and no longer is; None if all repeats still are.

        repeats(state, unique_id, content, first) runs in the ledger's thread and says whether a duplicate or clash
        still is one. first: content of the earlier record; None if that record is in another source.
        """
        query = (
            "SELECT o.line, o.state, o.unique_id, o.content, r.content FROM other_records o"
            " LEFT JOIN rows r ON r.target=? AND r.unique_id=o.unique_id AND r.job=o.job AND r.source=o.source"
            " AND r.line<o.line AND r.gone IS NULL"
            f" WHERE o.job=? AND o.source=? AND o.state IN {_REPEATS} AND o.content IS NOT NULL ORDER BY o.line"
        )

        def work(db: sqlite3.Connection) -> int | None:
            for line, state, *repeat in db.execute(query, (self._target, self._job, number)):
                if not repeats(RecordState(state), *repeat):
                    return int(line)
            return None

        found: int | None = await self._writer.read(work)
        return found

    async def visit(self, number: int, line: int, homes: int, add: Callable[[str, bytes], object]) -> bool:
        """Call `add`, in the ledger's thread, with key and content of each home row up to a line.

        Returns False, without a call, if their number is not `homes`: then some rows belong to lines that vanished.
        """
        where = "FROM rows WHERE target=? AND job=? AND source=? AND line<=? AND gone IS NULL"
        place = (self._target, self._job, number, line)

        def work(db: sqlite3.Connection) -> bool:
            if db.execute(f"SELECT count(*) {where}", place).fetchone()[0] != homes:
                return False
            for key, content in db.execute(f"SELECT unique_id, content {where}", place):
                add(key, content)
            return True

        fits: bool = await self._writer.read(work)
        return fits

    async def keep_other_records(self, number: int, line: int) -> tuple[int, int]:
        """Mark the other records up to a line as seen by this run. Returns their number, and how many are invalid."""
        job = self._job

        def work(db: sqlite3.Connection) -> tuple[int, int]:
            db.execute(
                "UPDATE other_records SET run=(SELECT max(id) FROM runs WHERE job=?)"
                " WHERE job=? AND source=? AND line<=?",
                (job, job, number, line),
            )
            row = db.execute(
                "SELECT count(*), count(CASE WHEN state='invalid' THEN 1 END) FROM other_records"
                " WHERE job=? AND source=? AND line<=?",
                (job, number, line),
            ).fetchone()
            return int(row[0]), int(row[1])

        found: tuple[int, int] = await self._writer.write(work)
        return found
