"""BulkLookup: the tasks of many unique_ids, as many in a list call as the platform allows, several calls at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

import anyio

from scalesync.errors import Refused
from scalesync.flows.runtime.run import plain_errors
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.contents import all_named
from scalesync.model.outcomes import LookupResult, Presence
from scalesync.model.records import Outgoing
from scalesync.model.targets import RequestClass

TRIES = 3  # look-ups of a key whose answers cannot be trusted
GAP_S = 0.2
MAX_CALLS = 8  # at once; enough to hide latency
MOST_KEYS = 16_000  # looked up together: their tasks are in memory
Batches = Mapping[str, str | None]
"""key -> the batch of its record, None if it has none."""


class BulkLookup:
    """Looks up tasks on one platform.

    calls: look-ups so far.
    """

    def __init__(self, connection: Connection) -> None:
        self.size = connection.platform.creator.look_up_most
        self._connection = connection
        self._projects: set[str] = set()

    @property
    def wave(self) -> int:
        """How many keys to look up together: as many full calls as may be in flight."""
        calls = max(1, min(MAX_CALLS, self._connection.gate.width(RequestClass.LIST)))
        return max(self.size, min(MOST_KEYS, self.size * calls))

    async def find(self, keys: Sequence[str], batches: Batches | None = None) -> Mapping[str, LookupResult]:
        """The platform's answer for each key. UNKNOWN: no trustworthy answer, after several tries.

        batches: None if they are not known.
        A list that counts more tasks than it showed is not trusted either: it may have left out a missing one.
        """
        found: dict[str, LookupResult] = {}
        waiting = list(keys)
        for tried in range(TRIES):
            if tried:
                await anyio.sleep(GAP_S * tried)
            found.update({key: _trusted(one) for key, one in (await self._ask(waiting, batches or {})).items()})
            waiting = [key for key in waiting if found[key].presence is Presence.UNKNOWN]
            if not waiting:
                break
        return found

    async def _ask(self, keys: Sequence[str], batches: Batches) -> Mapping[str, LookupResult]:
        found: dict[str, LookupResult] = {}

        async def call(chunk: Sequence[str]) -> None:
            found.update(await self._look_up(chunk, batches))

        wave = self.wave
        for begin in range(0, len(keys), wave):
            with plain_errors():
                async with anyio.create_task_group() as group:
                    for start in range(begin, min(begin + wave, len(keys)), self.size):
                        group.start_soon(call, keys[start : min(start + self.size, begin + wave)])
        return found

    async def _look_up(self, chunk: Sequence[str], batches: Batches) -> Mapping[str, LookupResult]:
        creator = self._connection.platform.creator
        self._connection.looks_up(map(batches.get, chunk))
        names = all_named(map(batches.get, chunk))
        try:
            return await self._connection.call(lambda: creator.look_up(chunk, names))
        except Refused:
            if len(chunk) == 1:
                return {chunk[0]: LookupResult(Presence.UNKNOWN)}
        found: dict[str, LookupResult] = {}
        for key in chunk:
            found.update(await self._look_up([key], batches))
        return found

    async def know_projects(self, records: Sequence[Outgoing]) -> None:
        """Let the platform read the records' projects once: comparing tasks in them needs their settings."""
        containers = self._connection.platform.containers
        if containers is None:
            return
        for name in {record.project for record in records} - self._projects:
            if name is not None:
                self._projects.add(name)
                with suppress(Refused):
                    await self._connection.call(partial(containers.know_project, name))

    async def read(self, refs: Sequence[str]) -> Mapping[str, LookupResult]:
        """Read tasks by the platform's own ids, one in each call."""
        found: dict[str, LookupResult] = {}
        creator = self._connection.platform.creator

        async def call(ref: str) -> None:
            try:
                found[ref] = await self._connection.call(lambda: creator.read(ref))
            except Refused:
                found[ref] = LookupResult(Presence.UNKNOWN)

        for begin in range(0, len(refs), MAX_CALLS):
            with plain_errors():
                async with anyio.create_task_group() as group:
                    for ref in refs[begin : begin + MAX_CALLS]:
                        group.start_soon(call, ref)
        return found


def _trusted(result: LookupResult) -> LookupResult:
    return LookupResult(Presence.UNKNOWN) if result.short else result
