"""Scale's bytes: decode replies tolerantly, cut out raw documents unchanged, turn statuses into outcomes."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import orjson

from scalesync.errors import OutcomeUnknown
from scalesync.http import answers
from scalesync.http.transport import Reply
from scalesync.model.outcomes import LookupResult, Outcome, OutcomeKind, Presence
from scalesync.model.records import JsonObject
from scalesync.platforms.scale.documents import is_text, view_of
from scalesync.platforms.scale.jsonbytes import items, loads, members, slow_loads

TEXT_LIMIT = 500  # characters of a message that are kept
# The 409 message quotes the unique_id, which may hold parentheses itself. The task's id is in the last pair.
TAKEN_BY = re.compile(r"\(([0-9a-fA-F]{24})\)[.\s]*$")
_CREATED = OutcomeKind.CREATED


class TaskHead(msgspec.Struct):
    """The few members of a task that the engine reads; the others are not decoded."""

    task_id: str
    unique_id: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    status: str | None = None


class _Envelope(msgspec.Struct, kw_only=True):
    total: int | None = None
    has_more: bool | None = None
    next_token: str | None = None


class _Page(_Envelope, kw_only=True):
    docs: list[msgspec.Raw]


_decode_head = msgspec.json.Decoder(TaskHead).decode
_decode_page = msgspec.json.Decoder(_Page).decode


def dumps(value: Any) -> bytes:
    """Python to JSON."""
    return orjson.dumps(value)


def task_head(document: bytes) -> TaskHead:
    """The head of one raw task. Raises OutcomeUnknown if it is not a task."""
    try:
        try:
            head = _decode_head(document)
        except (msgspec.DecodeError, UnicodeDecodeError):
            # msgspec refuses lone surrogates, which JSON allows
            head = msgspec.convert(slow_loads(document), TaskHead)
    except (ValueError, RecursionError) as error:
        raise OutcomeUnknown("the reply holds no task", op="read task") from error
    if not head.task_id or not (head.task_id.isascii() or is_text(head.task_id)):
        raise OutcomeUnknown("the reply holds no task_id", op="read task")
    return head


def created(reply: Reply, key: str) -> Outcome:
    """The outcome of one create call."""
    status = reply.status
    if status in {200, 201}:
        try:
            head = task_head(reply.body)
        except OutcomeUnknown:
            return answers.no_answer(reply, "the reply holds no task")
        if head.unique_id != key and head.unique_id is not None:
            return Outcome(OutcomeKind.UNKNOWN, status=status, message="the reply names another unique_id")
        return Outcome(_CREATED, head.task_id, status)
    if status == 409:
        return Outcome(OutcomeKind.TAKEN, ref=holder(reply), status=status, message=error_text(reply))
    return answers.refusal(reply, error_text)


def holder(reply: Reply) -> str | None:
    """The id of the task that has the unique_id, from the words of a 409; None if they do not name it."""
    found = TAKEN_BY.search(_own_words(reply) or error_text(reply))
    return found[1] if found else None


def check(reply: Reply, op: str) -> Reply:
    """Return a success, and raise the error for any other status."""
    return answers.check(reply, op, error_text)


def error_text(reply: Reply) -> str:
    """The server's message, cut to TEXT_LIMIT: `error` of the body, or the `message` of a gateway before the API.

    Otherwise it is the raw text, because proxies send HTML.

    Without either, it is a sentence with the status.
    """
    words = _own_words(reply)
    if words is None:
        words = answers.plain_text(reply)
    return words[:TEXT_LIMIT]


def _own_words(reply: Reply) -> str | None:
    """`error` or `message` of the body, whole."""
    try:
        body = loads(reply.body)
    except ValueError:
        return None
    words = body.get("error", body.get("message")) if isinstance(body, dict) else None
    return reply.hide(words.encode("utf-8", "replace").decode()) if isinstance(words, str) else None


Page = tuple[Sequence[bytes], int | None, bool | None, str | None]


def page(reply: Reply, op: str) -> Page:
    """Split a list reply into (raw documents, total, has_more, next_token).

    The documents are parts of the reply, byte for byte. Raises OutcomeUnknown if the reply is not a list.
    """
    try:
        try:
            decoded = _decode_page(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            docs, rest = raw_page(reply.body, "docs", ("total", "has_more", "next_token"))
            decoded = msgspec.convert({**rest, "docs": docs}, _Page)
    except (ValueError, RecursionError) as error:
        raise answers.unanswered(reply, op, "the reply is not a list of tasks") from error
    return [bytes(raw) for raw in decoded.docs], decoded.total, decoded.has_more, decoded.next_token


def raw_page(body: bytes, documents: str, rest: Collection[str]) -> tuple[list[msgspec.Raw], JsonObject]:
    """The elements of one member of a page as raw bytes, and some of its other members.

    msgspec refuses escaped lone surrogates, which JSON allows; the standard library reads them. Raises ValueError.
    """
    text = body.decode("utf-8", "surrogateescape")
    found: dict[str, str] = {name: text[start:end] for name, start, end in members(text)}
    listed = found.pop(documents, "")
    raw = [msgspec.Raw(listed[start:end].encode("utf-8", "surrogateescape")) for start, end in items(listed)]
    return raw, {name: json.loads(found[name]) for name in rest if name in found}


def lookup_result(document: bytes, wanted: Collection[str]) -> tuple[str, LookupResult] | None:
    """A raw task of a look-up as (key, result); None if it has none of the wanted keys."""
    try:
        task = loads(document)
    except ValueError:
        return None
    key = task.get("unique_id") if isinstance(task, dict) else None
    if not isinstance(key, str) or key not in wanted:
        return None
    ref = task.get("task_id")
    known = is_text(ref) and bool(ref) and is_text(task.get("status", ""))
    return key, found(task) if known else LookupResult(Presence.UNKNOWN)


def found(task: JsonObject) -> LookupResult:
    """The result for a task that was read."""
    return LookupResult(Presence.FOUND, task, view=view_of(task))


def objects(reply: Reply, op: str) -> list[JsonObject]:
    """The objects of a reply that must be one JSON array. Raises OutcomeUnknown if it is not."""
    try:
        value = loads(reply.body)
    except ValueError as error:
        raise OutcomeUnknown(f"{op}: the reply is not JSON", op=op) from error
    if not isinstance(value, list):
        raise OutcomeUnknown(f"{op}: the reply is not an array", op=op)
    return [item for item in value if isinstance(item, dict)]


def as_value(reply: Reply, op: str) -> Any:
    """The JSON value of a reply. Raises OutcomeUnknown if it is not JSON."""
    try:
        return loads(reply.body)
    except ValueError as error:
        raise answers.unanswered(reply, op, "the reply is not JSON") from error


def as_object(reply: Reply, op: str) -> JsonObject:
    """The object of a reply that must be one JSON object. Raises OutcomeUnknown if it is not."""
    value = as_value(reply, op)
    if not isinstance(value, dict):
        raise OutcomeUnknown(f"{op}: the reply is not an object", op=op)
    return value
