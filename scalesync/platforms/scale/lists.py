"""Listing tasks over Scale's v1 API, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from scalesync.errors import OutcomeUnknown
from scalesync.http.transport import Transport
from scalesync.model.outcomes import LookupResult, Presence
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.model.targets import RequestClass
from scalesync.model.task_view import TaskView
from scalesync.platforms.scale import wire
from scalesync.platforms.scale.documents import is_text
from scalesync.platforms.scale.query import FILTERS, list_query
from scalesync.ports.platform import Axis, Changes, ListPage, Span

# The Date header has whole seconds, and an export that begins now must include a task from a moment ago.
CLOCK_GRAIN_MS = 2_000


class ScaleLists:
    """Tasks of one account, newest first."""

    axis = Axis.CREATED
    changes = Changes.TIME
    filters = FILTERS

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def page(self, query: Mapping[str, Any], cursor: str | None) -> ListPage:
        """One page of GET /tasks.

        query: names as on the wire; a list becomes a repeated name.
        """
        pairs = [
            (name, str(item))
            for name, value in query.items()
            for item in (value if isinstance(value, list | tuple) else [value])
        ]
        if cursor is not None:
            pairs.append(("next_token", cursor))
        return await self.list(pairs, "list tasks")

    def query(self, selection: Selection, page_size: int, within: tuple[int, int] | None = None) -> JsonObject:
        """The query for `page` that asks for a selection."""
        return list_query(selection, page_size, within)

    async def span(self, selection: Selection, now_ms: int) -> Span:
        """The span of creation times, without a request: the first page says how many tasks there are."""
        lo = selection.bounds.get("created_after", 0)
        return Span(lo, selection.bounds.get("created_before", now_ms + CLOCK_GRAIN_MS))

    def place_of(self, task: TaskView) -> int:
        """The task's creation, ms since the epoch."""
        return task.created_ms()

    def version_of(self, task: TaskView, document: bytes) -> int:
        """The task's last change, ms since the epoch."""
        return task.updated_ms()

    async def cursor(self) -> JsonObject | None:
        """None, because increments follow the time of change."""
        return None

    async def probe(self) -> None:
        """GET /tasks?limit=1, which works for every account."""
        await self.page({"limit": 1}, None)

    async def read(self, ref: str) -> LookupResult:
        """GET /task/{id}; a 404 is ABSENT."""
        reply = await self._transport.call(RequestClass.LIST, "GET", "/task/" + quote(ref, safe=""))
        if reply.status == 404:
            return LookupResult(Presence.ABSENT)
        task = wire.as_object(wire.check(reply, "read task"), "read task")
        return wire.found(task if is_text(task.get("task_id")) and task["task_id"] else task | {"task_id": ref})

    async def list(self, query: Sequence[tuple[str, str]], op: str) -> ListPage:
        """One page of GET /tasks.

        query: names and values as on the wire.
        op: the purpose, for messages.
        """
        reply = wire.check(await self._transport.call(RequestClass.LIST, "GET", "/tasks", query=query), op)
        documents, total, has_more, token = wire.page(reply, op)
        if has_more and not token:
            raise OutcomeUnknown(f"{op}: the server says that there is more but sends no next_token", op=op)
        # Many servers send an empty token on the last page.
        return ListPage(documents, (token or None) if has_more is not False else None, total)
