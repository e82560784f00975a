"""What a row of the table cannot say: what is looked at before a call, and after one whose outcome is unclear.

A name that no two things share lets a call be repeated: if an attempt without an answer took effect, the repeat is
refused. The thing is read then, and compared with what was asked for, because somebody else may have taken the name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from scalesync.errors import ConfigError, OutcomeUnknown, RemoteError, Throttled, Unavailable
from scalesync.model.outcomes import Match
from scalesync.platforms.scale.api.endpoint import Endpoint, request_of
from scalesync.platforms.scale.api.errors import ScaleDuplicateResource, ScaleInvalidRequest
from scalesync.platforms.scale.api.table import ENDPOINTS
from scalesync.platforms.scale.compare import compare, echoes
from scalesync.platforms.scale.containers import ScaleContainers
from scalesync.platforms.scale.jsonbytes import loads

if TYPE_CHECKING:
    from scalesync.scale.calls import Calls

Arguments = Mapping[str, Any]
ReadBack = Callable[["Calls", Arguments, ScaleDuplicateResource], Awaitable[Any]]
# what a batch is after each call that a second one is refused for
AFTER = {
    "finalize_batch": ("in_progress", "completed"),
    "v2_finalize_batch": ("in_progress", "completed"),
    "v2_pause_batch": ("paused",),
    "v2_resume_batch": ("in_progress", "completed"),
    "v2_cancel_batch": ("cancelled",),
}


CHECKED = frozenset({"set_studio_batches_priorities"})  # calls that `before` looks at


async def before(calls: Calls, endpoint: Endpoint, arguments: Arguments) -> None:
    """Check that all pending batches are listed, because the server needs all. Raises ConfigError."""
    pending = (await calls.make(ENDPOINTS["list_studio_batches"], {})).value
    given = arguments["batch_names"]
    listed = {given} if isinstance(given, str) else set(given)
    missing = [str(batch.get("name")) for batch in pending if batch.get("name") not in listed]
    if missing:
        raise ConfigError(
            f"{endpoint.op}: all pending batches must be listed; missing: {', '.join(missing)}. Nothing was changed"
        )


async def read_back(calls: Calls, endpoint: Endpoint, arguments: Arguments, error: RemoteError) -> Any:
    """The thing that an attempt without an answer made or changed, as JSON; None if there is none.

    error: what the call ended with.
    """
    if isinstance(error, ScaleDuplicateResource) and (reader := _MADE.get(endpoint.name)) is not None:
        return await reader(calls, arguments, error)
    if isinstance(error, ScaleInvalidRequest) and endpoint.name in AFTER:
        return await _changed(calls, endpoint, arguments)
    return None


def with_doubt(error: RemoteError, op: str) -> RemoteError:
    """The same error, which says that an earlier attempt may have been carried out.

    An error that would promise the opposite becomes OutcomeUnknown.
    """
    words = f"{error}; an attempt of this call may have been carried out: look before you make it again"
    if isinstance(error, Throttled | Unavailable):
        return OutcomeUnknown(words, op=op, status=error.status, retry_after_s=error.retry_after_s)
    error.args = (words,)
    return error


async def _task_made(calls: Calls, arguments: Arguments, error: ScaleDuplicateResource) -> Any:
    body = loads(request_of(ENDPOINTS["create_task"], arguments).body or b"{}")
    unique_id = body["unique_id"]
    if error.task_id is not None:
        task = (await calls.make(ENDPOINTS["get_task"], {"task_id": error.task_id})).value
    else:
        listed = (await calls.make(ENDPOINTS["get_tasks"], {"unique_id": unique_id})).value
        task = next((each for each in listed.get("docs", ()) if each.get("unique_id") == unique_id), None)
    if task is None or task.get("unique_id") != unique_id:
        return None
    containers = ScaleContainers(calls.connection.transport)
    if "instruction" in body and task.get("project"):
        await containers.know_project(task["project"])  # the server appends its instruction to the task's
    found = compare(body, arguments["task_type"], task, (), containers.instructions(task))
    return task if found.match is Match.EQUAL else None


async def _task_named(calls: Calls, arguments: Arguments, error: ScaleDuplicateResource) -> Any:
    task = (await calls.make(ENDPOINTS["get_task"], {"task_id": arguments["task_id"]})).value
    return task if task.get("unique_id") == arguments["unique_id"] else None


async def _batch_made(calls: Calls, arguments: Arguments, error: ScaleDuplicateResource) -> Any:
    batch = (await calls.make(ENDPOINTS["get_batch"], {"batch_name": arguments["batch_name"]})).value
    return batch if _is_as_asked(batch, arguments, ("project", "metadata", "callback")) else None


async def _project_made(calls: Calls, arguments: Arguments, error: ScaleDuplicateResource) -> Any:
    project = (await calls.make(ENDPOINTS["get_project"], {"project_name": arguments["project_name"]})).value
    same = project.get("type") == arguments["task_type"]
    history = project.get("param_history") or [{}]
    return project if same and echoes(dict(arguments.get("params") or {}), history[-1]) else None


async def _group_made(calls: Calls, arguments: Arguments, error: ScaleDuplicateResource) -> Any:
    groups = (await calls.make(ENDPOINTS["list_project_groups"], {"project": arguments["project"]})).value
    group = next((each for each in groups if each.get("name") == arguments["project_group"]), None)
    if group is None or group.get("workers") is None:
        return None  # without its people nothing shows whose it is
    given = arguments["emails"]
    emails = {given} if isinstance(given, str) else set(given)
    return group if {worker.get("email") for worker in group["workers"]} == emails else None


async def _v2_batch_made(calls: Calls, arguments: Arguments, error: ScaleDuplicateResource) -> Any:
    asked = {"batch_name": arguments["name"], "expand": "project"}
    batch = (await calls.make(ENDPOINTS["v2_get_batch"], asked)).value
    project = batch.get("project")
    shown = project if isinstance(project, dict) else {"id": project, "name": project}
    wanted = arguments.get("project_id") or arguments.get("project_name")
    same = wanted in {shown.get("id"), shown.get("name")} and _is_as_asked(batch, arguments, ("metadata", "callback"))
    return {**batch, "project": shown.get("id")} if same else None


async def _changed(calls: Calls, endpoint: Endpoint, arguments: Arguments) -> Any:
    """The batch, if it is what the call was to make of it."""
    reader = ENDPOINTS["v2_get_batch" if endpoint.version == "v2" else "get_batch"]
    batch = (await calls.make(reader, arguments)).value
    if batch.get("status") not in AFTER[endpoint.name]:
        return None
    return {"batch": batch, "message": ""} if endpoint.returns == "V2BatchChange" else batch


def _is_as_asked(thing: Arguments, arguments: Arguments, names: tuple[str, ...]) -> bool:
    """Whether it has each of these as it was asked for, where it was."""
    asked = {name: arguments[name] for name in names if arguments.get(name) is not None}
    return echoes({name: dict(value) if isinstance(value, Mapping) else value for name, value in asked.items()},
                  dict(thing))  # fmt: skip


_MADE: dict[str, ReadBack] = {
    "create_task": _task_made,
    "update_task_unique_id": _task_named,
    "create_batch": _batch_made,
    "create_project": _project_made,
    "create_project_group": _group_made,
    "v2_create_batch": _v2_batch_made,
}
