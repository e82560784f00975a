"""Reads the ledger for people: jobs with their counts, failing records with their places."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scalesync.home import Home
from scalesync.ledger.sqlite.changes import rows as changes
from scalesync.ledger.sqlite.exports.windows import windows_of
from scalesync.ledger.sqlite.imports import row_counts
from scalesync.ledger.sqlite.owners import describe_owner, owner_alive
from scalesync.ledger.sqlite.views import SHARING, SHOWN
from scalesync.model.jobs import Failure, JobRow, Stop
from scalesync.model.targets import Mode, Target

_WHERE = "t.base_url, t.mode, t.account, t.platform, t.namespace"
_PARTS = 5

# The run that says how a job ended: the newest of its own work, which has a sentence, or died before its end. Work
# beside that has none. Older versions wrote no sentences; there the figures show it, or nothing but the order.
_OWN = "(message IS NOT NULL OR ended_at IS NULL OR json_extract(figures, '$.seconds') IS NOT NULL)"
_LAST = f"ORDER BY {_OWN} DESC, id DESC LIMIT 1"


def _target(where: Sequence[str]) -> Target:
    base_url, mode, account, platform, namespace = where
    return Target(base_url, Mode(mode), account, platform, namespace)


def jobs(db: sqlite3.Connection, home: Home) -> list[JobRow]:
    """Every job, oldest first."""
    found = db.execute(
        f"SELECT j.id, j.name, j.command, j.settings, j.complete, j.owner, j.target, {_WHERE}"
        " FROM jobs j JOIN targets t ON t.id = j.target ORDER BY j.id"
    ).fetchall()
    return [_job(db, home, row) for row in found]


def _job(db: sqlite3.Connection, home: Home, row: tuple[Any, ...]) -> JobRow:
    number, name, command, settings, complete, owner, target, *where = row
    run = db.execute(
        f"SELECT started_at, ended_at, exit_code, message FROM runs WHERE job=? {_LAST}", (number,)
    ).fetchone() or (None, None, None, None)
    windows = windows_of(db, number)
    specs = db.execute(
        "SELECT spec FROM splits WHERE job=? AND kind='source' AND state<>'gone' ORDER BY number", (number,)
    )
    return JobRow(
        id=number,
        name=name,
        command=command,
        target=_target(where),
        settings=json.loads(settings),
        complete=bool(complete),
        running=describe_owner(owner) if owner and owner_alive(owner) else None,
        counts=_window_counts(windows) if command == "backfill" else counts(db, command, target, number),
        started_at=run[0],
        ended_at=run[1],
        exit_code=run[2],
        sources=tuple(_shown(spec, home) for (spec,) in specs),
        windows=tuple(windows),
        message=run[3] or "",
    )


def counts(db: sqlite3.Connection, command: str, target: int, job: int) -> Mapping[str, int]:
    """What a job of this command has, as people see it."""
    if command == "import":
        return row_counts.count(db, target, job)
    return changes.shown_counts(db, job) if command == "apply" else _export_counts(db, job)


def _shown(spec: str | None, home: Home) -> str:
    """What people call a source, by its split."""
    told = json.loads(spec) if spec else {}
    return home.shown(str(told.get("name", "")), str(told.get("path", "")))


def stops(db: sqlite3.Connection, job: str | None) -> list[Stop]:
    """Every job that is not complete and not running, with the end of its last run; newest first."""
    found = db.execute(
        f"SELECT j.name, r.exit_code, r.message, {_WHERE}"
        " FROM jobs j JOIN targets t ON t.id = j.target"
        f" JOIN runs r ON r.id = (SELECT id FROM runs WHERE job = j.id {_LAST})"
        " WHERE j.complete = 0 AND j.owner IS NULL AND r.exit_code <> 0 AND r.message <> ''"
        " AND (:job IS NULL OR j.name = :job) ORDER BY r.id DESC",
        {"job": job},
    ).fetchall()
    return [Stop(name, _target(where), code, message) for name, code, message, *where in found]


def _window_counts(windows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {name: sum(window.get(name, 0) for window in windows) for name in ("tasks", "files", "bytes")}


def _export_counts(db: sqlite3.Connection, job: int) -> dict[str, int]:
    entries = [
        json.loads(entry) for (entry,) in db.execute("SELECT entry FROM files WHERE job=? AND kind='tasks'", (job,))
    ]
    known = db.execute("SELECT count(*) FROM versions WHERE job=? AND matched", (job,)).fetchone()[0]
    counts = {
        "tasks": sum(entry["rows"] for entry in entries),
        "files": len(entries),
        "bytes": sum(entry["bytes"] for entry in entries),
    }
    return counts | ({"tasks over all increments": known} if known else {})


_OF_TASKS = "coalesce(json_extract(j.identity, '$.subject'), 'task') = 'task'"
_ROWS = f"""
SELECT {_WHERE}, j.name, r.state, r.unique_id, s.name, s.spec, r.line, r.status, r.reason,
       r.task_id, r.detail, NULL, NULL, NULL, r.content, 0
  FROM rows r JOIN jobs j ON j.id = r.job JOIN targets t ON t.id = j.target
  LEFT JOIN splits s ON s.job = r.job AND s.number = r.source
 WHERE r.state IN ('failed', 'conflict') AND r.gone IS NULL
   AND (:job IS NULL OR j.name = :job) AND (:number IS NULL OR j.id = :number)
"""
_OTHERS = f"""
SELECT {_WHERE}, j.name,
       CASE {SHOWN} WHEN 'failed' THEN 'failed' WHEN 'invalid' THEN 'invalid' ELSE 'conflict' END,
       o.unique_id, s.name, s.spec, o.line, CASE {SHOWN} WHEN r.state THEN r.status END,
       CASE {SHOWN} WHEN 'changed_after_creation' THEN {SHOWN} WHEN r.state THEN r.reason ELSE o.reason END,
       r.task_id, CASE {SHOWN} WHEN r.state THEN r.detail ELSE o.detail END, o.raw,
       CASE o.state WHEN 'clash' THEN h.spec END, coalesce(e.line, r.line),
       coalesce(e.content, r.content), o.state = 'clash'
  FROM other_records o JOIN jobs j ON j.id = o.job JOIN targets t ON t.id = j.target
  LEFT JOIN rows r ON r.target = j.target AND r.unique_id = o.unique_id
  LEFT JOIN other_records e ON o.state = 'clash' AND e.job = o.job AND e.unique_id = o.unique_id AND e.{SHARING}
  LEFT JOIN splits h ON h.job = coalesce(e.job, r.job) AND h.number = coalesce(e.source, r.source)
  LEFT JOIN splits s ON s.job = o.job AND s.number = o.source AND s.kind = 'source'
 WHERE {SHOWN} IN ('invalid', 'clash', 'changed_after_creation', 'failed', 'conflict')
   AND (:job IS NULL OR j.name = :job) AND (:number IS NULL OR j.id = :number)
"""


# A batch has no id of a task; its name is in the detail.
_CHANGES = f"""
SELECT {_WHERE}, j.name, c.state, c.unique_id, s.name, s.spec, c.line, c.status, c.reason,
       CASE WHEN {_OF_TASKS} THEN c.ref END,
       CASE WHEN NOT {_OF_TASKS} THEN json_object(json_extract(j.identity, '$.subject'), c.ref) END,
       NULL, NULL, NULL, NULL, 0
  FROM changes c JOIN jobs j ON j.id = c.job JOIN targets t ON t.id = j.target
  LEFT JOIN splits s ON s.job = c.job AND s.number = c.source AND s.kind = 'source'
 WHERE c.state IN ('failed', 'unclear')
   AND (:job IS NULL OR j.name = :job) AND (:number IS NULL OR j.id = :number)
"""


def failures(db: sqlite3.Connection, home: Home, job: str | None, number: int | None = None) -> Iterator[Failure]:
    """Failing records of all jobs, of the jobs with a name, or of the job with a number. The order may change.

    So are changes that failed or are unclear.
    """
    for query in (_ROWS, _OTHERS, _CHANGES):
        for row in db.execute(query, {"job": job, "number": number}):
            name, state, key, path, spec, line, status, reason, *more = row[_PARTS:]
            task_id, detail, raw, earlier, first, content, repeat = more
            yield Failure(
                job=name,
                target=_target(row[:_PARTS]),
                state=state,
                unique_id=key,
                path=path or "",
                file=_shown(spec, home) or path or "",
                line=line,
                status=status,
                reason=reason or state,
                task_id=task_id,
                detail=detail,
                raw=raw,
                earlier=None if earlier is None else f"{_shown(earlier, home)}:{first}",
                content=content,
                repeat=bool(repeat),
            )
