"""The SQL of other records, which have no row of their own. It runs inside the writer's transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from scalesync.ledger.sqlite.imports.statements import Place, to_json
from scalesync.ledger.sqlite.views import SHARING
from scalesync.model.rows import OtherRecord, RecordState

_BESIDE = frozenset({RecordState.SHARED, RecordState.CHANGED})
MOVED = f"DELETE FROM other_records WHERE job=? AND unique_id=? AND (source, line) <> (?, ?) AND {SHARING}"


def drop_other_records(db: sqlite3.Connection, place: Place, read: Sequence[tuple[int, int, int]]) -> None:
    """Delete other records of earlier runs in stretches (source, first line, last line) that this run read again."""
    db.executemany(
        "DELETE FROM other_records WHERE job=? AND source=? AND line BETWEEN ? AND ? AND run<?",
        [(place.job, source, first, last, place.run) for source, first, last in read],
    )


def write_other_records(db: sqlite3.Connection, place: Place, other_records: Sequence[OtherRecord]) -> None:
    """Write records without a home row. A record replaces an earlier one at the same place.

    A job has at most one record beside a row. If the lines of a source moved, its old place is deleted.
    """
    beside = [(place.job, a.key, a.source, a.line) for a in other_records if a.state in _BESIDE]
    if beside:
        db.executemany(MOVED, beside)
    if other_records:
        db.executemany(
            "INSERT OR REPLACE INTO other_records"
            " (job, source, line, state, unique_id, reason, raw, detail, content, run) VALUES (?,?,?,?,?,?,?,?,?,?)",
            [
                (place.job, a.source, a.line, a.state, a.key, a.reason, a.raw, to_json(a.detail), a.content, place.run)
                for a in other_records
            ],
        )
