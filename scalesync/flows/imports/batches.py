"""Batches of an import: created if missing, checked if present, finalized once all their records are in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from scalesync.engine.calls import Caller, Change
from scalesync.errors import ConfigError, Refused
from scalesync.flows.imports.reading.prepare import Prepared
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.rows import OtherRecord, RecordState


class BatchApi(Protocol):
    """The calls of a platform that has batches."""

    async def know_project(self, name: str) -> None: ...
    async def batch(self, name: str) -> JsonObject | None: ...
    async def create_batch(self, name: str, project: str) -> bool: ...
    async def finalize_batch(self, name: str) -> None: ...
    def is_open(self, batch: JsonObject) -> bool: ...


_OPEN = "open"


class BatchKeeper:
    """Knows which batches exist. Their names stay in memory, because there are few batches for many tasks."""

    def __init__(self, api: BatchApi | None, call: Caller) -> None:
        self.projects: dict[str, str | None] = {}
        self.created: list[str] = []
        self._api = api
        self._call = call
        self._known: set[str] = set()
        self._missing: set[str] = set()

    @property
    def _batches(self) -> BatchApi:
        if self._api is None:
            raise ConfigError("this platform has no batches; leave the batch out")
        return self._api

    async def ensure(self, name: str, project: str | None) -> None:
        """Create the batch unless it exists. Raises ConfigError if it cannot be used for this project."""
        if name not in self.projects:
            try:
                found = await self._find(name) or await self._create(name, project)
            except Refused as error:
                raise ConfigError(str(error)) from error
            self.projects[name] = found.get("project")
        theirs = self.projects[name]
        if project is not None and theirs is not None and theirs != project:
            raise ConfigError(f"batch {name!r} belongs to project {theirs!r}, not to {project!r}")

    async def _find(self, name: str) -> JsonObject | None:
        return None if name in self._missing else await self._call(lambda: self._batches.batch(name))

    async def _know(self, project: str) -> None:
        """Let the platform read a project once, because a comparison of tasks in it needs its settings."""
        if self._api is not None and project not in self._known:
            self._known.add(project)
            with suppress(Refused):
                await self._call(lambda: self._batches.know_project(project))

    async def _create(self, name: str, project: str | None) -> JsonObject:
        if project is None:
            self._missing.add(name)
            raise ConfigError(f"batch {name!r} does not exist, and without a project it cannot be created")
        creation = Change(lambda: self._batches.create_batch(name, project))
        made = await self._call(creation)
        if made or creation.unclear:
            # Our own earlier attempt created the name, and its reply was lost.
            self.created.append(name)
        if made:
            return {"project": project}
        return await self._call(lambda: self._batches.batch(name)) or {"project": project}

    async def admit(self, prepared: Prepared) -> Sequence[Outgoing]:
        """Create the batches of these records. A record whose batch cannot be used becomes invalid."""
        usable = []
        for record in prepared.records:
            try:
                if record.batch is not None:
                    await self.ensure(record.batch, record.project)
                project = record.project or self.projects.get(record.batch or "")
                if project is not None:
                    await self._know(project)
            except ConfigError as error:
                place = (record.source, record.line, RecordState.INVALID)
                prepared.other_records.append(
                    OtherRecord(*place, key=record.key, reason=str(error), batch=record.batch)
                )
            else:
                usable.append(record)
        return usable

    async def finalize(self, name: str) -> str | None:
        """Read the batch's status and finalize it if it waits for that. Returns None, or why it is not finalized.

        For a batch that does not wait, the call may be a bad request. After a refusal the batch itself shows whether it
        is finalized: an earlier call may have taken effect and lost its reply, or another process was faster.
        """
        why = await self._closed(name)
        if why != _OPEN:
            return why
        try:
            await self._call(lambda: self._batches.finalize_batch(name))
        except Refused as error:
            why = await self._closed(name)
            return str(error) if why == _OPEN else why
        return None

    async def _closed(self, name: str) -> str | None:
        """None for a batch that needs no finalizing, else why it is not finalized."""
        found = await self._call(lambda: self._batches.batch(name))
        if found is None:
            return "the batch does not exist"
        return _OPEN if self._batches.is_open(found) else None
