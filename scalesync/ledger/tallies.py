"""The records of a whole job: counted, failed ones reopened, vanished ones marked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from scalesync.ledger.schema import TOLD
from scalesync.model import RecordState, RowState


def count(db: sqlite3.Connection, target: int, job: int) -> dict[str, int]:
    """Records by counted state: created adopted conflicts failed invalid pending duplicates, and gone."""
    counts = dict.fromkeys(("created", "adopted", "conflicts", "failed", "invalid", "pending", "duplicates", "gone"), 0)
    for state, gone, number in db.execute(
        "SELECT state, gone IS NOT NULL, count(*) FROM rows WHERE target=? AND job=? GROUP BY 1, 2",
        (target, job),
    ):
        counts[counted_state(state)] += number
        counts["gone"] += number if gone else 0
    for state, number in db.execute(
        f"SELECT {TOLD}, count(*) FROM other_records o"
        " LEFT JOIN rows r ON o.state='shared' AND r.target=? AND r.unique_id=o.unique_id"
        " WHERE o.job=? GROUP BY 1",
        (target, job),
    ):
        counts[counted_state(state)] += number
    return counts


def count_homes(db: sqlite3.Connection, job: int) -> dict[str, int]:
    """The job's own rows by counted state."""
    counts: dict[str, int] = {}
    of_job = "WHERE target=(SELECT target FROM jobs WHERE id=?) AND job=?"
    for state, number in db.execute(f"SELECT state, count(*) FROM rows {of_job} GROUP BY 1", (job, job)):
        name = counted_state(state)
        counts[name] = counts.get(name, 0) + number
    return counts


COUNTED = {
    RowState.PENDING: "pending",
    RowState.SENDING: "pending",
    RowState.CREATED: "created",
    RowState.ADOPTED: "adopted",
    RowState.CONFLICT: "conflicts",
    RowState.FAILED: "failed",
    RecordState.CLASH: "conflicts",
    RecordState.CHANGED: "conflicts",
    RecordState.INVALID: "invalid",
    RecordState.DUPLICATE: "duplicates",
}


def counted_state(state: str) -> str:
    """The name under which the summary counts a state."""
    return {key.value: name for key, name in COUNTED.items()}[state]


def failed(db: sqlite3.Connection, target: int, job: int, wanted: Callable[[str, int | None, str], bool]) -> list[str]:
    """Keys of failed rows of the job, shared ones included, where wanted(key, status, reason) says so."""
    found = db.execute(
        "SELECT unique_id, status, coalesce(reason, '') FROM rows WHERE target=? AND state='failed' AND"
        " (job=? OR unique_id IN (SELECT unique_id FROM other_records WHERE job=? AND state='shared'))",
        (target, job, job),
    ).fetchall()
    return [key for key, status, reason in found if wanted(key, status, reason)]


def reopen(db: sqlite3.Connection, target: int, job: int, wanted: Callable[[str, int | None, str], bool]) -> int:
    """The rows that `failed` finds become pending; returns how many."""
    keys = [(target, key) for key in failed(db, target, job, wanted)]
    db.executemany("UPDATE rows SET state='pending' WHERE target=? AND unique_id=?", keys)
    return len(keys)


def mark_gone(db: sqlite3.Connection, target: int, job: int, present: int, is_present: Callable[[str], bool]) -> int:
    """Flag home rows whose record is not present, clear the flag of the others; returns how many are flagged."""
    total, flagged = db.execute(
        "SELECT count(*), count(gone) FROM rows WHERE target=? AND job=?", (target, job)
    ).fetchone()
    if total == present and not flagged:
        return 0
    gone, back = [], []
    for key, flagged in db.execute("SELECT unique_id, gone FROM rows WHERE target=? AND job=?", (target, job)):
        present = is_present(key)
        if not present and not flagged:
            gone.append((target, key))
        elif present and flagged:
            back.append((target, key))
    db.executemany("UPDATE rows SET gone=1 WHERE target=? AND unique_id=?", gone)
    db.executemany("UPDATE rows SET gone=NULL WHERE target=? AND unique_id=?", back)
    row = db.execute(
        "SELECT count(*) FROM rows WHERE target=? AND job=? AND gone IS NOT NULL", (target, job)
    ).fetchone()
    return int(row[0])
