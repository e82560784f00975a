"""Records whose tasks follow a blueprint are checked against it before any of them is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from scalesync.errors import ConfigError, Refused, RemoteError
from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.imports.reading.prepare import Prepared
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.rows import OtherRecord, RecordState
from scalesync.ports.platform import Blueprints


class BlueprintCheck:
    """Checks the records of one run. It does nothing for tasks that follow no blueprint."""

    def __init__(self, plan: ImportPlan, connection: Connection, note: Callable[[str], None]) -> None:
        self._connection = connection
        self._note = note
        self._asked = plan.options.blueprint
        self._meant = _meant(plan)
        self._projects: dict[str, str | None] = {}  # of batches
        self._unlisted: set[str] = set()
        self._followed: set[str] = set()  # projects with records that name no blueprint
        rule = connection.platform.spec.blueprints
        self._field = rule.field if rule is not None else ""
        self._blueprints: Blueprints | None = None
        if rule is not None and plan.options.type in rule.types:
            self._blueprints = connection.platform.blueprints

    async def begin(self, project: str) -> None:
        """Check the blueprint that the options ask for. Raises ConfigError, RemoteError."""
        if self._blueprints is not None:
            await self._check(self._blueprints, project, self._asked)

    async def admit(self, prepared: Prepared) -> None:
        """Check each record; one that does not fit becomes invalid, with all reasons."""
        prepared.records, unfit = await self.sort(prepared.records)
        prepared.other_records += unfit

    async def sort(self, records: Sequence[Outgoing]) -> tuple[list[Outgoing], list[OtherRecord]]:
        """The records that fit, and what is left of the others: invalid, with all reasons. Raises RemoteError."""
        usable: list[Outgoing] = []
        unfit: list[OtherRecord] = []
        for record in records:
            reason = "" if self._blueprints is None else await self._wrong(self._blueprints, record)
            if not reason:
                usable.append(record)
                continue
            place = (record.source, record.line, RecordState.INVALID)
            unfit.append(OtherRecord(*place, key=record.key, reason=reason, batch=record.batch))
        return usable, unfit

    async def _wrong(self, blueprints: Blueprints, record: Outgoing) -> str:
        body: JsonObject = orjson.loads(record.body)
        reason = blueprints.wrong(body, self._meant)
        project = None if reason else record.project or await self._project_of(record.batch)
        if project is None:
            return reason
        name = body.get(self._field) or None
        try:
            await self._check(blueprints, project, name)
        except (ConfigError, Refused) as error:
            return str(error)
        if name is None:
            self._followed.add(project)
        return ""

    async def end(self) -> None:
        """Report if another blueprint was made active meanwhile. No reply to a create is asked for that, because the
        tasks of another program may come between; one request for each project says it.
        """
        blueprints = self._blueprints
        if blueprints is None:
            return
        for project in sorted(self._followed):
            try:
                moved = await blueprints.moved(project)
            except RemoteError as error:
                self._note(f"whether project {project!r} has another active blueprint by now is not known: {error}")
                continue
            if moved is not None:
                before, now = moved
                self._note(
                    f"the active blueprint of project {project!r} was {before!r} when this run began, and is"
                    f" {'none' if now is None else repr(now)} now: its tasks that name none follow one or the other;"
                    " --blueprint NAME gives all of them the same"
                )

    async def _project_of(self, batch: str | None) -> str | None:
        """The project of a batch that exists."""
        if batch is None:
            return None
        if batch not in self._projects:
            found = await self._connection.call(lambda: self._connection.containers.batch(batch))
            project = None if found is None else found.get("project")
            self._projects[batch] = project if isinstance(project, str) else None
        return self._projects[batch]

    async def _check(self, blueprints: Blueprints, project: str, name: str | None) -> None:
        known = await self._connection.call(lambda: blueprints.check(project, name))
        if not known and project not in self._unlisted:
            self._unlisted.add(project)
            title = self._connection.platform.spec.title
            what = f"{title} does not list the blueprints of project {project!r} in a known form"
            self._note(f"{what}: the records are checked without them")


def _meant(plan: ImportPlan) -> frozenset[str]:
    """The fields of bodies that a person named, and not only a record."""
    template = plan.template.as_mapping()
    names = [*template["task"], *(template.get("keep") or ()), *plan.builder.spec.sets]
    return frozenset({part for name in names for part in (name, name.partition(".")[0])})
