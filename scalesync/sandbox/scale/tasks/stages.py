"""The life of a multi-stage task in time: its timers, and the callbacks for its stages."""

from __future__ import annotations

from functools import partial

from scalesync.sandbox.scale.multistage import runs
from scalesync.sandbox.scale.state.model import COMPLETED, Task
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks.callbacks import call_back, call_back_stage
from scalesync.sandbox.scale.tasks.timers import annotation_s, set_timer


def start(world: World, task: Task) -> None:
    """Begin with the first stages; or continue with those that a held batch kept waiting."""
    now = world.now()
    delay = partial(_delay_ms, world, task)
    runs.resume(world, task, now, delay)
    runs.begin(world, task, now, delay)
    _set_timer(world, task)


def step(world: World, task: Task, at_ms: int) -> bool:
    """Complete the stages that are due, and begin the next ones; False if no stage is left."""
    _finish(world, task, runs.due(task, at_ms), at_ms)
    if runs.ended(task):
        return False
    world.changed(task, at_ms)
    return True


def finish_one(world: World, task: Task, place: int, now_ms: int, response: bytes | None) -> bool:
    """Complete one stage by hand; False if no stage is left. Stages that a pause held back begin their time again."""
    if 0 < runs.next_due_ms(task) <= now_ms:
        runs.resume(world, task, now_ms, partial(_delay_ms, world, task))
    _finish(world, task, [place], now_ms, response)
    if runs.ended(task):
        return False
    world.changed(task, now_ms)
    return True


def finish_all(world: World, task: Task, now_ms: int) -> None:
    """Complete what is left, one stage after the other, all of it at once."""
    runs.begin(world, task, now_ms, partial(_delay_ms, world, task))
    while places := runs.under_way(task):
        _finish(world, task, places, now_ms)
    task.due_ms = 0


def _finish(world: World, task: Task, places: list[int], at_ms: int, response: bytes | None = None) -> None:
    for place in places:
        runs.finish(task, place, at_ms, response)
        _call_back(world, task, place, at_ms)
    runs.begin(world, task, at_ms, partial(_delay_ms, world, task))
    _set_timer(world, task)


def correct(world: World, task: Task, place: int, response: bytes | None) -> None:
    """Deliver a completed stage again with another answer; a task that is delivered as a whole gets another one."""
    plan = runs.plan(world, task)
    # Corrections within one millisecond push a delivery ahead of the clock; the next one must not be older than it.
    delivered_ms = runs.correct(task, place, max(world.now(), task.updated_ms), response)
    if task.extra is not None and task.status == COMPLETED:
        task.extra.review = "fixed"
        task.extra.response = None  # a correction of the whole is older than this one
    world.changed(task, delivered_ms)
    if plan is not None and plan.by_stage:
        _call_back(world, task, place, delivered_ms)
    elif task.status == COMPLETED:
        call_back(world, task, delivered_ms)


def _call_back(world: World, task: Task, place: int, now_ms: int) -> None:
    plan = runs.plan(world, task)
    if plan is not None and plan.by_stage:
        call_back_stage(world, task, plan.stages[place].name, now_ms)


def _delay_ms(world: World, task: Task, stage: str) -> int | None:
    seconds = annotation_s(world, task, f":{stage}")
    return None if seconds is None else int(seconds * 1000)


def _set_timer(world: World, task: Task) -> None:
    due_ms = runs.next_due_ms(task)
    if due_ms:
        set_timer(world, task, due_ms)
    else:
        task.due_ms = 0
