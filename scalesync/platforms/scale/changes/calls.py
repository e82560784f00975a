"""The request of each change, made of a row of `api` and the arguments of the change. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from scalesync.model.records import JsonObject
from scalesync.platforms.scale.api import batches, tasks
from scalesync.platforms.scale.api.endpoint import Endpoint, Request, request_of
from scalesync.platforms.scale.changes.plans import merge_metadata
from scalesync.ports.changes import ChangeSpec

Given = Callable[[JsonObject, JsonObject], JsonObject]


class Way(NamedTuple):
    """How a change goes out.

    endpoint: the name of its row.
    given: (arguments of the change, document) -> arguments of the endpoint, without the one that names the subject.
    """

    endpoint: str
    given: Given


def _same(arguments: JsonObject, document: JsonObject) -> JsonObject:
    return arguments


def _cancel(arguments: JsonObject, document: JsonObject) -> JsonObject:
    return {"clear_unique_id": True} if arguments.get("clear_unique_id") is True else {}


def _merged(arguments: JsonObject, document: JsonObject) -> JsonObject:
    return merge_metadata(document, arguments).after


def _accept(arguments: JsonObject, document: JsonObject) -> JsonObject:
    return {**arguments, "accepted": True}


def _reject(arguments: JsonObject, document: JsonObject) -> JsonObject:
    return {**arguments, "accepted": False}


def _unique_id(arguments: JsonObject, document: JsonObject) -> JsonObject:
    return {"unique_id": arguments["new_unique_id"]}


def _priority(arguments: JsonObject, document: JsonObject) -> JsonObject:
    return {"priority": int(arguments["priority"])}


WAYS = {
    "cancel": Way("cancel_task", _cancel),
    "tags set": Way("set_task_tags", _same),
    "tags add": Way("add_task_tags", _same),
    "tags remove": Way("delete_task_tags", _same),
    "metadata set": Way("set_task_metadata", _same),
    "metadata merge": Way("set_task_metadata", _merged),
    "audit": Way("audit_task", _same),
    "audit accept": Way("audit_task", _accept),
    "audit reject": Way("audit_task", _reject),
    "unique-id set": Way("update_task_unique_id", _unique_id),
    "unique-id clear": Way("clear_task_unique_id", _same),
    "priority": Way("prioritize_batch", _priority),
    "send-callback": Way("send_callback", _same),
}
_ENDPOINTS = {row.name: row for row in (*tasks.ROWS, *batches.ROWS)}


def call_of(spec: ChangeSpec, ref: str, arguments: JsonObject, document: JsonObject | None) -> tuple[Endpoint, Request]:
    """The endpoint and the request of one change. Raises ConfigError for what cannot be sent."""
    way = WAYS[spec.name]
    endpoint = _ENDPOINTS[way.endpoint]
    name = "batch_name" if spec.subject == "batch" else "task_id"
    return endpoint, request_of(endpoint, {name: ref, **way.given(arguments, document or {})})
