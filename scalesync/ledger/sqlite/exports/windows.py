"""The windows of a backfill in the ledger, for `status`. The manifest decides; the ledger follows it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from scalesync.model.exports import WindowRow


def replace(db: sqlite3.Connection, job: int, windows: Sequence[WindowRow]) -> None:
    """Write all windows of a job. They are splits with numbers below zero, because partitions count from one."""
    rows = [
        (job, -place, window.start, json.dumps({"end": window.end}), window.state, json.dumps(window.figures))
        for place, window in enumerate(windows, start=1)
    ]
    db.execute("DELETE FROM splits WHERE job=? AND kind='window'", (job,))
    db.executemany(
        "INSERT INTO splits (job, number, kind, name, spec, state, cursor) VALUES (?,?,'window',?,?,?,?)", rows
    )


def update(db: sqlite3.Connection, job: int, window: WindowRow) -> None:
    """Set the state and the figures of one window."""
    db.execute(
        "UPDATE splits SET state=?, cursor=? WHERE job=? AND kind='window' AND name=?",
        (window.state, json.dumps(window.figures), job, window.start),
    )


def windows_of(db: sqlite3.Connection, job: int) -> list[dict[str, Any]]:
    """The windows of a job, earliest first: start, end, state and figures. Other jobs have none."""
    found = db.execute(
        "SELECT name, spec, state, cursor FROM splits WHERE job=? AND kind='window' ORDER BY name", (job,)
    )
    return [
        {"start": name, "end": json.loads(spec)["end"], "state": state, **json.loads(cursor)}
        for name, spec, state, cursor in found
    ]
