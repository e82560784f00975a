"""Create chats over version 2, and find them again by the key in their metadata. No retries, no policy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from scalesync.errors import OutcomeUnknown, Refused, RemoteError, Unavailable
from scalesync.http.answers import outcome_of
from scalesync.http.transport import Reply, Transport
from scalesync.model.outcomes import Comparison, LookupResult, Outcome, OutcomeKind, Presence, TaskError
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.targets import RequestClass
from scalesync.platforms.scale import wire as version_1
from scalesync.platforms.scale.jsonbytes import loads
from scalesync.platforms.scale.v2 import wire
from scalesync.platforms.scale.v2.compare import compare, differences
from scalesync.platforms.scale.v2.documents import Chat
from scalesync.platforms.scale.v2.listing import Listings
from scalesync.platforms.scale.v2.lists import ChatLists
from scalesync.platforms.scale.v2.shaper import KEY, REMOVED
from scalesync.ports.operation import Repeat

LOOKUP_KEYS = 2_000  # one list answers for all of them
SAMPLES = 8  # replies to creates that are compared with their records
ERRORS_SHOWN = 3
ERROR = "error"


class Chats:
    """Chats of one project.

    learned: fields of the body that the server is known to rewrite.
    """

    request = RequestClass.CREATE
    most = 1
    most_bytes = 2**30
    look_up_most = LOOKUP_KEYS
    repeat = Repeat.COMPARE_FIRST
    one_fate = True

    def __init__(
        self, transport: Transport, lists: ChatLists, namespace: str, landing_s: float, dead: Collection[str]
    ) -> None:
        self.learned: frozenset[str] = frozenset()
        self.landing_s = landing_s
        self._transport = transport
        self._lists = lists
        self._listings = Listings(lists, namespace)
        self._dead = dead
        self._sampled = 0

    async def send(self, records: Sequence[Outgoing]) -> Sequence[Outcome]:
        """POST each record. Every body carries its key in the metadata."""
        return [await self._create(record) for record in records]

    async def _create(self, record: Outgoing) -> Outcome:
        try:
            reply = await self._transport.call(RequestClass.CREATE, "POST", "/task/chat", body=record.body)
        except (Unavailable, OutcomeUnknown) as error:
            return outcome_of(error)
        outcome = wire.created(reply, record.key)
        if self._sampled < SAMPLES and outcome.kind is OutcomeKind.CREATED:
            self._sampled += 1
            self._learn(record, reply)
        return outcome

    def _learn(self, record: Outgoing, reply: Reply) -> None:
        """Learn the fields that the reply to our create shows otherwise than we sent them."""
        found, _ = differences(loads(record.body), version_1.as_object(reply, "create task"))
        if not found.keys() <= self.learned:
            self.learned |= found.keys()

    async def look_up(
        self, keys: Sequence[str], batches: Collection[str] | None = None, *, unsent: bool = False
    ) -> Mapping[str, LookupResult]:
        """List the project once, and the batches again for what was sent into them."""
        return await self._listings.look_up(keys, batches, unsent=unsent)

    async def read(self, ref: str) -> LookupResult:
        """GET /task; a 404 is ABSENT, and so is a task that `remove` canceled."""
        result = await self._lists.read(ref)
        removed = isinstance(result.view, Chat) and result.view.removed
        return LookupResult(Presence.ABSENT) if removed else result

    def compare(self, record: Outgoing, task: JsonObject) -> Comparison:
        """Compare the record's body with a task."""
        comparison = compare(loads(record.body), task, self.learned, self._dead)
        return comparison if comparison.status != ERROR else replace(comparison, error=self.task_error(task))

    def task_error(self, task: JsonObject) -> TaskError:
        """Why a task is in error, in the server's words: `errors` is a list of {"type", "message"}."""
        errors = task.get("errors")
        parts = []
        for error in errors if isinstance(errors, list) else ():
            if isinstance(error, dict):
                parts.append(": ".join(str(error[name]) for name in ("type", "message") if error.get(name)))
        words = "; ".join(part for part in parts[:ERRORS_SHOWN] if part)
        return TaskError(self._transport.hide(words)[: version_1.TEXT_LIMIT] or "the server gives no reason")

    async def release(self, ref: str) -> Outcome:
        """Take the key out of the metadata of a dead task."""
        try:
            await self._label(ref, lambda metadata: _without(metadata, KEY))
        except RemoteError as error:
            kind = OutcomeKind.REFUSED if isinstance(error, Refused) else OutcomeKind.UNKNOWN
            return Outcome(kind, status=error.status, message=str(error))
        return Outcome(OutcomeKind.CREATED, ref=ref)

    async def remove(self, ref: str) -> None:
        """Cancel a task that nobody has worked on. From then on its key no longer counts.

        The mark comes first: a run that is killed in between leaves a task that is still one of several. A guess:
        version 2 documents no cancel of a single task, so that of version 1 is called, which refuses a task that
        somebody works on. Both versions show the same tasks.
        """
        await self._label(ref, lambda metadata: {**metadata, REMOVED: True})
        root = self._transport.base_url.removesuffix("/v2") + "/v1"
        path = f"/task/{quote(ref, safe='')}/cancel"
        reply = await self._transport.call(RequestClass.MUTATE, "POST", path, root=root)
        try:
            if reply.status != 404:
                version_1.check(reply, "cancel task")
        except Refused:
            await self._label(ref, lambda metadata: _without(metadata, REMOVED))
            raise

    async def _label(self, ref: str, change: Callable[[JsonObject], JsonObject]) -> None:
        """Replace the metadata of a task that has our key. `merge` could not take a member away."""
        task = (await self.read(ref)).task
        metadata = None if task is None else task.get("metadata")
        if not isinstance(metadata, dict) or KEY not in metadata:
            return
        body = version_1.dumps({"task_id": ref, "metadata": change(metadata), "merge": False})
        reply = await self._transport.call(RequestClass.MUTATE, "POST", "/task/metadata", body=body)
        if reply.status != 404:
            version_1.check(reply, "set metadata")


def _without(metadata: JsonObject, name: str) -> JsonObject:
    return {member: value for member, value in metadata.items() if member != name}
