"""Other jobs of a target whose tasks serve records of this job."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

_BESIDE = """
SELECT j.name, j.settings, count(*)
  FROM other_records o JOIN rows r ON r.target=? AND r.unique_id=o.unique_id JOIN jobs j ON j.id=r.job
 WHERE o.job=? AND o.state='shared' AND r.state IN ('created', 'adopted') GROUP BY r.job ORDER BY j.name
"""


def jobs_beside(db: sqlite3.Connection, target: int, job: int) -> list[tuple[str, Mapping[str, Any], int]]:
    """(name, settings, tasks) of each other job whose tasks serve records of this one."""
    found = db.execute(_BESIDE, (target, job)).fetchall()
    return [(name, json.loads(settings), int(number)) for name, settings, number in found]
