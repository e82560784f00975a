"""ScalePlatform: the engine's Platform over Scale's v1 API. One method per call, no retries, no policy."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from scalesync.errors import ConfigError, NoSuchProject, NotTheApi, OutcomeUnknown, Refused, RemoteError, Unavailable
from scalesync.http.transport import Reply, Transport
from scalesync.model.outcomes import Comparison, LookupResult, Outcome, OutcomeKind, Presence, TaskError
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.selection import Selection
from scalesync.model.targets import RequestClass
from scalesync.platforms.scale import wire
from scalesync.platforms.scale.compare import compare, differences, is_appended
from scalesync.platforms.scale.documents import Document, read_document
from scalesync.platforms.scale.lookup import Gathering
from scalesync.platforms.scale.query import list_query
from scalesync.platforms.scale.task_errors import mishap_of
from scalesync.platforms.scale.vocabulary import TASK_FIELDS, TASK_TYPES
from scalesync.ports.platform import KeyStrength, ListPage

LOOKUP_KEYS = 100  # one page holds at most 100 tasks (official SDK)
LOOKUP_QUERY_BYTES = 6_000  # the server's limit is not published; 8 KB is common among proxies
SAMPLES_PER_SHAPE = 8
SAMPLED_SHAPES = 64


def authorization(api_key: str) -> str:
    """HTTP Basic with the key as user and an empty password (Scale docs: Authentication)."""
    return "Basic " + base64.b64encode(f"{api_key}:".encode()).decode("ascii")


class ScalePlatform:
    """Tasks of one type for one account. learned: body fields known to be rewritten or not echoed."""

    key_strength = KeyStrength.ENFORCED
    send_batch = 1
    look_up_most = LOOKUP_KEYS
    task_types = TASK_TYPES
    task_fields = TASK_FIELDS

    def __init__(self, transport: Transport, task_type: str = "", learned: frozenset[str] = frozenset()) -> None:
        self._transport = transport
        self._type = task_type
        self._path = "/task/" + quote(task_type, safe="")
        self.learned = learned
        self._samples: dict[int, int] = {}
        self._instructions: dict[str, frozenset[str]] = {}

    @property
    def server_now_ms(self) -> int:
        """The service's clock by its Date headers."""
        return self._transport.server_now_ms

    # --- tasks ---------------------------------------------------------------------------------

    async def send(self, records: Sequence[Outgoing]) -> Sequence[Outcome]:
        """POST each record; never without a unique_id, which every body carries."""
        if len(records) == 1:
            return (await self._create(records[0]),)
        return [await self._create(record) for record in records]

    async def _create(self, record: Outgoing) -> Outcome:
        try:
            reply = await self._transport.call(RequestClass.CREATE, "POST", self._path, body=record.body)
        except Unavailable as error:
            return Outcome(OutcomeKind.UNAVAILABLE, message=str(error))
        except OutcomeUnknown as error:
            return Outcome(OutcomeKind.UNKNOWN, message=str(error), astray=isinstance(error, NotTheApi))
        outcome = wire.created(reply, record.key)
        if self._samples.get(record.shape, 0) < SAMPLES_PER_SHAPE and outcome.kind is OutcomeKind.CREATED:
            self._learn(record, reply)
        return outcome

    def _learn(self, record: Outgoing, reply: Reply) -> None:
        """Note fields that the reply to our own create does not echo; a few samples for each set of fields."""
        if len(self._samples) > SAMPLED_SHAPES:
            return
        self._samples[record.shape] = self._samples.get(record.shape, 0) + 1
        try:
            task = wire.as_object(reply, "create task")
        except OutcomeUnknown:
            return
        found = differences(wire.loads(record.body), task)
        if "instruction" in found and is_appended(*found["instruction"], self._appended(task)):
            del found["instruction"]  # can be compared after all
        if not found.keys() <= self.learned:
            self.learned = self.learned | found.keys()

    def _appended(self, task: JsonObject) -> frozenset[str]:
        return self._instructions.get(str(task.get("project")), frozenset())

    async def look_up(self, keys: Sequence[str]) -> Mapping[str, LookupResult]:
        """Look keys up by GET /tasks?unique_id=..., page by page; a question refused as too long is halved."""
        size = sum(len(quote(key, safe="")) + 11 for key in keys)
        if len(keys) > LOOKUP_KEYS or (size > LOOKUP_QUERY_BYTES and len(keys) > 1):
            return await self._settle_halves(keys)
        try:
            return await self._look_up(keys)
        except Refused as error:
            if error.status in {400, 413, 414, 431} and len(keys) > 1:
                return await self._settle_halves(keys)
            raise

    async def _look_up(self, keys: Sequence[str]) -> Mapping[str, LookupResult]:
        """Follow the answer's pages to their end; ask again for what is missing where the list says it is short.

        Again only while each answer shows more: a total that is too high for ever must not keep a look-up going.
        """
        found: dict[str, LookupResult] = {}
        waiting = keys
        while True:
            gathered = await self._gather(waiting)
            found.update(gathered.findings())
            missing = [key for key in waiting if found[key].presence is Presence.ABSENT]
            if not gathered.short or len(missing) in {0, len(waiting)}:
                return found
            waiting = missing

    async def _gather(self, keys: Sequence[str]) -> Gathering:
        query = [*(("unique_id", key) for key in keys), ("limit", str(LOOKUP_KEYS))]
        gathered = Gathering(keys)
        cursor = gathered.take(await self._list(query, "look up unique_ids"))
        while cursor is not None:
            cursor = gathered.take(await self._list([*query, ("next_token", cursor)], "look up unique_ids"))
        return gathered

    async def _settle_halves(self, keys: Sequence[str]) -> Mapping[str, LookupResult]:
        middle = len(keys) // 2
        return {**await self.look_up(keys[:middle]), **await self.look_up(keys[middle:])}

    async def read(self, ref: str) -> LookupResult:
        """GET /task/{id}; a 404 is ABSENT."""
        reply = await self._transport.call(RequestClass.LIST, "GET", "/task/" + quote(ref, safe=""))
        if reply.status == 404:
            return LookupResult(Presence.ABSENT)
        wire.check(reply, "read task")
        return LookupResult(Presence.FOUND, wire.as_object(reply, "read task"))

    def compare(self, record: Outgoing, task: JsonObject) -> Comparison:
        """Compare the record's body with a task; see `compare`."""
        verdict = compare(wire.loads(record.body), self._type, task, self.learned, self._appended(task))
        return verdict if verdict.status != "error" else replace(verdict, mishap=self.mishap(task))

    def mishap(self, task: JsonObject) -> TaskError:
        """Why a task is in error, as the server tells it."""
        told = mishap_of(task)
        return replace(told, words=self._transport.hide(told.words))

    async def release(self, ref: str) -> Outcome:
        """DELETE /task/{id}/unique_id."""
        path = f"/task/{quote(ref, safe='')}/unique_id"
        try:
            reply = await self._transport.call(RequestClass.MUTATE, "DELETE", path)
        except RemoteError as error:
            return Outcome(OutcomeKind.UNKNOWN, message=str(error))
        if reply.status in {200, 404}:
            return Outcome(OutcomeKind.CREATED, ref=ref, status=reply.status)
        return Outcome(wire.outcome_kind(reply.status), status=reply.status, message=wire.error_text(reply))

    async def page(self, query: Mapping[str, Any], cursor: str | None) -> ListPage:
        """One page of GET /tasks. query: wire names; lists are sent as repeated keys."""
        pairs = [
            (name, str(item))
            for name, value in query.items()
            for item in (value if isinstance(value, list | tuple) else [value])
        ]
        if cursor is not None:
            pairs.append(("next_token", cursor))
        return await self._list(pairs, "list tasks")

    def query(self, selection: Selection, page_size: int) -> JsonObject:
        """What `page` takes for a selection."""
        return list_query(selection, page_size)

    def head(self, document: bytes) -> Document:
        """The members of a raw task that an export reads. Raises OutcomeUnknown when it is none."""
        return read_document(document)

    async def _list(self, query: Sequence[tuple[str, str]], op: str) -> ListPage:
        reply = wire.check(await self._transport.call(RequestClass.LIST, "GET", "/tasks", query=query), op)
        documents, total, has_more, token = wire.page(reply, op)
        if has_more and not token:
            raise OutcomeUnknown(f"{op}: the server says that there is more but sends no next_token", op=op)
        # An empty token is how many servers say that there is no next page.
        return ListPage(documents, (token or None) if has_more is not False else None, total)

    # --- the account, projects, batches --------------------------------------------------------

    async def project(self, name: str) -> JsonObject | None:
        """GET /projects/{name}; None when there is no such project. Its instructions are remembered for `compare`."""
        reply = await self._transport.call(RequestClass.LIST, "GET", "/projects/" + quote(name, safe=""))
        if reply.status == 404:
            return None
        project = wire.as_object(wire.check(reply, "read project"), "read project")
        self._instructions[name] = _instructions(project)
        return project

    async def know_project(self, name: str) -> None:
        """Read a project unless it was read, so that tasks in it can be compared."""
        if name not in self._instructions:
            await self.project(name)

    async def check_project(self, name: str) -> None:
        """Raises NoSuchProject when it does not exist, ConfigError when it takes another type of task."""
        project = await self.project(name)
        if project is None:
            raise NoSuchProject(f"there is no project {name!r} in this account; create it first or correct --project")
        if project.get("type") not in {self._type, None}:
            raise ConfigError(
                f"project {name!r} takes tasks of type {project['type']}, not {self._type}; correct --type or --project"
            )

    async def batch(self, name: str) -> JsonObject | None:
        """GET /batches/{name}; None when there is no such batch."""
        reply = await self._transport.call(RequestClass.LIST, "GET", "/batches/" + quote(name, safe=""))
        if reply.status == 404:
            return None
        return wire.as_object(wire.check(reply, "read batch"), "read batch")

    async def projects(self) -> Sequence[JsonObject]:
        """GET /projects: every project of the account, in one bare array."""
        reply = wire.check(await self._transport.call(RequestClass.LIST, "GET", "/projects"), "list projects")
        return wire.objects(reply, "list projects")

    async def batch_names(self, project: str | None = None) -> Sequence[str]:
        """GET /batches, one page: names of batches, of a project where one is named."""
        query = [("limit", "100"), *([("project", project)] if project else [])]
        reply = wire.check(
            await self._transport.call(RequestClass.LIST, "GET", "/batches", query=query), "list batches"
        )
        listed = wire.as_object(reply, "list batches").get("docs")
        batches = listed if isinstance(listed, list) else []
        return [str(batch["name"]) for batch in batches if isinstance(batch, dict) and "name" in batch]

    async def create_batch(self, name: str, project: str) -> bool:
        """POST /batches; False when the name was taken meanwhile (names are unique per account)."""
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


def _instructions(project: JsonObject) -> frozenset[str]:
    history = project.get("param_history")
    versions = history if isinstance(history, list) else []
    texts = (version.get("instruction") for version in versions if isinstance(version, dict))
    return frozenset(text for text in texts if isinstance(text, str))
