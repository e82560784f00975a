"""The bytes of version 2: pages of chats, and one chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from scalesync.http import answers
from scalesync.http.transport import Reply
from scalesync.model.outcomes import LookupResult, Outcome, OutcomeKind, Presence
from scalesync.model.records import JsonObject
from scalesync.platforms.scale import wire
from scalesync.platforms.scale.documents import is_text
from scalesync.platforms.scale.jsonbytes import loads
from scalesync.platforms.scale.v2.documents import chat_of
from scalesync.platforms.scale.v2.shaper import KEY

# Names in place of ids, so that a task can be compared with a record.
NAMES = (("expand", "project"), ("expand", "batch"))


class _Page(msgspec.Struct):
    """tasks: of most lists. docs: of the one of delivered tasks."""

    tasks: list[msgspec.Raw] | None = None
    docs: list[msgspec.Raw] | None = None
    next_token: str | None = None


_decode_page = msgspec.json.Decoder(_Page).decode


def page(reply: Reply, op: str, member: str = "tasks") -> tuple[Sequence[bytes], str | None]:
    """Split a list reply into (raw documents, next_token). Raises OutcomeUnknown if the reply is not a list.

    member: where the documents stand, `tasks` or `docs`.
    """
    try:
        try:
            decoded = _decode_page(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            found, rest = wire.raw_page(reply.body, member, ("next_token",))
            decoded = msgspec.convert({**rest, member: found}, _Page)
    except (ValueError, RecursionError) as error:
        raise answers.unanswered(reply, op, "the reply is not a list of tasks") from error
    documents = decoded.tasks if member == "tasks" else decoded.docs
    if documents is None:
        raise answers.unanswered(reply, op, f"the reply has no {member}")
    entries = [bytes(raw) for raw in documents]
    if not all(entry.startswith(b"{") for entry in entries):
        raise answers.unanswered(reply, op, "the list holds an entry that is not a task")
    return entries, decoded.next_token or None


def found(task: JsonObject) -> LookupResult:
    """The result for a task that was read."""
    return LookupResult(Presence.FOUND, task, view=chat_of(task))


def created(reply: Reply, key: str) -> Outcome:
    """The outcome of one create call."""
    status = reply.status
    if status not in {200, 201}:
        return answers.refusal(reply, wire.error_text)
    try:
        task: Any = loads(reply.body)
    except ValueError:
        task = None
    ref = task.get("task_id") if isinstance(task, dict) else None
    if not isinstance(ref, str) or not ref or not is_text(ref):
        return answers.no_answer(reply, "the reply holds no task")
    metadata = task.get("metadata")
    theirs = metadata.get(KEY, key) if isinstance(metadata, dict) else key
    if theirs != key:
        return Outcome(OutcomeKind.UNKNOWN, status=status, message=f"the reply names another metadata.{KEY}")
    return Outcome(OutcomeKind.CREATED, ref, status)
