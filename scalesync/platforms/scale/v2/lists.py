"""Listing the chats of a project or batch, page by page."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from scalesync.errors import ConfigError
from scalesync.http.transport import Transport
from scalesync.model.outcomes import LookupResult, Presence
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.model.targets import RequestClass
from scalesync.model.task_view import TaskView
from scalesync.platforms.scale import wire as version_1
from scalesync.platforms.scale.v2 import wire
from scalesync.ports.platform import Axis, Changes, ListPage, Span
from scalesync.times import iso

_SIGNED = re.compile(r"(^|[&-])sig(nature)?=", re.IGNORECASE)


class ChatLists:
    """Chats of one account. Nothing says in what order a list is, or how many tasks it has."""

    axis = Axis.NONE
    changes = Changes.NONE
    filters = frozenset({"project", "batch", "status", "completed_after", "completed_before"})

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def query(self, selection: Selection, page_size: int, within: tuple[int, int] | None = None) -> JsonObject:
        """The query for `page`. Raises ConfigError without a project or batch, for the service lists nothing else."""
        if not selection.project and not selection.batch:
            raise ConfigError("API v2 lists the tasks of one project or batch; add --project or --batch")
        query: JsonObject = {"limit": page_size}
        if selection.project:
            query["project_name"] = selection.project
        if selection.batch:
            query["batch_name"] = selection.batch
        if len(selection.status) == 1:
            query["status"] = next(iter(selection.status))
        # A millisecond wider than asked: no documentation says whether the bounds are inclusive.
        for name, wider_ms in (("completed_after", -1), ("completed_before", 1)):
            if name in selection.bounds:
                query[name] = iso(selection.bounds[name] + wider_ms)
        return query

    async def page(self, query: Mapping[str, Any], cursor: str | None) -> ListPage:
        """One page of GET /tasks. Names in place of ids, because the filters of an export are names."""
        return await self.list([(name, str(value)) for name, value in query.items()], cursor, "list tasks")

    async def list(self, query: Sequence[tuple[str, str]], cursor: str | None, op: str) -> ListPage:
        """One page of GET /tasks.

        query: names and values as on the wire.
        op: the purpose, for messages.
        """
        asked = [*query, *wire.NAMES, *([] if cursor is None else [("next_token", cursor)])]
        reply = await self._transport.call(RequestClass.LIST, "GET", "/tasks", query=asked)
        documents, token = wire.page(version_1.check(reply, op), op)
        return ListPage(documents, token, None)

    async def span(self, selection: Selection, now_ms: int) -> Span:
        """The one place of a list without an order."""
        return Span(0, 1)

    def place_of(self, task: TaskView) -> int:
        """The only place."""
        return 0

    def version_of(self, task: TaskView, document: bytes) -> int:
        """A number from the document's bytes, because a chat does not say when it changed.

        The signatures of links to its files do not count: each reading may bring new ones.
        """
        for _, url in task.urls():
            path, _, query = url.partition("?")
            if _SIGNED.search(query):
                document = document.replace(url.encode(), path.encode())
        return int.from_bytes(hashlib.blake2b(document, digest_size=7).digest(), "big")

    async def cursor(self) -> JsonObject | None:
        """None: there is no record of changes."""
        return None

    async def probe(self) -> None:
        """GET /projects: the one list that needs no names."""
        version_1.check(await self._transport.call(RequestClass.LIST, "GET", "/projects"), "list projects")

    async def read(self, ref: str) -> LookupResult:
        """GET /task; a 404 is ABSENT."""
        asked = [("task_id", ref), *wire.NAMES]
        reply = await self._transport.call(RequestClass.LIST, "GET", "/task", query=asked)
        if reply.status == 404:
            return LookupResult(Presence.ABSENT)
        return wire.found(version_1.as_object(version_1.check(reply, "read task"), "read task") | {"task_id": ref})
