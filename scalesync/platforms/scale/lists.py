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

# The Date header is cut to the second, and a task made a moment ago belongs to an export that begins now.
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

        query: wire names; lists are sent as repeated keys.
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
        """What `page` takes for a selection."""
        return list_query(selection, page_size, within)

    async def span(self, selection: Selection, now_ms: int) -> Span:
        """From the bounds of creation time, asking nothing: the first page says how many tasks there are."""
        lo = selection.bounds.get("created_after", 0)
        return Span(lo, selection.bounds.get("created_before", now_ms + CLOCK_GRAIN_MS))

    def place_of(self, task: TaskView) -> int:
        """Its creation, ms since the epoch."""
        return task.created_ms()

    def version_of(self, task: TaskView, document: bytes) -> int:
        """Its last change, ms since the epoch."""
        return task.updated_ms()

    async def cursor(self) -> JsonObject | None:
        """None: changes go by time."""
        return None

    async def probe(self) -> None:
        """GET /tasks?limit=1, which every account can answer."""
        await self.page({"limit": 1}, None)

    async def read(self, ref: str) -> LookupResult:
        """GET /task/{id}; a 404 is ABSENT."""
        reply = await self._transport.call(RequestClass.LIST, "GET", "/task/" + quote(ref, safe=""))
        if reply.status == 404:
            return LookupResult(Presence.ABSENT)
        task = wire.as_object(wire.check(reply, "read task"), "read task")
        return wire.found(task if is_text(task.get("task_id")) and task["task_id"] else task | {"task_id": ref})

    async def list(self, query: Sequence[tuple[str, str]], op: str) -> ListPage:
        """One page of GET /tasks for a query as it goes out.

        op: what for, in messages.
        """
        reply = wire.check(await self._transport.call(RequestClass.LIST, "GET", "/tasks", query=query), op)
        documents, total, has_more, token = wire.page(reply, op)
        if has_more and not token:
            raise OutcomeUnknown(f"{op}: the server says that there is more but sends no next_token", op=op)
        # An empty token is how many servers say that there is no next page.
        return ListPage(documents, (token or None) if has_more is not False else None, total)
