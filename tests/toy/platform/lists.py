"""Listing items of one project by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from scalesync.platforms.plugin import (
    TOP,
    Axis,
    Changes,
    ConfigError,
    JsonObject,
    ListPage,
    LookupResult,
    Presence,
    RequestClass,
    Selection,
    Span,
    TaskView,
    Transport,
    mirrored,
)
from tests.toy.platform import wire

WIRE = {
    "created_after": "made_from",
    "created_before": "made_until",
    "updated_after": "touched_from",
    "updated_before": "touched_until",
}


class ToyLists:
    """Pages of items, the smallest id first; nothing tells how many there are."""

    axis = Axis.NUMBER
    changes = Changes.TIME
    filters = frozenset({"project", "status", *WIRE})

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def query(self, selection: Selection, page_size: int, within: tuple[int, int] | None = None) -> Mapping[str, Any]:
        """What `page` takes. Raises ConfigError without a project."""
        if selection.project is None:
            raise ConfigError("Toy lists the items of one project; add --project")
        query: dict[str, Any] = {"project": selection.project, "limit": page_size}
        if len(selection.status) == 1:
            query["state"] = next(iter(selection.status))
        query |= {WIRE[name]: ms for name, ms in selection.bounds.items() if name in WIRE}
        if within is not None:
            query["after"] = max(0, mirrored(within[1]))
        return query

    async def span(self, selection: Selection, now_ms: int) -> Span:
        """All ids: nothing says how large the last one is."""
        return Span(0, TOP)

    def place_of(self, task: TaskView) -> int:
        """By its id."""
        return mirrored(int(task.ref))

    def version_of(self, task: TaskView, document: bytes) -> int:
        """When it was touched last."""
        return task.updated_ms()

    async def cursor(self) -> JsonObject | None:
        """None: changes go by time."""
        return None

    async def page(self, query: Mapping[str, Any], cursor: str | None) -> ListPage:
        """One page from behind the id that the cursor is."""
        asked = {name: str(value) for name, value in query.items() if name != "project"}
        if cursor is not None:
            asked["after"] = cursor
        return await self.list(query["project"], list(asked.items()), "list items")

    async def list(self, project: str, asked: Sequence[tuple[str, str]], op: str) -> ListPage:
        """One page of a question as it goes out."""
        path = f"/projects/{quote(project, safe='')}/items"
        reply = await self._transport.call(RequestClass.LIST, "GET", path, query=asked)
        documents, after = wire.page(wire.check(reply, op), op)
        return ListPage(documents, None if after is None else str(after), None)

    async def probe(self) -> None:
        """GET /projects."""
        wire.check(await self._transport.call(RequestClass.LIST, "GET", "/projects"), "list projects")

    async def read(self, ref: str) -> LookupResult:
        """GET /items/{id}; a 404 is ABSENT."""
        reply = await self._transport.call(RequestClass.LIST, "GET", "/items/" + quote(ref, safe=""))
        if reply.status == 404:
            return LookupResult(Presence.ABSENT)
        return wire.found(wire.check(reply, "read item").body)
