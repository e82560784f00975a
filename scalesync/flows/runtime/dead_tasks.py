"""Tasks that died after they were created, or live again: what is written of their rows."""

from __future__ import annotations

from scalesync.flows.runtime.wiring import Connection
from scalesync.model.outcomes import LookupResult
from scalesync.model.records import JsonObject
from scalesync.model.row_views import Held, Turn

DEAD = frozenset({"canceled", "error"})


def turn_of(row: Held, finding: LookupResult, connection: Connection) -> Turn | None:
    """What to write of a row whose own task died, or lives again; None when that is known already."""
    task = finding.task
    if task is None or not row.ours or str(task.get("task_id")) != row.ref:
        return None
    status = str(task.get("status", ""))
    if status not in DEAD:
        return Turn(row, None) if row.turned is not None else None
    return None if row.turned == status else death_of(row, task, connection)


def death_of(row: Held, task: JsonObject, connection: Connection) -> Turn:
    """How the death of a row's task is told: by the server's own words where it was an error."""
    if task.get("status") != "error":
        return Turn(row, "canceled", "the task was canceled")
    told = connection.platform.mishap(task)
    return Turn(row, "error", f"the task turned to error: {told.words}", told.status)
