"""GET /task/{id}, and the calls that change a task: cancel, audit, unique_id, setMetadata, tags."""

from __future__ import annotations

import heapq

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, ok
from scalesync.sandbox.core.wire.rawjson import dumps, loads, members
from scalesync.sandbox.core.wire.times import iso
from scalesync.sandbox.scale.errors import NO_SUCH_TASK, bad
from scalesync.sandbox.scale.multistage import runs, wire
from scalesync.sandbox.scale.state.model import CANCELED, COMPLETED, ERROR, PENDING, Extra, Task
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks import create, lifecycle
from scalesync.sandbox.scale.tasks.callbacks import call_back
from scalesync.sandbox.scale.tasks.documents import render
from scalesync.sandbox.scale.tasks.timers import SEQ_BITS


def create_task(world: World, call: Call) -> Reply:
    """POST /task/{type}. Raises ApiError 400, 404, 409."""
    task = create.make_task(world, call.path[-1], call.body, call.idempotency_key)
    return Reply(body=render(world, task, status=enter(world, call, task)))


def enter(world: World, call: Call, task: Task) -> str | None:
    """Let a new task into the world; returns the status that the reply to its create shows, None for its own."""
    visible_ms = world.now() + int(call.visible_after_s * 1000) if call.visible_after_s else 0
    world.insert(task, visible_ms=visible_ms)
    if visible_ms:
        heapq.heappush(world.unlisted, visible_ms << SEQ_BITS | task.seq)
    lifecycle.start(world, task)
    if task.status == PENDING:
        world.save_new(task)
    return None if world.config.test_completion == "reply" else PENDING


def get_task(world: World, call: Call) -> Reply:
    """GET /task/{id}; ignores any query."""
    return Reply(body=render(world, find(world, call)))


def find(world: World, call: Call) -> Task:
    """The task that the path names. Raises ApiError 404, also for a malformed id (recorded 2019)."""
    task = world.find(call.path[1])
    if task is None:
        raise ApiError(404, NO_SUCH_TASK)
    return task


def _done(world: World, task: Task) -> Reply:
    world.changed(task, world.now())
    return Reply(body=render(world, task))


def cancel(world: World, call: Call) -> Reply:
    """POST /task/{id}/cancel: only pending tasks that have not started. The second call also answers 200.

    Source: Node SDK, Scale docs.
    """
    task = find(world, call)
    config = world.config
    clear = bool(call.flag("clear_unique_id"))
    if task.status == COMPLETED and config.cancel_completed != 200:
        raise ApiError(config.cancel_completed, "The task was already completed and cannot be canceled.")
    if task.status == ERROR:
        raise ApiError(400, "The task is in error and cannot be canceled.")
    started = task.extra is not None and task.extra.started
    if task.status == PENDING and started and config.cancel_started == "error":
        raise ApiError(400, "Work on the task has already started and it cannot be canceled.")
    if clear and task.unique_id is not None:
        world.rename(task, None)
    elif task.status == CANCELED:
        return Reply(body=render(world, task))
    if task.status != CANCELED:
        task.due_ms = 0
        world.move(task, CANCELED, world.now())
    return _done(world, task)


def audit(world: World, call: Call) -> Reply:
    """POST /task/{id}/audit `{"accepted", "comments"}`, on completed tasks.

    A task with a blueprint needs stage-level delivery for it. Source: Scale docs: Multi-Stage Overview.
    """
    task = find(world, call)
    body = members(call.body)
    accepted = body.get("accepted")
    if accepted not in (b"true", b"false"):
        raise bad('"accepted" must be a boolean')
    comments = loads(body.get("comments", b"null"))
    if comments is not None and not isinstance(comments, str):
        raise bad('"comments" must be a string')
    plan = runs.plan(world, task)
    if plan is not None and not plan.by_stage:
        raise ApiError(400, wire.ONLY_FIXLESS)
    if task.status != COMPLETED:
        raise ApiError(400, "Only completed tasks can be audited.")
    now = world.now()
    extra = task.extra = task.extra or Extra()
    extra.review = "accepted" if accepted == b"true" else "rejected"
    entry = {"status": extra.review, "comments": comments, "created_at": iso(now)}
    extra.audits = dumps([*loads(extra.audits or b"[]"), entry])
    if task.batch >= 0:
        batch = world.batches[task.batch]
        batch.audited_ms = now
        world.put_batch(batch)
    reply = _done(world, task)
    call_back(world, task, now)
    return reply if world.config.audit_reply == "task" else Reply(body=b"OK", kind="text/plain; charset=utf-8")


def set_unique_id(world: World, call: Call) -> Reply:
    """POST /task/{id}/unique_id `{"unique_id"}`; 409 if another task has it."""
    task = find(world, call)
    unique_id = create.check_unique_text(loads(members(call.body).get("unique_id", b"null")))
    if task.unique_id != unique_id:
        create.check_free(world, unique_id)
        world.rename(task, unique_id)
    return _done(world, task)


def clear_unique_id(world: World, call: Call) -> Reply:
    """DELETE /task/{id}/unique_id; the reply no longer has the key."""
    task = find(world, call)
    if task.unique_id is None:
        return Reply(body=render(world, task))
    world.rename(task, None)
    return _done(world, task)


def set_metadata(world: World, call: Call) -> Reply:
    """POST /task/{id}/setMetadata: the body is the metadata and replaces it."""
    task = find(world, call)
    members(call.body)
    task.metadata = create.metadata(call.body.strip() or b"{}")
    return _done(world, task)


def set_tags(world: World, call: Call) -> Reply:
    """POST /task/{id}/tags: the array replaces all tags."""
    task = find(world, call)
    task.tags = create.tags(_array(call))
    return _done(world, task)


def add_tags(world: World, call: Call) -> Reply:
    """PUT /task/{id}/tags: adds tags; existing tags keep their place."""
    task = find(world, call)
    task.tags = create.tags([*(task.tags or ()), *_array(call)])
    return _done(world, task)


def remove_tags(world: World, call: Call) -> Reply:
    """DELETE /task/{id}/tags, with the array in the body; ignores tags that the task does not have."""
    task = find(world, call)
    gone = set(create.tags(_array(call), limit=None) or ())
    task.tags = tuple(tag for tag in task.tags or () if tag not in gone) or None
    return _done(world, task)


def _array(call: Call) -> list[object]:
    try:
        value = loads(call.body) if call.body else []
    except ValueError:
        value = None
    if not isinstance(value, list):
        raise bad('"tags" must be an array of strings')
    return value


def send_callback(world: World, call: Call) -> Reply:
    """POST /task/{id}/send-callback: call the callback of a completed task or one in error again."""
    task = find(world, call)
    if task.status not in (COMPLETED, ERROR):
        raise ApiError(400, "Callbacks are sent for completed tasks and tasks in error only.")
    call_back(world, task, world.now())
    return ok({"task_id": world.task_id(task), "status": task.status})
