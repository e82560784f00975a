"""Carries changes out over Scale's v1 API, one in each call. No retries, no policy."""

from __future__ import annotations

from scalesync.errors import ConfigError, OutcomeUnknown, RemoteError
from scalesync.http import answers
from scalesync.http.strays import stray
from scalesync.http.transport import Reply, Transport
from scalesync.model.outcomes import LookupResult, Outcome, OutcomeKind, Presence
from scalesync.model.records import JsonObject
from scalesync.platforms.scale import wire
from scalesync.platforms.scale.changes.calls import call_of
from scalesync.platforms.scale.containers import ScaleContainers
from scalesync.platforms.scale.lists import ScaleLists
from scalesync.ports.changes import ChangeSpec

PLAIN = b"OK"  # some endpoints answer so, without JSON (official SDK); nobody knows which


class ScaleChanger:
    """Changes of tasks and batches of one account."""

    def __init__(self, transport: Transport, lists: ScaleLists, containers: ScaleContainers, landing_s: float) -> None:
        """landing_s: seconds in which a request that was given up may still take effect."""
        self.landing_s = landing_s
        self._transport = transport
        self._lists = lists
        self._containers = containers

    async def change(self, spec: ChangeSpec, ref: str, arguments: JsonObject, document: JsonObject | None) -> Outcome:
        """Make one change; see `ports.changes.Changer`."""
        plan = spec.plan(document, arguments) if spec.reads and document is not None else None
        if plan is not None and plan.refused:
            return Outcome(OutcomeKind.REFUSED, message=plan.refused)
        try:
            endpoint, request = call_of(spec, ref, arguments, document)
        except ConfigError as error:
            return Outcome(OutcomeKind.REFUSED, message=str(error))
        try:
            reply = await self._transport.call(
                endpoint.request, request.method, request.path, query=request.query, body=request.body
            )
        except RemoteError as error:
            return answers.outcome_of(error)
        if 200 <= reply.status < 300:
            return _done(reply, ref, shows_task=endpoint.returns == "Task")
        if reply.status == 409 and "new_unique_id" in arguments:
            return await self._taken(reply, ref, str(arguments["new_unique_id"]))
        return answers.refusal(reply, wire.error_text)

    async def _taken(self, reply: Reply, ref: str, wanted: str) -> Outcome:
        """A 409: the task itself may have the unique_id, for the answer to an earlier request may have been lost."""
        holder = wire.holder(reply)
        if holder is None:
            try:
                task = (await self._lists.read(ref)).task
            except RemoteError as error:
                return Outcome(OutcomeKind.UNKNOWN, status=error.status, message=str(error))
            holder = ref if task is not None and task.get("unique_id") == wanted else None
        if holder == ref:
            return Outcome(OutcomeKind.CREATED, ref, reply.status)
        return Outcome(OutcomeKind.REFUSED, holder, reply.status, wire.error_text(reply))

    async def read(self, spec: ChangeSpec, ref: str) -> LookupResult:
        """GET /task/{id} or GET /batches/{name}; a 404 is ABSENT."""
        if spec.subject == "task":
            return await self._lists.read(ref)
        batch = await self._containers.batch(ref)
        return LookupResult(Presence.ABSENT) if batch is None else LookupResult(Presence.FOUND, batch)


def _done(reply: Reply, ref: str, *, shows_task: bool) -> Outcome:
    """The outcome of a success. A proxy answers 200 as well, so what comes back has to look like the API's answer.

    shows_task: the answer is the task. No source says what the other calls answer.
    """
    body = reply.body.strip()
    if body == PLAIN or not (body or shows_task):
        return Outcome(OutcomeKind.CREATED, ref, reply.status)
    if not shows_task:
        if stray(reply) is not None:
            return answers.no_answer(reply, "the reply is not the API's")
        return Outcome(OutcomeKind.CREATED, ref, reply.status)
    try:
        head = wire.task_head(reply.body)
    except OutcomeUnknown:
        return answers.no_answer(reply, "the reply holds no task")
    if head.task_id.lower() != ref.lower():
        return Outcome(OutcomeKind.UNKNOWN, status=reply.status, message="the reply shows another task")
    return Outcome(OutcomeKind.CREATED, ref, reply.status)
