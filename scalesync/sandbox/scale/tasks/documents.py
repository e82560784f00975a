"""The JSON of a task: bytes that never change, and between them the fields that can.

An unchanged task renders to the same bytes each time, unless result links are signed (`result_ttl_s`).
"""

from __future__ import annotations

from scalesync.sandbox.core.wire.rawjson import dumps, text
from scalesync.sandbox.core.wire.times import iso
from scalesync.sandbox.scale.answers import synthetic
from scalesync.sandbox.scale.multistage import documents as staged
from scalesync.sandbox.scale.multistage import runs
from scalesync.sandbox.scale.state.model import COMPLETED, ERROR, Task
from scalesync.sandbox.scale.state.world import World

LIMITED = ("task_id", "status", "metadata", "project")  # never `otherVersion`: nobody knows its meaning


def render(world: World, task: Task, *, status: str | None = None) -> bytes:
    """The full task. `status` renders it in an earlier state, for the reply to its own create."""
    shown = status or task.status
    earlier = status is not None
    completed = task.completed_ms and not earlier
    updated = task.created_ms if earlier else task.updated_ms
    parts = [
        f'{{"task_id":"{world.task_id(task)}","created_at":"{iso(task.created_ms)}"',
        f',"completed_at":"{iso(task.completed_ms)}"' if completed else "",
        f',"updated_at":"{iso(updated)}","status":"{shown}",',
    ]
    head = "".join(parts).encode()
    return b"".join((head, task.body, _tail(world, task, shown, earlier=earlier), b"}"))


def _tail(world: World, task: Task, shown: str, *, earlier: bool) -> bytes:
    extra = task.extra
    out = [b',"metadata":', task.metadata or b"{}", b',"priority":%d' % task.priority]
    if task.project >= 0:
        out.append(world.project_piece(task.project))
        if task.version >= 0:
            out.append(b',"project_param_version":%d' % task.version)
    if task.batch >= 0:
        out.append(b',"batch":' + text(world.batches[task.batch].name))
    if task.unique_id is not None:
        out.append(b',"unique_id":' + text(task.unique_id))
    if task.tags:
        out.append(b',"tags":' + dumps(list(task.tags)))
    if runs.runs(task):
        out.append(staged.members(world, task, earlier=earlier))
    started = extra is not None and extra.started and not earlier
    out.append(b',"work_started":true' if started or shown == COMPLETED else b',"work_started":false')
    out.append(b',"processed_attachments":[]')
    if shown == COMPLETED and world.config.review_field:
        out.append(f',"customer_review_status":"{review(task)}"'.encode())
    if extra is not None and extra.called is not None:
        out.append(b',"callback_succeeded":true' if extra.called else b',"callback_succeeded":false')
    if extra is not None and extra.audits:
        out.append(b',"audits":' + extra.audits)
    answer = response(world, task, shown)
    if answer is not None:
        out.append(b',"response":' + answer)
    return b"".join(out)


def response(world: World, task: Task, shown: str) -> bytes | None:
    """The `response` member; None if the key is absent. A canceled task keeps its answer (recorded 2019)."""
    if task.extra is not None and task.extra.response is not None:
        return task.extra.response if shown != "pending" else None
    if shown == ERROR:
        return b'{"error":"The task could not be completed."}'
    if shown == COMPLETED or (shown != "pending" and task.completed_ms):
        return staged.response(world, task) if runs.runs(task) else synthetic.answer(world, task)
    return None


def limited(world: World, task: Task) -> bytes:
    """The few members of `limited_response=true`. Source: official SDK."""
    out = f'{{"task_id":"{world.task_id(task)}","status":"{task.status}","metadata":'.encode()
    out += task.metadata or b"{}"
    if task.project >= 0:
        out += b',"project":' + text(world.projects[task.project].name)
    return out + b"}"


def review(task: Task) -> str:
    """The audit state; guess: `pending` from completion on."""
    return (task.extra.review if task.extra is not None else None) or "pending"
