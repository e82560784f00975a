"""Listing what was delivered: deliveries of projects, and of a dataset, newest first, and the tasks of each.

    GET /deliveries           GET /delivery/tasks?delivery_id=    its tasks, each with delivery_id and delivered_at
    GET /datasets/deliveries  GET /datasets/tasks?delivery_id=    its tasks, each with its delivery, if that is expanded

Both lists of deliveries come whole, and what a delivery holds is fixed. So a place in the list is a delivery and a
token inside of it: tokens that count rows (those of /delivery/tasks do) shift nothing, and `task_count` shows whether
a delivery came whole. GET /delivery would give its tasks as chats, with batch and metadata, but without the delivery
and its time, and lines without their version cannot be read back, compared or compacted. One call for all tasks of a
project (/delivery/tasks without a delivery) has no count, and its tokens shift while chats are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from scalesync.errors import ConfigError, OutcomeUnknown
from scalesync.http import answers
from scalesync.http.transport import Reply, Transport
from scalesync.model.outcomes import LookupResult, Presence
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.model.targets import RequestClass
from scalesync.model.task_view import TaskView
from scalesync.platforms.scale import wire as version_1
from scalesync.platforms.scale.jsonbytes import loads
from scalesync.platforms.scale.v2 import wire
from scalesync.platforms.scale.v2.documents import read_chat
from scalesync.platforms.scale.v2.listing import MAX_IDLE_PAGES
from scalesync.ports.platform import Axis, Changes, ListPage, Span
from scalesync.text import did_you_mean
from scalesync.times import iso, milliseconds

FAR_MS = 253_370_764_800_000  # the year 9999
CLOCK_GRAIN_MS = 2_000  # the Date header has whole seconds, and a delivery of this moment belongs to the export


class _Counts(msgspec.Struct):
    task_count: int | None = None


class _Project(msgspec.Struct):
    id: str


class _Delivery(msgspec.Struct):
    """One delivery, of a project or of a dataset. The count of a dataset's is in its metadata."""

    id: str
    delivered_at: str | None = None
    project: str | _Project | None = None
    task_count: int | None = None
    metadata: _Counts | None = None

    @property
    def count(self) -> int | None:
        """How many tasks it has."""
        return self.task_count if self.metadata is None else self.metadata.task_count

    @property
    def at(self) -> tuple[int, str]:
        """Its place: the time in ms; those of one moment are in the order of their ids."""
        return milliseconds(self.delivered_at), self.id

    @property
    def project_id(self) -> str | None:
        """The id of its project."""
        return self.project.id if isinstance(self.project, _Project) else self.project


class _Deliveries(msgspec.Struct):
    deliveries: list[_Delivery]


class _Place(msgspec.Struct):
    """A place in the list, as a cursor.

    delivery: as it was listed. token: inside of it. more: older ones follow in the range of the query.
    total: tasks in that range, None if several deliveries are in it: a task may be in each of them.
    """

    delivery: _Delivery
    more: bool
    total: int | None
    token: str | None = None


_decode_deliveries = msgspec.json.Decoder(_Deliveries).decode
_decode_place = msgspec.json.Decoder(_Place).decode


@dataclass(frozen=True, slots=True)
class Shelf:
    """One of the two places where deliveries are.

    deliveries, tasks: paths. member: of a page of tasks. asked: added to each query for tasks.
    """

    deliveries: str
    tasks: str
    member: str
    asked: tuple[tuple[str, str], ...] = ()


OF_PROJECTS = Shelf("/deliveries", "/delivery/tasks", "docs")
# Without `expand` a task names its delivery, but not when that was.
OF_DATASET = Shelf("/datasets/deliveries", "/datasets/tasks", "tasks", (("expand", "delivery"),))


class DeliveredLists:
    """Tasks as they were delivered, the newest delivery first. A task that was delivered again is in both.

    dataset: its id or name; None for the deliveries of projects.
    """

    axis = Axis.VERSIONS
    # The bounds of change are those of the delivery. Clock and overlap are then those of every increment by time.
    changes = Changes.TIME
    filters = frozenset({"project"})  # a task's own time may differ a little from that of its delivery, which is asked

    def __init__(self, transport: Transport, dataset: str | None = None) -> None:
        self._transport = transport
        self._shelf = OF_PROJECTS if dataset is None else OF_DATASET
        self._dataset = dataset
        self._dataset_id: str | None = None
        self._times: dict[str, int] = {}  # of the deliveries that were listed, by their ids

    def query(self, selection: Selection, page_size: int, within: tuple[int, int] | None = None) -> JsonObject:
        """What `page` takes: deliveries with lo <= time < hi, of a project if one is asked for."""
        lo, hi = within or (0, FAR_MS)
        lo = max(lo, selection.bounds.get("updated_after", 0))
        hi = min(hi, selection.bounds.get("updated_before", FAR_MS) + 1)  # the window of an increment includes its end
        return {"limit": page_size, "project": selection.project, "lo": lo, "hi": hi}

    async def span(self, selection: Selection, now_ms: int) -> Span:
        """All deliveries, each a part of its own: it says how many tasks it has."""
        query = self.query(selection, 1, (0, now_ms + CLOCK_GRAIN_MS))
        times = sorted({delivery.at[0] for delivery in await self._deliveries(query)})
        return Span(query["lo"], max(query["lo"], query["hi"]), cuts=times[1:])

    async def page(self, query: Mapping[str, Any], cursor: str | None) -> ListPage:
        """Tasks of one delivery; the cursor leads into the next older one."""
        place = await self._after(query, None) if cursor is None else _decode_place(cursor)
        if place is None:
            return ListPage((), None, 0)
        self._times[place.delivery.id] = place.delivery.at[0]
        documents, token = await self._tasks(query, place)
        following: _Place | None = None
        if token is not None:
            following = msgspec.structs.replace(place, token=token)
        elif place.more:
            following = await self._after(query, place.delivery)
        return ListPage(documents, None if following is None else msgspec.json.encode(following).decode(), place.total)

    async def _after(self, query: Mapping[str, Any], last: _Delivery | None) -> _Place | None:
        """The beginning of the first delivery, or of the one that follows `last`."""
        listed = await self._deliveries(query)
        left = [delivery for delivery in listed if last is None or delivery.at < last.at]
        if not left:
            return None
        total = left[0].count if last is None and len(left) == 1 else None
        return _Place(left[0], len(left) > 1, total)

    async def _deliveries(self, query: Mapping[str, Any]) -> Sequence[_Delivery]:
        """Those in the range of the query, newest first. It asks a millisecond wider: bounds may be exclusive."""
        lo, hi = query["lo"], query["hi"]
        asked = [] if not lo else [("delivered_after", iso(lo - 1))]
        asked += [("delivered_before", iso(hi + 1))] if hi < FAR_MS else []
        if self._dataset is not None:
            asked.append(("dataset_id", await self._id_of(self._dataset)))
        elif query["project"]:
            asked.append(("project_name", query["project"]))
        reply = await self._get(self._shelf.deliveries, *asked)
        # One without a time is not delivered yet.
        inside = {one.id: one for one in _listed(reply) if lo <= one.at[0] < hi and one.at[0]}
        return sorted(inside.values(), key=lambda delivery: delivery.at, reverse=True)

    async def _tasks(self, query: Mapping[str, Any], place: _Place) -> tuple[Sequence[bytes], str | None]:
        """A page of the tasks of one delivery. Raises OutcomeUnknown for a page of another one."""
        op = "list delivered tasks"
        asked = [("delivery_id", place.delivery.id), ("limit", str(query["limit"])), *self._shelf.asked]
        if place.delivery.project_id:
            asked.append(("project_id", place.delivery.project_id))
        elif query["project"]:
            asked.append(("project_name", query["project"]))
        asked += [("next_token", place.token)] if place.token is not None else []
        reply = version_1.check(await self._get(self._shelf.tasks, *asked), op)
        documents, token = wire.page(reply, op, self._shelf.member)
        for document in documents:
            theirs = read_chat(document).delivery
            if theirs != place.delivery.id:
                raise OutcomeUnknown(
                    f"{op}: a page of delivery {place.delivery.id} holds a task of {theirs or 'no delivery'}", op=op
                )
        return documents, token

    async def _id_of(self, dataset: str) -> str:
        """The id of a dataset by its id or name. Raises ConfigError if there is none, or if several have the name."""
        if self._dataset_id is None:
            op = "list datasets"
            listed = version_1.as_object(version_1.check(await self._get("/datasets"), op), op).get("datasets")
            known = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
            ids = [str(one.get("id")) for one in known if dataset == one.get("id")]
            ids = ids or [str(one.get("id")) for one in known if dataset == one.get("name")]
            if len(ids) > 1:
                raise ConfigError(f"several datasets are called {dataset!r}; use --with dataset={' or '.join(ids)}")
            if not ids:
                names = [str(one.get(name)) for one in known for name in ("name", "id")]
                near = did_you_mean(dataset, names) or (f"; its datasets are {', '.join(names[::2])}" if names else "")
                raise ConfigError(f"there is no dataset {dataset!r} in this account; correct --with dataset={near}")
            self._dataset_id = ids[0]
        return self._dataset_id

    def place_of(self, task: TaskView) -> int:
        """When its delivery was, ms since the epoch; if that is unknown, its own time, which may differ a little."""
        return self._times.get(task.get("delivery"), task.times()["updated"])

    def version_of(self, task: TaskView, document: bytes) -> int:
        """When it was delivered, ms since the epoch: a task that is delivered again is a new version."""
        return task.times()["updated"] or self.place_of(task)

    async def cursor(self) -> JsonObject | None:
        """None, because increments follow the time of delivery."""
        return None

    async def probe(self) -> None:
        """GET /projects, which needs no names."""
        version_1.check(await self._get("/projects"), "list projects")

    async def read(self, ref: str) -> LookupResult:
        """One task as it was delivered last, for a fresh link; a task that was never delivered is ABSENT."""
        if self._dataset is not None:
            reply = await self._get("/datasets/task", ("task_id", ref), *self._shelf.asked)
            return LookupResult(Presence.ABSENT) if reply.status == 404 else wire.found(_task(reply))
        reply = await self._get("/task", ("task_id", ref))
        chat = None if reply.status == 404 else _task(reply)
        return LookupResult(Presence.ABSENT) if chat is None else await self._delivered(ref, chat)

    async def _delivered(self, ref: str, chat: JsonObject) -> LookupResult:
        """No call reads one delivered task. Those that were completed in the same millisecond are a short list."""
        at_ms = milliseconds(chat.get("completed_at"))
        asked = [("project_id", str(chat.get("project"))), ("limit", "100")]
        asked += [("completed_after", iso(at_ms - 1)), ("completed_before", iso(at_ms + 1))] if at_ms else []
        token: str | None = None
        met, idle = set[str](), 0
        while True:
            more = [] if token is None else [("next_token", token)]
            reply = version_1.check(await self._get(OF_PROJECTS.tasks, *asked, *more), "read delivered task")
            documents, token = wire.page(reply, "read delivered task", OF_PROJECTS.member)
            before = len(met)
            for document in documents:
                task = loads(document)
                if task.get("task_id") == ref and task.get("delivered_at"):
                    return wire.found(task)
                met.add(str(task.get("task_id")))
            idle = 0 if len(met) > before else idle + 1
            if token is None or idle >= MAX_IDLE_PAGES:
                return LookupResult(Presence.ABSENT)

    async def _get(self, path: str, *query: tuple[str, str]) -> Reply:
        return await self._transport.call(RequestClass.LIST, "GET", path, query=query)


def _task(reply: Reply) -> JsonObject:
    return version_1.as_object(version_1.check(reply, "read task"), "read task")


def _listed(reply: Reply) -> Sequence[_Delivery]:
    op = "list deliveries"
    body = version_1.check(reply, op).body
    try:
        try:
            return _decode_deliveries(body).deliveries
        except (msgspec.DecodeError, UnicodeDecodeError):  # msgspec refuses lone surrogates, which JSON allows
            return msgspec.convert(loads(body), _Deliveries).deliveries
    except (ValueError, RecursionError) as error:
        raise answers.unanswered(reply, op, "the reply is not a list of deliveries") from error
