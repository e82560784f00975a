"""The other jobs of a target that made tasks of a job's records."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from scalesync.ledger.sqlite.jobs import JobStore

_BESIDE = """
SELECT j.name, j.settings, count(*)
  FROM other_records o JOIN rows r ON r.target=? AND r.unique_id=o.unique_id JOIN jobs j ON j.id=r.job
 WHERE o.job=? AND o.state='shared' AND r.state IN ('created', 'adopted') GROUP BY r.job ORDER BY j.name
"""


async def jobs_beside(store: JobStore) -> Sequence[tuple[str, Mapping[str, Any], int]]:
    """(name, settings, tasks) of each other job whose tasks stand for records of this one."""

    def work(db: sqlite3.Connection) -> list[tuple[str, str, int]]:
        return db.execute(_BESIDE, (store.target, store.number)).fetchall()

    return [(name, json.loads(settings), int(number)) for name, settings, number in await store.read(work)]
