"""The windows of a backfill in the ledger: for `status`. What counts is the manifest; this follows it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from scalesync.ledger.sqlite.jobs import JobStore
from scalesync.model.exports import WindowRow


class WindowStore:
    """The table of one job's windows. They are splits with numbers below zero: slices count from one."""

    def __init__(self, job: JobStore) -> None:
        self._job = job

    async def replace(self, windows: Sequence[WindowRow]) -> None:
        """Write the whole table."""
        number = self._job.number
        rows = [
            (number, -place, window.start, json.dumps({"end": window.end}), window.state, json.dumps(window.figures))
            for place, window in enumerate(windows, start=1)
        ]

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM splits WHERE job=? AND kind='window'", (number,))
            db.executemany(
                "INSERT INTO splits (job, number, kind, name, spec, state, cursor) VALUES (?,?,'window',?,?,?,?)", rows
            )

        await self._job.write(work)

    async def update(self, window: WindowRow) -> None:
        """Set the state and the figures of one window."""
        values = (window.state, json.dumps(window.figures), self._job.number, window.start)
        await self._job.write(
            lambda db: db.execute(
                "UPDATE splits SET state=?, cursor=? WHERE job=? AND kind='window' AND name=?", values
            )
        )


def windows_of(db: sqlite3.Connection, job: int) -> list[dict[str, Any]]:
    """The table of a job, earliest first: start, end, state and the figures of each window; empty for other jobs."""
    found = db.execute(
        "SELECT name, spec, state, cursor FROM splits WHERE job=? AND kind='window' ORDER BY name", (job,)
    )
    return [
        {"start": name, "end": json.loads(spec)["end"], "state": state, **json.loads(cursor)}
        for name, spec, state, cursor in found
    ]
