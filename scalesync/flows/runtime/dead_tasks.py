"""Tasks that died after they were created, or live again: the changes of their rows."""

from __future__ import annotations

from scalesync.flows.runtime.wiring import Connection
from scalesync.model.outcomes import LookupResult
from scalesync.model.records import JsonObject
from scalesync.model.row_views import Held, Turn


def turn_of(row: Held, result: LookupResult, connection: Connection) -> Turn | None:
    """The change of a row whose task died or lives again; None if the row already says so."""
    view = result.view
    if view is None or result.task is None or not row.ours or view.ref != row.ref:
        return None
    if view.status not in connection.words.dead:
        return Turn(row, None) if row.turned is not None else None
    return None if row.turned == view.status else death_of(row, view.status or "", result.task, connection)


def death_of(row: Held, status: str, task: JsonObject, connection: Connection) -> Turn:
    """The change of a row whose task died, with the server's message if the task is in error."""
    if status != connection.words.failed:
        return Turn(row, status, f"the task was {status}")
    found = connection.platform.creator.task_error(task)
    return Turn(row, status, f"the task turned to {status}: {found.words}", found.status)
