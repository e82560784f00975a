"""Projects and batches over Scale's v1 API."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from scalesync.errors import ConfigError, NoSuchProject
from scalesync.http.transport import Transport
from scalesync.model.records import JsonObject
from scalesync.model.targets import RequestClass
from scalesync.platforms.scale import wire

STAGING = "staging"


class ScaleContainers:
    """Projects and batches of one account, for tasks of one type."""

    def __init__(self, transport: Transport, task_type: str = "") -> None:
        self._transport = transport
        self._type = task_type
        self._instructions: dict[str, frozenset[str]] = {}

    def instructions(self, task: JsonObject) -> frozenset[str]:
        """The instructions that the task's project has or had, if the project was read."""
        return self._instructions.get(str(task.get("project")), frozenset())

    async def project(self, name: str) -> JsonObject | None:
        """GET /projects/{name}; None if there is no such project. Remembers its instructions for `compare`."""
        reply = await self._transport.call(RequestClass.LIST, "GET", "/projects/" + quote(name, safe=""))
        if reply.status == 404:
            return None
        project = wire.as_object(wire.check(reply, "read project"), "read project")
        self._instructions[name] = _instructions(project)
        return project

    async def know_project(self, name: str) -> None:
        """Read a project that was not read yet; `compare` needs its instructions."""
        if name not in self._instructions:
            await self.project(name)

    async def check_project(self, name: str) -> None:
        """Raise NoSuchProject if the project does not exist, and ConfigError if it takes another type of task."""
        project = await self.project(name)
        if project is None:
            raise NoSuchProject(f"there is no project {name!r} in this account; create it first or correct --project")
        if project.get("type") not in {self._type, None}:
            raise ConfigError(
                f"project {name!r} takes tasks of type {project['type']}, not {self._type}; correct --type or --project"
            )

    async def batch(self, name: str) -> JsonObject | None:
        """GET /batches/{name}; None if there is no such batch."""
        reply = await self._transport.call(RequestClass.LIST, "GET", "/batches/" + quote(name, safe=""))
        if reply.status == 404:
            return None
        return wire.as_object(wire.check(reply, "read batch"), "read batch")

    async def projects(self) -> Sequence[JsonObject]:
        """GET /projects: every project of the account, as one array without pages."""
        reply = wire.check(await self._transport.call(RequestClass.LIST, "GET", "/projects"), "list projects")
        return wire.objects(reply, "list projects")

    async def batch_names(self, project: str | None = None) -> Sequence[str]:
        """GET /batches, one page: the names of batches, of one project or of all."""
        query = [("limit", "100"), *([("project", project)] if project else [])]
        reply = wire.check(
            await self._transport.call(RequestClass.LIST, "GET", "/batches", query=query), "list batches"
        )
        listed = wire.as_object(reply, "list batches").get("docs")
        batches = listed if isinstance(listed, list) else []
        return [str(batch["name"]) for batch in batches if isinstance(batch, dict) and "name" in batch]

    async def create_batch(self, name: str, project: str) -> bool:
        """POST /batches; False if the name exists already (names are unique in an account)."""
        body = {"project": project, "name": name, "callback": "", "metadata": {}}
        reply = await self._transport.call(RequestClass.MUTATE, "POST", "/batches", body=wire.dumps(body))
        if reply.status == 409:
            return False
        wire.check(reply, f"create batch {name!r}")
        return True

    async def finalize_batch(self, name: str) -> None:
        """POST /batches/{name}/finalize."""
        path = f"/batches/{quote(name, safe='')}/finalize"
        wire.check(await self._transport.call(RequestClass.MUTATE, "POST", path), f"finalize batch {name!r}")

    def is_open(self, batch: JsonObject) -> bool:
        """Whether the batch waits to be finalized: only one in `staging` does. Rapid batches have other states."""
        return batch.get("status") == STAGING


def _instructions(project: JsonObject) -> frozenset[str]:
    history = project.get("param_history")
    versions = history if isinstance(history, list) else []
    texts = (version.get("instruction") for version in versions if isinstance(version, dict))
    return frozenset(text for text in texts if isinstance(text, str))
