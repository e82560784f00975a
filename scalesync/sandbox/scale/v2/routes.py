"""The function for each path under /v2, and the class of its requests for faults and counters."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.scale.v2 import batches, datasets, deliveries, projects, schema, tasks
from scalesync.sandbox.scale.v2.state import GenAI


class Route(NamedTuple):
    """kind: a class of `core.faults`. guess: what of the call nobody documents; the page on the sandbox shows it."""

    kind: str
    answer: Callable[[GenAI, Call], Reply]
    guess: str = ""


# "*" is a part of the path that the caller fills in.
ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "task"): Route("get", tasks.get_task, "the order of members, and what people were asked"),
    ("GET", "tasks"): Route("list", tasks.list_tasks, "newest first"),
    ("POST", "task/chat"): Route("create", tasks.create_chat, "the checks; `unique_id` is ignored"),
    ("POST", "task/metadata"): Route("mutate", tasks.set_metadata),
    ("GET", "annotation"): Route("get", tasks.get_annotation),
    ("GET", "schema"): Route("get", schema.get_schema, "one schema for all projects"),
    ("GET", "batch"): Route("batch", batches.get_batch),
    ("GET", "batches"): Route("batch", batches.list_batches, "newest first; of all projects if none is named"),
    ("POST", "batch"): Route("batch", batches.post_batch, "no chats after `finalize`, as in version 1"),
    ("POST", "batch/finalize"): Route("batch", batches.finalize),
    ("POST", "batch/pause"): Route("batch", batches.pause),
    ("POST", "batch/resume"): Route("batch", batches.resume, "the message; it also undoes a pause that is under way"),
    ("POST", "batch/cancel"): Route(
        "batch", batches.cancel, "until it takes effect, nothing else may be asked of the batch"
    ),
    ("POST", "batch/metadata"): Route("batch", batches.set_metadata),
    ("GET", "project"): Route("project", projects.get_project),
    ("GET", "projects"): Route("project", projects.list_projects, "projects of version 1 are listed, without `types`"),
    ("GET", "deliveries"): Route("list", deliveries.list_deliveries, "newest first; of all projects if none is named"),
    ("GET", "delivery"): Route("list", deliveries.get_delivery, "chats as they were delivered, newest first"),
    ("GET", "delivery/tasks"): Route("list", deliveries.list_delivered, "newest first; the last delivery of each chat"),
    ("GET", "datasets"): Route("list", datasets.list_datasets),
    ("GET", "datasets/deliveries"): Route(
        "list", datasets.list_published, "newest first; of all datasets if none is named"
    ),
    ("GET", "datasets/delivery"): Route("list", datasets.get_published, "newest first"),
    ("GET", "datasets/tasks"): Route("list", datasets.list_dataset_tasks, "newest first"),
    ("GET", "datasets/task"): Route("get", datasets.get_dataset_task, "`response` is `threads` and `attachments`"),
    ("GET", "datasets/task/*/response_url/*"): Route("result", datasets.response_url, "the file is JSON"),
}


def told() -> list[str]:
    """The rows of the table of calls, as docs/sandbox.md has it."""
    return [
        f"| `{method} /v2/{path}` | `{route.kind}` | {f'guess: {route.guess}' if route.guess else 'as documented'} |"
        for (method, path), route in ROUTES.items()
    ]


def _route(method: str, path: tuple[str, ...]) -> Route | None:
    parts = ("*" if n in (2, 4) else part for n, part in enumerate(path)) if len(path) == 5 else path
    return ROUTES.get((method, "/".join(parts)))


def kind_of(call: Call) -> str:
    """create, get, list, mutate, batch, project, result or other."""
    route = _route(call.method, call.path)
    return "other" if route is None else route.kind


def answer(genai: GenAI, call: Call) -> Reply:
    """Answer the request. Raises ApiError, with 404 for a path that version 2 does not have."""
    route = _route(call.method, call.path)
    if route is None:
        raise ApiError(404, f"Cannot {call.method} /v2/{'/'.join(call.path)}")
    return route.answer(genai, call)
