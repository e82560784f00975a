"""Sources of an import in the ledger: their state at the last reading, and what names them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Set
from typing import Any

from scalesync.model.jobs import SourceCursor, SourceSplit
from scalesync.model.records import Checkpoint, JsonObject


def load(db: sqlite3.Connection, job: int, but: Set[int] = frozenset()) -> list[SourceSplit]:
    """The sources of a job by number, except `but`."""
    found = db.execute(
        "SELECT number, name, spec, state, cursor FROM splits WHERE job=? AND kind='source' ORDER BY number", (job,)
    )
    return [
        SourceSplit(number, name, json.loads(spec), state, _shaping(None if cursor is None else json.loads(cursor)))
        for number, name, spec, state, cursor in found
        if number not in but
    ]


def register(db: sqlite3.Connection, job: int, kind: str, named: Iterable[tuple[str, JsonObject]]) -> list[int]:
    """Number the splits of a kind by name. A known split keeps its number.

    named: (name, spec) of each split.
    """
    known = dict(db.execute("SELECT name, number FROM splits WHERE job=? AND kind=?", (job, kind)).fetchall())
    (highest,) = db.execute("SELECT max(number) FROM splits WHERE job=?", (job,)).fetchone()
    highest = highest or 0
    numbers = []
    for name, spec in named:
        if name not in known:
            highest += 1
            known[name] = highest
            db.execute(
                "INSERT INTO splits (job, number, kind, name, spec) VALUES (?,?,?,?,?)",
                (job, highest, kind, name, json.dumps(spec)),
            )
        numbers.append(known[name])
    return numbers


def retire(db: sqlite3.Connection, job: int, missing: Iterable[int], read: Iterable[int]) -> list[int]:
    """Turn those of the missing sources to `gone` that hold nothing which those that were read do not hold."""
    among = ",".join(map(str, read))
    rows = (
        "SELECT count(*) FROM rows WHERE target=(SELECT target FROM jobs WHERE id=:job) AND job=:job AND source=:source"
    )
    # A duplicate's record has its row, which stands elsewhere.
    told = "SELECT state, unique_id, raw FROM other_records WHERE job=:job"
    left = f"{told} AND source=:source AND state<>'duplicate' EXCEPT {told} AND source IN ({among})"
    retired = []
    for number in missing:
        values = {"job": job, "source": number}
        if db.execute(f"{rows} AND gone IS NULL", values).fetchone()[0] or db.execute(left, values).fetchone():
            continue
        db.execute("DELETE FROM other_records WHERE job=:job AND source=:source", values)
        db.execute("UPDATE splits SET state='gone', cursor=NULL WHERE job=:job AND number=:source", values)
        retired.append(number)
    return retired


def cursor_to_json(cursor: SourceCursor | None) -> str:
    """The form of a cursor in the ledger."""
    if cursor is None:
        return "null"
    marks = [[mark.line, mark.digest, homes] for mark, homes in cursor.marks]
    return json.dumps({"settings": cursor.settings, "marks": marks})


def cursor_marks(kept: str) -> list[tuple[Checkpoint, int]]:
    """The checkpoints in a stored cursor, each with the number of home rows up to it."""
    return [(Checkpoint(line, digest), homes) for line, digest, homes in json.loads(kept)["marks"]]


def _shaping(cursor: Any) -> str | None:
    return cursor.get("settings") if isinstance(cursor, dict) else None
