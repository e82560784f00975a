"""Looks up records that are no longer in any source, although a request for them may have left.

No record is left to compare with a task, so only the task's age shows whether it was created for this job.
"""

from __future__ import annotations

from collections.abc import Container

from scalesync.flows.imports.conflicts import TOLERANCE_MS
from scalesync.flows.runtime.bulk_lookup import BulkLookup
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.outcomes import Presence
from scalesync.model.row_views import Doubtful, LookedUp
from scalesync.model.rows import Gone
from scalesync.model.task_view import TaskView
from scalesync.ports.import_ledger import GoneRows


async def resolve_vanished(store: GoneRows, connection: Connection, back: Container[str] = ()) -> int:
    """Look up each row in doubt whose record is gone. Returns how many got no trustworthy answer.

    A row with a live task counts as created, or as adopted if the task is older than the intent. Others count as gone.
    back: keys of records that this run found again after all; the engine has looked them up.
    """
    finder = BulkLookup(connection)
    unclear, after = 0, ""
    while rows := await store.doubtful(after, finder.wave):
        after = rows[-1].key
        asked = [row for row in rows if row.key not in back]
        findings = await finder.find([row.key for row in asked])
        clear = [row for row in asked if findings[row.key].presence is not Presence.UNKNOWN]
        await store.conclude([_looked_up(row, findings[row.key].view, connection.words.dead) for row in clear])
        unclear += len(asked) - len(clear)
    return unclear


def _looked_up(row: Doubtful, view: TaskView | None, dead: Container[str | None]) -> LookedUp:
    if view is None or view.status in dead:
        return LookedUp(row.key, Gone.ABSENT)
    ours = view.created_ms() >= row.intent_ms - TOLERANCE_MS
    return LookedUp(row.key, Gone.CREATED if ours else Gone.ADOPTED, view.ref)
