"""Removes second tasks under a key: `verify --fix` on platforms that allow it.

Each task is read again right before: one that somebody has begun to work on, or that has another key by now, stays.
Both steps are in the history. After a kill, the next verification finds what is left.
"""

from __future__ import annotations

from functools import partial

from scalesync.errors import Refused
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.outcomes import Presence
from scalesync.model.records import JsonObject
from scalesync.ports.import_ledger import ImportLedger


class Removal:
    """Removes the tasks of findings."""

    def __init__(self, connection: Connection, job: ImportLedger) -> None:
        self._connection = connection
        self._creator = connection.platform.creator
        self._job = job

    async def carry_out(self, finding: JsonObject) -> bool:
        """Remove the tasks that a finding names; whether all of them are gone."""
        gone = True
        for ref in finding["remove"]:
            why = await self._remove(finding["unique_id"], ref)
            if why:
                await self._job.event(finding["unique_id"], "not removed", {"task_id": ref, "reason": why})
                gone = False
        return gone

    async def _remove(self, key: str, ref: str) -> str:
        """Why it stays, empty when it is gone."""
        try:
            return await self._connection.call(partial(self._once, key, ref))
        except Refused as error:
            return str(error)

    async def _once(self, key: str, ref: str) -> str:
        found = await self._creator.read(ref)
        if found.presence is Presence.ABSENT:
            return ""
        view = found.view
        if view is None or view.key != key:
            return "it could not be read, or has another key by now"
        if view.status != self._connection.words.new:
            return f"it is {view.status} by now"
        await self._job.event(key, "removing", {"task_id": ref})
        await self._creator.remove(ref)
        await self._job.event(key, "removed", {"task_id": ref})
        return ""
