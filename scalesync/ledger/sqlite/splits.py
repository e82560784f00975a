"""Sources of an import as the ledger holds them: how they were when they were read, and for what they were named."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Set
from typing import Any

from scalesync.model.jobs import SourceSplit


def load(db: sqlite3.Connection, job: int, but: Set[int] = frozenset()) -> list[SourceSplit]:
    """The sources of a job by number, but for some."""
    found = db.execute(
        "SELECT number, name, spec, state, cursor FROM splits WHERE job=? AND kind='source' ORDER BY number", (job,)
    )
    return [
        SourceSplit(number, name, json.loads(spec), state, _shaping(None if cursor is None else json.loads(cursor)))
        for number, name, spec, state, cursor in found
        if number not in but
    ]


def _shaping(cursor: Any) -> str | None:
    return cursor.get("settings") if isinstance(cursor, dict) else None
