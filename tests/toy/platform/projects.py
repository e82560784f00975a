"""Toy's projects; it has no batches."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from scalesync.platforms.plugin import ConfigError, JsonObject, NoSuchProject, RequestClass, Transport
from tests.toy.platform import wire

NO_BATCHES = "Toy has no batches; leave --batch out"


class ToyProjects:
    """Projects of one account."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def project(self, name: str) -> JsonObject | None:
        """GET /projects/{name}."""
        reply = await self._transport.call(RequestClass.LIST, "GET", "/projects/" + quote(name, safe=""))
        if reply.status == 404:
            return None
        return {"name": wire.member(wire.check(reply, "read project"), "name", "read project")}

    async def know_project(self, name: str) -> None:
        """A project says nothing that a comparison needs."""

    async def check_project(self, name: str) -> None:
        """Raises NoSuchProject when it does not exist."""
        if await self.project(name) is None:
            raise NoSuchProject(f"there is no project {name!r} in this account; create it first or correct --project")

    async def projects(self) -> Sequence[JsonObject]:
        """GET /projects."""
        reply = wire.check(await self._transport.call(RequestClass.LIST, "GET", "/projects"), "list projects")
        return list(wire.member(reply, "projects", "list projects"))

    async def batch(self, name: str) -> JsonObject | None:
        """Raises ConfigError: there are none."""
        raise ConfigError(NO_BATCHES)

    async def batch_names(self, project: str | None = None) -> Sequence[str]:
        """There are none."""
        return ()

    async def create_batch(self, name: str, project: str) -> bool:
        """Raises ConfigError: there are none."""
        raise ConfigError(NO_BATCHES)

    async def finalize_batch(self, name: str) -> None:
        """Raises ConfigError: there are none."""
        raise ConfigError(NO_BATCHES)

    def is_open(self, batch: JsonObject) -> bool:
        """There are none."""
        return False
