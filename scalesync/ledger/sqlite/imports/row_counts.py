"""The records of a whole job: counts them, reopens failed ones, marks vanished ones."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection

from scalesync.ledger.sqlite.views import SHOWN, STANDS
from scalesync.ledger.states import counted_state, standing_of
from scalesync.model.row_views import Standing
from scalesync.model.rows import CHANGED, Gone, RowState


def count(db: sqlite3.Connection, target: int, job: int) -> dict[str, int]:
    """Records by counted state: created adopted conflicts failed invalid pending duplicates, and gone.

    gone: all rows whose record is gone. If its task lives, a row also counts under the state of the task.
    """
    counts = dict.fromkeys(("created", "adopted", "conflicts", "failed", "invalid", "pending", "duplicates", "gone"), 0)
    for state, gone, number in db.execute(
        f"SELECT {STANDS}, r.gone IS NOT NULL, count(*) FROM rows r WHERE r.target=? AND r.job=? GROUP BY 1, 2",
        (target, job),
    ):
        if state != "gone":
            counts[counted_state(state)] += number
        counts["gone"] += number if gone else 0
    for state, number in db.execute(
        f"SELECT {SHOWN}, count(*) FROM other_records o"
        " LEFT JOIN rows r ON o.state='shared' AND r.target=? AND r.unique_id=o.unique_id"
        " WHERE o.job=? GROUP BY 1",
        (target, job),
    ):
        counts[counted_state(state)] += number
    return counts


def count_homes(db: sqlite3.Connection, job: int, sources: Collection[int] | None = None) -> Counter[Standing]:
    """The job's home rows by how they count.

    sources: the splits whose rows count; None for all splits of the job.
    """
    counts: Counter[Standing] = Counter()
    of_job = "WHERE target=(SELECT target FROM jobs WHERE id=?) AND job=?" + _among(sources)
    for state, reason, was, gone, number in db.execute(
        f"SELECT state, CASE reason WHEN '{CHANGED}' THEN reason END,"
        f" CASE state WHEN 'conflict' THEN json_extract(detail, '$.was') END, gone, count(*) FROM rows {of_job}"
        " GROUP BY 1, 2, 3, 4",
        (job, job),
    ):
        counts[standing_of(RowState(state), reason, was, gone)] += number
    return counts


def failed(db: sqlite3.Connection, target: int, job: int, wanted: Callable[[str, int | None, str], bool]) -> list[str]:
    """Keys of failed rows of the job, shared ones included, for which wanted(key, status, reason) holds.

    A row whose record is gone does not count, because nothing could be sent for it.
    """
    found = db.execute(
        "SELECT unique_id, status, coalesce(reason, '') FROM rows WHERE target=? AND state='failed' AND"
        " ((job=? AND gone IS NULL) OR"
        " unique_id IN (SELECT unique_id FROM other_records WHERE job=? AND state='shared'))",
        (target, job, job),
    ).fetchall()
    return [key for key, status, reason in found if wanted(key, status, reason)]


def reopen(db: sqlite3.Connection, target: int, job: int, wanted: Callable[[str, int | None, str], bool]) -> int:
    """Make the rows that `failed` finds pending. Returns how many."""
    keys = [(target, key) for key in failed(db, target, job, wanted)]
    db.executemany("UPDATE rows SET state='pending' WHERE target=? AND unique_id=?", keys)
    return len(keys)


def _among(sources: Collection[int] | None) -> str:
    return "" if sources is None else f" AND source IN ({','.join(map(str, sources))})"


def _go_to_copies(
    db: sqlite3.Connection, target: int, job: int, is_present: Callable[[str], bool], sources: Collection[int]
) -> None:
    """Move rows whose record is gone from these sources to a copy of the record in another source of the job."""
    numbers = ",".join(map(str, sources))
    copies = db.execute(
        "SELECT o.source, o.line, o.unique_id FROM other_records o JOIN rows r ON r.target=? AND"
        f" r.unique_id=o.unique_id AND r.job=o.job AND r.source IN ({numbers}) AND r.content=o.content"
        f" WHERE o.job=? AND o.state='duplicate' AND o.source NOT IN ({numbers})",
        (target, job),
    )
    moves = {key: (source, line) for source, line, key in copies if not is_present(key)}
    for key, (source, line) in moves.items():
        db.execute(
            "UPDATE rows SET source=?, line=?, gone=NULL WHERE target=? AND unique_id=?", (source, line, target, key)
        )
        db.execute("DELETE FROM other_records WHERE job=? AND source=? AND line=?", (job, source, line))


def mark_gone(
    db: sqlite3.Connection, job: int, present: int, is_present: Callable[[str], bool], sources: Collection[int] | None
) -> int:
    """Flag home rows whose record is not present, and clear the flag of the others. Returns how many are flagged.

    present: home rows that the run met.
    sources: the splits whose rows count; None for all splits of the job.
    """
    (target,) = db.execute("SELECT target FROM jobs WHERE id=?", (job,)).fetchone()
    if sources is not None:
        _go_to_copies(db, target, job, is_present, sources)
    whose = f"target=? AND job=?{_among(sources)}"
    total, flagged = db.execute(f"SELECT count(*), count(gone) FROM rows WHERE {whose}", (target, job)).fetchone()
    if total != present or flagged:
        gone, back = [], []
        for key, flag in db.execute(f"SELECT unique_id, gone FROM rows WHERE {whose}", (target, job)):
            here = is_present(key)
            if not here and flag is None:
                gone.append((target, key))
            elif here and flag is not None:
                back.append((target, key))
        db.executemany(f"UPDATE rows SET gone={Gone.GONE} WHERE target=? AND unique_id=?", gone)
        db.executemany("UPDATE rows SET gone=NULL WHERE target=? AND unique_id=?", back)
    row = db.execute("SELECT count(gone) FROM rows WHERE target=? AND job=?", (target, job)).fetchone()
    return int(row[0])
