"""Creating items in chunks, and finding them again by their labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from scalesync.platforms.plugin import (
    Comparison,
    JsonObject,
    LookupResult,
    Outcome,
    OutcomeKind,
    OutcomeUnknown,
    Outgoing,
    Presence,
    RemoteError,
    Repeat,
    RequestClass,
    TaskError,
    Throttled,
    Transport,
    Unavailable,
    outcome_of,
    refusal,
)
from tests.toy.platform import wire
from tests.toy.platform.compare import compare
from tests.toy.platform.lists import ToyLists
from tests.toy.platform.spec import SPEC

CHUNK, CHUNK_BYTES = 25, 2**20
LABELS = 50


class ToyItems:
    """Items of one project. one_fate is a switch of the service, and it does not say how it stands: many fates."""

    request = RequestClass.CREATE
    most, most_bytes, look_up_most = CHUNK, CHUNK_BYTES, LABELS
    repeat = Repeat.COMPARE_FIRST
    landing_s = SPEC.key.landing_s
    one_fate = SPEC.key.one_fate
    learned: frozenset[str] = frozenset()

    def __init__(self, transport: Transport, lists: ToyLists, namespace: str) -> None:
        self._transport = transport
        self._lists = lists
        self._project = namespace

    async def send(self, items: Sequence[Outgoing]) -> Sequence[Outcome]:
        """POST items:import; one answer for each, or a command for all of them."""
        body = b'{"items":[' + b",".join(item.body for item in items) + b"]}"
        path = f"/projects/{quote(self._project, safe='')}/items:import"
        try:
            reply = await self._transport.call(RequestClass.CREATE, "POST", path, body=body)
            if reply.status == 202:
                command = str(wire.member(reply, "command", "import items"))
                return [Outcome(OutcomeKind.ACCEPTED, status=202, command=command)] * len(items)
            if reply.status != 200:
                return [refusal(reply, wire.problem)] * len(items)
            answers = wire.member(reply, "items", "import items")
        except (Unavailable, Throttled, OutcomeUnknown) as error:
            return [outcome_of(error)] * len(items)
        return [_outcome(answer, reply.status) for answer in answers]

    async def look_up(
        self, keys: Sequence[str], batches: Collection[str] | None = None, *, unsent: bool = False
    ) -> Mapping[str, LookupResult]:
        """GET items?label=...; a key may have several items, of which the first made counts."""
        found: dict[str, LookupResult] = {}
        asked = [("label", key) for key in keys]
        after: str | None = None
        while True:
            more = [] if after is None else [("after", after)]
            page = await self._lists.list(self._project, [*asked, *more], "look up labels")
            for document in page.documents:
                item = wire.view(document)
                key = item.key
                if key is None or key not in keys:  # the filter was not applied: nothing that is missing is proven
                    return dict.fromkeys(keys, LookupResult(Presence.UNKNOWN))
                first = found.get(key)
                if first is None:
                    found[key] = wire.found(document)
                else:
                    found[key] = replace(first, others=(*first.others, item.ref))
            after = page.cursor
            if after is None:
                return {key: found.get(key, LookupResult(Presence.ABSENT)) for key in keys}

    async def read(self, ref: str) -> LookupResult:
        """GET /items/{id}."""
        return await self._lists.read(ref)

    def compare(self, item: Outgoing, task: JsonObject) -> Comparison:
        """Compare a record's data with an item."""
        return compare(item.body, task)

    def task_error(self, task: JsonObject) -> TaskError:
        """Toy's items have no errors of their own."""
        return TaskError("the service gives no reason")

    async def release(self, ref: str) -> Outcome:
        """DELETE /items/{id}/label."""
        path = f"/items/{quote(ref, safe='')}/label"
        try:
            reply = await self._transport.call(RequestClass.MUTATE, "DELETE", path)
        except RemoteError as error:
            return Outcome(OutcomeKind.UNKNOWN, message=str(error))
        if reply.status in {200, 404}:
            return Outcome(OutcomeKind.CREATED, ref=ref, status=reply.status)
        return refusal(reply, wire.problem)

    async def remove(self, ref: str) -> None:
        """DELETE /items/{id}."""
        reply = await self._transport.call(RequestClass.MUTATE, "DELETE", "/items/" + quote(ref, safe=""))
        if reply.status != 404:
            wire.check(reply, "remove item")


def _outcome(answer: object, status: int) -> Outcome:
    """The outcome of one item in the answer to its chunk."""
    if isinstance(answer, dict) and isinstance(answer.get("id"), int):
        return Outcome(OutcomeKind.CREATED, str(answer["id"]), status)
    if isinstance(answer, dict) and isinstance(answer.get("problem"), str):
        return Outcome(OutcomeKind.REFUSED, status=status, message=answer["problem"])
    return Outcome(OutcomeKind.UNKNOWN, status=status, message="the reply holds no answer for an item")
