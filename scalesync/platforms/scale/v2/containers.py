"""Projects and batches over version 2. It has them under ids; the program knows names."""

from __future__ import annotations

from collections.abc import Sequence

from scalesync.errors import NoSuchProject, OutcomeUnknown, Refused
from scalesync.http.transport import Reply, Transport
from scalesync.model.records import JsonObject
from scalesync.model.targets import RequestClass
from scalesync.platforms.scale import wire
from scalesync.platforms.scale.containers import STAGING


class ChatContainers:
    """Projects and batches of one account."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def project(self, name: str) -> JsonObject | None:
        """GET /project; None if there is no such project."""
        reply = await self._get("/project", ("project_name", name))
        return None if reply.status == 404 else wire.as_object(wire.check(reply, "read project"), "read project")

    async def know_project(self, name: str) -> None:
        """Nothing: a chat is compared without the settings of its project."""

    async def check_project(self, name: str) -> None:
        """Raise NoSuchProject if it does not exist. It says which work it takes, but not which type of task."""
        if await self.project(name) is None:
            raise NoSuchProject(f"there is no project {name!r} in this account; create it first or correct --project")

    async def projects(self) -> Sequence[JsonObject]:
        """GET /projects: every project of the account, without pages."""
        return self._members(await self._get("/projects"), "projects", "list projects")

    async def batch(self, name: str) -> JsonObject | None:
        """GET /batch, with the name of its project; None if there is no such batch."""
        reply = await self._get("/batch", ("batch_name", name), ("expand", "project"))
        if reply.status == 404:
            return None
        batch = wire.as_object(wire.check(reply, "read batch"), "read batch")
        project = batch.get("project")
        return {**batch, "project": project.get("name") if isinstance(project, dict) else None}

    async def batch_names(self, project: str | None = None) -> Sequence[str]:
        """GET /batches, one page."""
        query = [("limit", "100"), *([("project_name", project)] if project else [])]
        batches = self._members(await self._get("/batches", *query), "batches", "list batches")
        return [str(batch["name"]) for batch in batches if "name" in batch]

    async def create_batch(self, name: str, project: str) -> bool:
        """POST /batch; False if the name exists already.

        A guess: a name that is in use gives 409 as in version 1. Another refusal counts as that if the batch exists.
        """
        body = {"name": name, "project_name": project}
        reply = await self._transport.call(RequestClass.MUTATE, "POST", "/batch", body=wire.dumps(body))
        if reply.status == 409:
            return False
        try:
            wire.check(reply, f"create batch {name!r}")
        except Refused:
            if await self.batch(name) is None:
                raise
            return False
        return True

    async def finalize_batch(self, name: str) -> None:
        """POST /batch/finalize."""
        body = wire.dumps({"batch_name": name})
        reply = await self._transport.call(RequestClass.MUTATE, "POST", "/batch/finalize", body=body)
        wire.check(reply, f"finalize batch {name!r}")

    def is_open(self, batch: JsonObject) -> bool:
        """Whether the batch waits to be finalized: only one in `staging` does."""
        return batch.get("status") == STAGING

    async def _get(self, path: str, *query: tuple[str, str]) -> Reply:
        return await self._transport.call(RequestClass.LIST, "GET", path, query=query)

    @staticmethod
    def _members(reply: Reply, name: str, op: str) -> Sequence[JsonObject]:
        listed = wire.as_object(wire.check(reply, op), op).get(name)
        if not isinstance(listed, list):
            raise OutcomeUnknown(f"{op}: the reply holds no {name}", op=op)
        return [item for item in listed if isinstance(item, dict)]
