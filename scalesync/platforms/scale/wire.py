"""Scale's bytes: replies decoded tolerantly, raw documents cut out untouched, statuses turned into outcomes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from scalesync.errors import NotAllowed, OutcomeUnknown, Refused, RemoteError, Throttled
from scalesync.model import JsonObject, Outcome, OutcomeKind
from scalesync.platforms.transport import Reply

# The 409 text quotes the unique_id, which may hold parentheses itself: the task's id stands in the last pair.
TAKEN_BY = re.compile(r"\(([0-9a-fA-F]{24})\)[.\s]*$")


class TaskHead(msgspec.Struct):
    """The few members of a task that the engine reads; all others are left alone."""

    task_id: str
    unique_id: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    status: str | None = None


class _Page(msgspec.Struct):
    docs: list[msgspec.Raw]
    total: int | None = None
    has_more: bool | None = None
    next_token: str | None = None


_decode_head = msgspec.json.Decoder(TaskHead).decode
_decode_page = msgspec.json.Decoder(_Page).decode


def loads(body: bytes) -> Any:
    """JSON to Python with integers of any size; orjson first, the standard library where orjson refuses."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return json.loads(body.decode("utf-8", "surrogatepass"))


def dumps(value: Any) -> bytes:
    """Python to JSON."""
    return orjson.dumps(value)


def task_head(document: bytes) -> TaskHead:
    """The head of one raw task. Raises OutcomeUnknown when it is no task."""
    try:
        return _decode_head(document)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return msgspec.convert(json.loads(document.decode("utf-8", "surrogatepass")), TaskHead)
    except (ValueError, RecursionError) as error:
        raise OutcomeUnknown("the reply holds no task", op="read task") from error


def created(reply: Reply, key: str) -> Outcome:
    """The outcome of one create call."""
    status = reply.status
    if status in {200, 201}:
        try:
            head = task_head(reply.body)
        except OutcomeUnknown:
            return Outcome(OutcomeKind.UNKNOWN, status=status, message="the reply holds no task")
        if head.unique_id not in {None, key}:
            return Outcome(OutcomeKind.UNKNOWN, status=status, message="the reply names another unique_id")
        return Outcome(OutcomeKind.CREATED, ref=head.task_id, status=status)
    message = error_text(reply)
    if status == 409:
        found = TAKEN_BY.search(message)
        return Outcome(OutcomeKind.TAKEN, ref=found[1] if found else None, status=status, message=message)
    return Outcome(outcome_kind(status), status=status, message=message)


def outcome_kind(status: int) -> OutcomeKind:
    """What a status other than success says about the request."""
    if status in {401, 402, 403}:
        return OutcomeKind.NOT_ALLOWED
    if status == 429:
        return OutcomeKind.THROTTLED
    if status == 408 or status >= 500:
        return OutcomeKind.UNKNOWN
    return OutcomeKind.REFUSED


def check(reply: Reply, op: str) -> Reply:
    """Pass a success on, raise the error that the status stands for otherwise."""
    if 200 <= reply.status < 300:
        return reply
    kind = outcome_kind(reply.status)
    text = f"{op}: {error_text(reply)}"
    errors: dict[OutcomeKind, type[RemoteError]] = {
        OutcomeKind.NOT_ALLOWED: NotAllowed,
        OutcomeKind.THROTTLED: Throttled,
        OutcomeKind.UNKNOWN: OutcomeUnknown,
    }
    raise errors.get(kind, Refused)(text, op=op, status=reply.status)


def error_text(reply: Reply) -> str:
    """The server's own words, cut to 500 characters: `error` of the body, or the raw text (proxies send HTML)."""
    try:
        body = loads(reply.body)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict) and isinstance(body.get("error"), str):
        return str(body["error"])[:500]
    text = re.sub(r"<[^>]*>|\s+", " ", reply.body.decode("utf-8", "replace")).strip()
    return (" ".join(text.split()) or "no text")[:500]


def page(reply: Reply, op: str) -> tuple[Sequence[bytes], int | None, bool | None, str | None]:
    """Cut a list reply into (raw documents, total, has_more, next_token).

    The documents are slices of the reply, byte for byte. Raises OutcomeUnknown when the reply is no list.
    """
    try:
        decoded = _decode_page(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _page_by_hand(reply.body, op)
    return [bytes(raw) for raw in decoded.docs], decoded.total, decoded.has_more, decoded.next_token


def _page_by_hand(body: bytes, op: str) -> tuple[Sequence[bytes], int | None, bool | None, str | None]:
    # msgspec refuses lone surrogates in escapes, which JSON text may hold; the standard library reads them.
    text = body.decode("utf-8", "surrogateescape")
    try:
        envelope = json.loads(text)
        start = text.index("[", text.index('"docs"'))
        documents = _slices(text, start + 1, len(envelope["docs"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise OutcomeUnknown(f"{op}: the reply is no list of tasks", op=op) from error
    return documents, envelope.get("total"), envelope.get("has_more"), envelope.get("next_token")


def _slices(text: str, position: int, count: int) -> list[bytes]:
    decoder = json.JSONDecoder()
    documents = []
    for _ in range(count):
        while text[position] in " \t\r\n,":
            position += 1
        _, end = decoder.raw_decode(text, position)
        documents.append(text[position:end].encode("utf-8", "surrogateescape"))
        position = end
    return documents


def as_object(reply: Reply, op: str) -> JsonObject:
    """A reply that must be one JSON object. Raises OutcomeUnknown otherwise."""
    try:
        value = loads(reply.body)
    except (ValueError, RecursionError) as error:
        raise OutcomeUnknown(f"{op}: the reply is not JSON", op=op) from error
    if not isinstance(value, dict):
        raise OutcomeUnknown(f"{op}: the reply is no object", op=op)
    return value
