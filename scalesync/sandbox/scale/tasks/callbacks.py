"""Queue the callbacks of a task: for the task, and for one stage of it."""

from __future__ import annotations

from scalesync.sandbox.core.wire.rawjson import loads, members, text
from scalesync.sandbox.scale.state.model import Task
from scalesync.sandbox.scale.state.world import World


def call_back(world: World, task: Task, now_ms: int) -> None:
    """Queue the task's callback, if it has one."""
    if has_callback(task):
        world.outbox.add("task", task.seq, _url(task), now_ms)


def call_back_stage(world: World, task: Task, stage: str, now_ms: int) -> None:
    """Queue the callback for a stage that was just delivered, to the same address."""
    if has_callback(task):
        world.outbox.add("stage", task.seq, _url(task), now_ms, part=stage)


def has_callback(task: Task) -> bool:
    """Whether the create gave an address."""
    return task.body.startswith(b'"type":' + text(task.type) + b',"callback_url":')


def _url(task: Task) -> str:
    return str(loads(members(b"{" + task.body + b"}")["callback_url"]))
