"""Sources of an import as the ledger holds them: how they were when they were read, and for what they were named."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

GONE = "gone"


@dataclass(frozen=True, slots=True)
class SourceSplit:
    """One source file of a job. state: `open`, `read`, or `gone` when it was not met any more.

    spec: path, size, time, the name shown, and `under`: what was named for it. shaping: the settings it was read under,
    None where they are not known.
    """

    number: int
    name: str
    spec: Mapping[str, Any]
    state: str
    shaping: str | None


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
