"""Chats: create, read, list, set their metadata; and single annotations."""

from __future__ import annotations

from collections.abc import Sequence

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, ok
from scalesync.sandbox.core.wire.rawjson import join, text
from scalesync.sandbox.scale.errors import NO_SUCH_TASK, bad
from scalesync.sandbox.scale.state.model import COMPLETED, Batch, Project, Task
from scalesync.sandbox.scale.tasks import create, mutations
from scalesync.sandbox.scale.v2 import pages
from scalesync.sandbox.scale.v2.answers.threads import annotations_in, threads
from scalesync.sandbox.scale.v2.documents import TASK_STATUSES, render_task, status_of
from scalesync.sandbox.scale.v2.query import (
    Body,
    Bounds,
    batch_of,
    bounds,
    choice,
    merged,
    needed,
    project_of,
    shown_of,
    within,
)
from scalesync.sandbox.scale.v2.state import FAMILY, GenAI, is_chat

EXPAND = ("project", "batch")


def create_chat(genai: GenAI, call: Call) -> Reply:
    """POST /v2/task/chat: like a create of version 1 of the project's type. It has no unique_id.

    Raises ApiError 400, 404, 409 (Idempotency-Key).
    """
    body = Body(call)
    lost = genai.world.config.unknown_parent_status
    project = project_of(genai, body.text, lost=lost)
    if project is None:
        raise bad('"project_id" or "project_name" is required')
    if project.type not in FAMILY:
        raise bad(f'project "{project.name}" is of type "{project.type}" and takes no chats')
    batch = batch_of(genai, body.text, lost=lost)
    if batch is not None and batch.cancelled:
        raise ApiError(400, f'Batch "{batch.name}" is cancelled.')
    fields = _as_version_1(body, project, batch)
    task = create.make_task(genai.world, project.type, join(fields), call.idempotency_key)
    shown = mutations.enter(genai.world, call, task)
    return Reply(body=render_task(genai, task, status=shown))


def _as_version_1(body: Body, project: Project, batch: Batch | None) -> dict[str, bytes]:
    fields = {"project": text(project.name), "template_variables": body.object("template_variables") or b"{}"}
    if batch is not None:
        fields["batch"] = text(batch.name)
    metadata, callback = body.object("metadata"), body.text("callback_url")
    if metadata is not None:
        fields["metadata"] = metadata
    if callback is not None:
        fields["callback_url"] = text(callback)
    return fields


def find(genai: GenAI, task_id: str) -> Task:
    """The chat of an id. Raises ApiError 404, also for a task of another type."""
    task = genai.task(task_id)
    if task is None:
        raise ApiError(404, NO_SUCH_TASK)
    return task


def get_task(genai: GenAI, call: Call) -> Reply:
    """GET /v2/task."""
    shown = shown_of(call, *EXPAND)
    return Reply(body=render_task(genai, find(genai, needed(call, "task_id")), shown))


def set_metadata(genai: GenAI, call: Call) -> Reply:
    """POST /v2/task/metadata: replaces the metadata, or with `merge` lays the object over it."""
    body = Body(call)
    task_id, metadata = body.text("task_id"), body.object("metadata")
    if task_id is None or metadata is None:
        raise bad(f'"{"task_id" if task_id is None else "metadata"}" is required')
    task = find(genai, task_id)
    if body.flag("merge"):
        metadata = merged(task.metadata or b"{}", metadata)
    task.metadata = create.metadata(metadata)
    genai.world.changed(task, genai.world.now())
    return Reply(body=render_task(genai, task))


def list_tasks(genai: GenAI, call: Call) -> Reply:
    """GET /v2/tasks: the chats of a project or a batch, newest first. Source: GenAI docs (one of them is required)."""
    project, batch = project_of(genai, call.first), batch_of(genai, call.first)
    if project is None and batch is None:
        raise bad('one of "project_id", "project_name", "batch_id", "batch_name" is required')
    shown = shown_of(call, *EXPAND)
    seqs = matching(genai, call, project, batch)
    world = genai.world
    page = pages.page_of(world.config, call, world.by_seq, seqs)
    docs = b",".join(render_task(genai, task, shown) for task in page.shown)
    return Reply(body=join({"tasks": b"[" + docs + b"]"} | pages.next_token(world.config, page)))


def matching(genai: GenAI, call: Call, project: Project | None, batch: Batch | None) -> Sequence[int]:
    """The numbers of the chats that the filters `status` and `completed_*` select, rising. Raises ApiError 400."""
    world = genai.world
    status, completed = choice(call, "status", TASK_STATUSES), bounds(genai, call, "completed")
    key = ("v2", project and project.number, batch and batch.number, status, completed)
    base = world.listed
    if batch is not None:
        base = world.of_batch[batch.number]
    elif project is not None:
        base = world.of_project[project.number]

    def matches(seq: int) -> bool:
        task = world.by_seq[seq]
        if task is None or not task.listed or (project is not None and task.project != project.number):
            return False
        return (batch is None or task.batch == batch.number) and _matches(task, status, completed)

    return world.view(key, matches, base).seqs


def _matches(task: Task, status: str | None, completed: Bounds | None) -> bool:
    if not is_chat(task) or (status is not None and status_of(task) != status):
        return False
    return within(task.completed_ms, completed)


def get_annotation(genai: GenAI, call: Call) -> Reply:
    """GET /v2/annotation: with all details. Its id begins with the id of its task, so nothing is stored for it."""
    annotation_id = needed(call, "annotation_id")
    task = genai.task(annotation_id.partition("-")[0])
    found = threads(genai, task) if task is not None and task.status == COMPLETED else None
    for annotation in annotations_in(found or []):
        if annotation["id"] == annotation_id:
            return ok(annotation)
    raise ApiError(404, "Annotation not found.")
