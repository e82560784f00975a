"""Scale's part of the control plane: annotate, callbacks, actions on tasks, batches and projects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scalesync.sandbox.core.control import body_of
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, ok
from scalesync.sandbox.core.wire.rawjson import dumps
from scalesync.sandbox.scale.errors import NO_SUCH_TASK
from scalesync.sandbox.scale.multistage import runs
from scalesync.sandbox.scale.state.model import CANCELED, COMPLETED, PENDING, REVIEWS, STATUSES, Extra, Task
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.store import Store
from scalesync.sandbox.scale.tasks import lifecycle, pipeline, stages
from scalesync.sandbox.scale.tasks.callbacks import call_back
from scalesync.sandbox.scale.tasks.documents import render


def answer(store: Store, call: Call) -> Reply | None:
    """Answer a control request; None for a path of another module. Raises ApiError 400 and 404."""
    path = call.path[1:]
    if call.method == "GET" and len(path) == 3 and (path[0], path[2]) == ("tasks", "work"):
        world, task = _find(store, path[1])
        return ok(pipeline.work(world, task))
    if (call.method, path) == ("GET", ("callbacks",)):
        return ok([entry for world in store for entry in world.outbox.recent])
    if call.method == "POST" and len(path) == 2 and path[0] in ("batches", "projects"):
        return archive(store, path[0], path[1], body_of(call))
    if call.method == "POST" and len(path) == 2 and path[0] == "tasks":
        return change_task(store, path[1], body_of(call))
    if (call.method, path) == ("POST", ("annotate",)):
        return annotate(store, body_of(call))
    return None


def worlds(store: Store) -> dict[str, Any]:
    """For GET stats: tasks by world and status, batches, projects."""
    told = {}
    for world in store:
        told[world.name] = {
            "tasks": {status: world.counts[status] for status in STATUSES},
            "total": world.count(),
            "batches": len(world.batches),
            "projects": len(world.projects),
            "files": len(world.account.files),
            "callbacks": {**world.outbox.counts, "waiting": len(world.outbox.waiting)},
        }
    return told


def annotate(store: Store, body: dict[str, Any]) -> Reply:
    """POST annotate `{"count": N | "all", "world": "live"}`: complete pending tasks now."""
    count = body.get("count", "all")
    if count != "all" and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        raise ApiError(400, 'count must be a number or "all"')
    world = store.world("test" if body.get("world") == "test" else "live")
    return ok({"completed": lifecycle.annotate(world, None if count == "all" else count)})


def change_task(store: Store, task_id: str, body: dict[str, Any]) -> Reply:
    """POST tasks/{id} `{"action", ...}`: change a task in a way that no client can. Replies with the task.

    action: start, complete, recall, correct (`response` optional), error (`response` optional),
    review (`review`), touch, delete (canceled, and `deleted` in v2), remove.
    With `stage`, of a task with a blueprint: complete and correct (`response` optional).
    """
    world, task = _find(store, task_id)
    actions = STAGE_ACTIONS if "stage" in body else ACTIONS
    action = actions.get(str(body.get("action")))
    if action is None:
        raise ApiError(400, f"action must be one of {', '.join(actions)}")
    action(world, task, body)
    removed = world.find(task_id) is None
    return ok({"removed": task_id}) if removed else Reply(body=render(world, task))


def _find(store: Store, task_id: str) -> tuple[World, Task]:
    found = next(((w, task) for w in store if (task := w.find(task_id)) is not None), None)
    if found is None:
        raise ApiError(404, NO_SUCH_TASK)
    return found


def archive(store: Store, noun: str, name: str, body: dict[str, Any]) -> Reply:
    """POST batches/{name} or projects/{name} `{"archived": true}`, which no call of the API can do.

    `world` chooses the world, as for annotate.
    """
    archived = body.get("archived")
    if not isinstance(archived, bool):
        raise ApiError(400, "archived must be true or false")
    world = store.world("test" if body.get("world") == "test" else "live")
    batch, project = world.batch_names.get(name), world.project_names.get(name)
    if noun == "batches" and batch is not None:
        batch.archived = archived
        world.put_batch(batch)
    elif noun == "projects" and project is not None:
        project.archived = archived
        world.put_project(project)
    else:
        raise ApiError(404, f"There is no {name!r} among the {noun}.")
    return ok({"archived": archived})


def _want(task: Task, *statuses: str) -> None:
    if task.status not in statuses:
        raise ApiError(400, f"The task is {task.status}, not {' or '.join(statuses)}.")


def _response(body: dict[str, Any]) -> bytes | None:
    return dumps(body["response"]) if body.get("response") is not None else None


def _start(world: World, task: Task, _: dict[str, Any]) -> None:
    _want(task, PENDING)
    task.extra = task.extra or Extra()
    task.extra.started = True
    world.changed(task, world.now())


def _complete(world: World, task: Task, body: dict[str, Any]) -> None:
    _want(task, PENDING)
    response = _response(body)
    if response is not None:
        _want_whole(world, task)
        task.extra = task.extra or Extra()
        task.extra.response = response
    lifecycle.complete(world, task, world.now())


def _recall(world: World, task: Task, _: dict[str, Any]) -> None:
    _want(task, COMPLETED)
    lifecycle.recall(world, task)


def _correct(world: World, task: Task, body: dict[str, Any]) -> None:
    _want(task, COMPLETED)
    _want_whole(world, task)
    lifecycle.correct(world, task, _response(body))


def _want_whole(world: World, task: Task) -> None:
    plan = runs.plan(world, task)
    if plan is not None and plan.by_stage:
        raise ApiError(400, "The task is delivered stage by stage and has no response of its own; name a stage.")


def _place(world: World, task: Task, body: dict[str, Any]) -> int:
    plan = runs.plan(world, task)
    if plan is None:
        raise ApiError(400, "The task has no blueprint, so it has no stages.")
    place = plan.places.get(str(body["stage"]))
    if place is None:
        raise ApiError(400, f"stage must be one of {', '.join(plan.places)}")
    return place


def _complete_stage(world: World, task: Task, body: dict[str, Any]) -> None:
    _want(task, PENDING)
    place = _place(world, task, body)
    if place not in runs.under_way(task):
        raise ApiError(400, f"Stage {body['stage']} is not under way.")
    if not stages.finish_one(world, task, place, world.now(), _response(body)):
        lifecycle.complete(world, task, world.now())


def _correct_stage(world: World, task: Task, body: dict[str, Any]) -> None:
    place = _place(world, task, body)
    if not task.extra or not task.extra.stages[place].completed_ms:
        raise ApiError(400, f"Stage {body['stage']} is not completed.")
    stages.correct(world, task, place, _response(body))


def _error(world: World, task: Task, body: dict[str, Any]) -> None:
    _want(task, PENDING, COMPLETED, CANCELED)
    lifecycle.fail(world, task, world.now(), _response(body))


def _review(world: World, task: Task, body: dict[str, Any]) -> None:
    _want(task, COMPLETED)
    review = body.get("review")
    if review not in REVIEWS:
        raise ApiError(400, f"review must be one of {', '.join(REVIEWS)}")
    task.extra = task.extra or Extra()
    task.extra.review = str(review)
    world.changed(task, world.now())
    call_back(world, task, world.now())


def _touch(world: World, task: Task, _: dict[str, Any]) -> None:
    world.changed(task, world.now())


def _delete(world: World, task: Task, _: dict[str, Any]) -> None:
    task.extra = task.extra or Extra()
    task.extra.deleted = True
    task.due_ms = 0
    world.move(task, CANCELED, world.now())
    world.changed(task, world.now())


def _remove(world: World, task: Task, _: dict[str, Any]) -> None:
    world.remove(task)


ACTIONS: dict[str, Callable[[World, Task, dict[str, Any]], None]] = {
    "start": _start,
    "complete": _complete,
    "recall": _recall,
    "correct": _correct,
    "error": _error,
    "review": _review,
    "touch": _touch,
    "delete": _delete,
    "remove": _remove,
}
STAGE_ACTIONS: dict[str, Callable[[World, Task, dict[str, Any]], None]] = {
    "complete": _complete_stage,
    "correct": _correct_stage,
}
