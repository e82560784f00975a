"""Create tasks of one type over Scale's v1 API, and find them again. No retries, no policy."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from scalesync.errors import OutcomeUnknown, Refused, RemoteError, Unavailable
from scalesync.http.answers import outcome_of, refusal
from scalesync.http.transport import Reply, Transport
from scalesync.model.outcomes import Comparison, LookupResult, Outcome, OutcomeKind, Presence, TaskError
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.targets import RequestClass
from scalesync.platforms.scale import wire
from scalesync.platforms.scale.compare import compare, differences, is_appended
from scalesync.platforms.scale.containers import ScaleContainers
from scalesync.platforms.scale.jsonbytes import loads
from scalesync.platforms.scale.lists import ScaleLists
from scalesync.platforms.scale.lookup import Gathering
from scalesync.platforms.scale.task_errors import error_of
from scalesync.ports.operation import Repeat

LOOKUP_KEYS = 100  # one page holds at most 100 tasks (official SDK)
LOOKUP_QUERY_BYTES = 6_000  # Scale publishes no limit; many proxies have one of 8 KB
SAMPLES_PER_SHAPE = 8
SAMPLED_SHAPES = 64


class ScaleTasks:
    """Tasks of one type for one account.

    learned: fields of the body that the server is known to rewrite or not to echo.
    """

    request = RequestClass.CREATE
    most = 1
    most_bytes = 2**30
    look_up_most = LOOKUP_KEYS
    repeat = Repeat.IDEMPOTENT
    landing_s = 0.0
    one_fate = True

    def __init__(
        self, transport: Transport, lists: ScaleLists, containers: ScaleContainers, task_type: str = ""
    ) -> None:
        self.learned: frozenset[str] = frozenset()
        self._transport = transport
        self._lists = lists
        self._containers = containers
        self._type = task_type
        self._path = "/task/" + quote(task_type, safe="")
        self._samples: dict[int, int] = {}

    async def send(self, records: Sequence[Outgoing]) -> Sequence[Outcome]:
        """POST each record. Every body carries a unique_id."""
        if len(records) == 1:
            return (await self._create(records[0]),)
        return [await self._create(record) for record in records]

    async def _create(self, record: Outgoing) -> Outcome:
        try:
            reply = await self._transport.call(RequestClass.CREATE, "POST", self._path, body=record.body)
        except (Unavailable, OutcomeUnknown) as error:
            return outcome_of(error)
        outcome = wire.created(reply, record.key)
        if self._samples.get(record.shape, 0) < SAMPLES_PER_SHAPE and outcome.kind is OutcomeKind.CREATED:
            self._learn(record, reply)
        return outcome

    def _learn(self, record: Outgoing, reply: Reply) -> None:
        """Learn the fields that the reply to our create does not echo, from a few replies for each set of fields."""
        if len(self._samples) > SAMPLED_SHAPES:
            return
        self._samples[record.shape] = self._samples.get(record.shape, 0) + 1
        try:
            task = wire.as_object(reply, "create task")
        except OutcomeUnknown:
            return
        found = differences(loads(record.body), task)
        if "instruction" in found and is_appended(*found["instruction"], self._containers.instructions(task)):
            del found["instruction"]  # can be compared after all
        if not found.keys() <= self.learned:
            self.learned = self.learned | found.keys()

    async def look_up(
        self, keys: Sequence[str], batches: Collection[str] | None = None, *, unsent: bool = False
    ) -> Mapping[str, LookupResult]:
        """Look keys up by GET /tasks?unique_id=..., page by page. A query that is refused as too long is halved."""
        size = sum(len(quote(key, safe="")) + 11 for key in keys)
        if len(keys) > LOOKUP_KEYS or (size > LOOKUP_QUERY_BYTES and len(keys) > 1):
            return await self._look_up_halves(keys)
        try:
            return await self._look_up(keys)
        except Refused as error:
            if error.status in {400, 413, 414, 431} and len(keys) > 1:
                return await self._look_up_halves(keys)
            raise

    async def _look_up(self, keys: Sequence[str]) -> Mapping[str, LookupResult]:
        """Read the answer to its last page, and ask again for missing keys if its total says that some are missing.

        It asks again only while each answer shows more. Otherwise a total that stays too high would never end.
        """
        found: dict[str, LookupResult] = {}
        waiting = keys
        while True:
            gathered = await self._gather(waiting)
            found.update(gathered.results())
            missing = [key for key in waiting if found[key].presence is Presence.ABSENT]
            if not gathered.short or len(missing) in {0, len(waiting)}:
                return found
            waiting = missing

    async def _gather(self, keys: Sequence[str]) -> Gathering:
        query = [*(("unique_id", key) for key in keys), ("limit", str(LOOKUP_KEYS))]
        gathered = Gathering(keys)
        cursor = gathered.take(await self._lists.list(query, "look up unique_ids"))
        while cursor is not None:
            cursor = gathered.take(await self._lists.list([*query, ("next_token", cursor)], "look up unique_ids"))
        return gathered

    async def _look_up_halves(self, keys: Sequence[str]) -> Mapping[str, LookupResult]:
        middle = len(keys) // 2
        return {**await self.look_up(keys[:middle]), **await self.look_up(keys[middle:])}

    async def read(self, ref: str) -> LookupResult:
        """GET /task/{id}; a 404 is ABSENT."""
        return await self._lists.read(ref)

    def compare(self, record: Outgoing, task: JsonObject) -> Comparison:
        """Compare the record's body with a task; see `compare`."""
        comparison = compare(loads(record.body), self._type, task, self.learned, self._containers.instructions(task))
        return comparison if comparison.status != "error" else replace(comparison, error=self.task_error(task))

    def task_error(self, task: JsonObject) -> TaskError:
        """Why a task is in error, in the server's words."""
        error = error_of(task)
        return replace(error, words=self._transport.hide(error.words))

    async def release(self, ref: str) -> Outcome:
        """DELETE /task/{id}/unique_id."""
        path = f"/task/{quote(ref, safe='')}/unique_id"
        try:
            reply = await self._transport.call(RequestClass.MUTATE, "DELETE", path)
        except RemoteError as error:
            return Outcome(OutcomeKind.UNKNOWN, message=str(error))
        if reply.status in {200, 404}:
            return Outcome(OutcomeKind.CREATED, ref=ref, status=reply.status)
        return refusal(reply, wire.error_text)

    async def remove(self, ref: str) -> None:
        """Raises Refused: the server refuses a second task, so none has to go."""
        raise Refused("a task cannot be removed, only canceled", op="remove task")
