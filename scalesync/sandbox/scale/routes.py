"""The function for each path under /v1, and the class of a request for faults and counters."""

from __future__ import annotations

from collections.abc import Callable

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.scale import batches, projects
from scalesync.sandbox.scale.multistage import calls
from scalesync.sandbox.scale.resources import table
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks import lists, mutations

Handler = Callable[[World, Call], Reply]

# (method, first segment, number of segments, third segment)
ROUTES: dict[tuple[str, str, int, str], Handler] = {
    ("POST", "task", 2, ""): mutations.create_task,
    ("GET", "task", 2, ""): mutations.get_task,
    ("GET", "tasks", 1, ""): lists.list_tasks,
    ("POST", "task", 3, "cancel"): mutations.cancel,
    ("POST", "task", 3, "audit"): mutations.audit,
    ("POST", "task", 3, "unique_id"): mutations.set_unique_id,
    ("DELETE", "task", 3, "unique_id"): mutations.clear_unique_id,
    ("POST", "task", 3, "setMetadata"): mutations.set_metadata,
    ("POST", "task", 3, "tags"): mutations.set_tags,
    ("PUT", "task", 3, "tags"): mutations.add_tags,
    ("DELETE", "task", 3, "tags"): mutations.remove_tags,
    ("POST", "task", 3, "send-callback"): mutations.send_callback,
    ("POST", "batches", 1, ""): batches.post_batch,
    ("GET", "batches", 1, ""): batches.list_batches,
    ("GET", "batches", 2, ""): batches.get_batch,
    ("GET", "batches", 3, "status"): batches.batch_status,
    ("POST", "batches", 3, "finalize"): batches.finalize,
    ("POST", "batches", 3, "setMetadata"): batches.set_metadata,
    ("POST", "batches", 3, "prioritize"): batches.prioritize,
    ("POST", "projects", 1, ""): projects.post_project,
    ("GET", "projects", 1, ""): projects.list_projects,
    ("GET", "projects", 2, ""): projects.get_project,
    ("POST", "projects", 3, "setParams"): projects.set_params,
    ("POST", "projects", 3, "setOntology"): projects.set_ontology,
    ("GET", "projects", 3, "taskTemplates"): projects.task_templates,
}


KINDS = {"tasks": "list", "batches": "batch", "projects": "project", **table.KINDS}


def kind_of(method: str, path: tuple[str, ...]) -> str:
    """create, get, list, mutate, batch, project, the kinds of the other nouns (`resources.table`), or other."""
    first, length = (path[0] if path else ""), len(path)
    if first == "task":
        if length > 2:
            return "mutate"
        return "create" if method == "POST" else "get"
    return KINDS.get(first, "other")


def answer(world: World, call: Call) -> Reply:
    """Answer the request. Raises ApiError, with 404 for a path that the sandbox does not imitate."""
    path = call.path
    last = path[2] if len(path) == 3 else ""
    handler = ROUTES.get((call.method, path[0] if path else "", len(path), last))
    handler = handler or table.find(call.method, path) or calls.find(call.method, path)
    if handler is None:
        raise ApiError(404, f"Cannot {call.method} /v1/{'/'.join(path)}")
    return handler(world, call)
