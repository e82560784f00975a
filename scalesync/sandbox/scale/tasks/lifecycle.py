"""The life of a task: worked on, completed, failed on its attachments, recalled, corrected; and the timers for this.

A timer runs with the next request, but stamps the time at which it was due. So no client can see the delay.
"""

from __future__ import annotations

import heapq

from scalesync.sandbox.core.wire.rawjson import dumps, loads, members
from scalesync.sandbox.scale.answers import synthetic
from scalesync.sandbox.scale.multistage import runs
from scalesync.sandbox.scale.state.model import COMPLETED, ERROR, PENDING, Batch, Extra, Task
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks import attachments, pipeline, stages
from scalesync.sandbox.scale.tasks.callbacks import call_back, has_callback
from scalesync.sandbox.scale.tasks.timers import SEQ_BITS, SEQ_MASK, annotation_s, held, set_timer


def start(world: World, task: Task) -> None:
    """Set the timer of a new, recalled or released pending task."""
    if held(world, task):
        return
    if world.is_test:
        if world.config.test_completion != "never":
            complete(world, task, world.now())
        return
    if runs.runs(task) and not task.bad:
        stages.start(world, task)
    else:
        delay_s = world.config.attachment_check_s if task.bad else annotation_s(world, task)
        if delay_s is not None:
            set_timer(world, task, world.now() + int(delay_s * 1000))
    if task.due_ms and (world.outbox.expecting or has_callback(task)):
        world.outbox.expect()


def release(world: World, batch: Batch) -> None:
    """Start the tasks of a batch that just left staging, or was resumed."""
    for seq in world.of_batch[batch.number].seqs:
        task = world.by_seq[seq]
        if task is not None and task.status == PENDING:
            world.log.add(seq)
            start(world, task)


def run_due_timers(world: World, until_ms: int | None = None) -> None:
    """Run every timer that is due, or was by `until_ms`. Cheap if none is."""
    timers, unlisted = world.timers, world.unlisted
    if not timers and not unlisted:
        return
    limit = (1 + (world.now() if until_ms is None else until_ms)) << SEQ_BITS
    while unlisted and unlisted[0] < limit:
        task = world.by_seq[heapq.heappop(unlisted) & SEQ_MASK]
        if task is not None:
            world.show(task)
    while timers and timers[0] < limit:
        due = heapq.heappop(timers)
        task = world.by_seq[due & SEQ_MASK]
        if task is None or task.status != PENDING or task.due_ms != due >> SEQ_BITS or held(world, task):
            continue
        if task.bad:
            fail(world, task, task.due_ms)
        elif not _step(world, task, due >> SEQ_BITS):
            complete(world, task, due >> SEQ_BITS)


def _step(world: World, task: Task, at_ms: int) -> bool:
    """Do the piece of work that is due then; False if it was the last one, so that the task can be completed."""
    if runs.runs(task):
        return stages.step(world, task, at_ms)
    if not pipeline.step(world, task):
        return False
    set_timer(world, task, at_ms + int((annotation_s(world, task) or 0.0) * 1000))
    world.changed(task, at_ms)
    return True


def complete(world: World, task: Task, now_ms: int) -> None:
    """Move the task from pending to completed, with its answer; its stages, or the steps of its pipeline, are done."""
    if runs.runs(task):
        stages.finish_all(world, task, now_ms)
    else:
        pipeline.finish(world, task)
    task.due_ms = 0
    task.completed_ms = now_ms
    world.move(task, COMPLETED, now_ms)
    world.changed(task, now_ms)
    call_back(world, task, now_ms)


def fail(world: World, task: Task, now_ms: int, response: bytes | None = None) -> None:
    """Move the task to `error`, with a response; free its unique_id if the create asked for that."""
    task.due_ms = 0
    extra = task.extra = task.extra or Extra()
    params = members(members(b"{" + task.body + b"}")["params"])
    extra.response = response or attachments.failure(world, params)
    if extra.clear_on_error:
        world.rename(task, None)
    world.move(task, ERROR, now_ms)
    world.changed(task, now_ms)
    call_back(world, task, now_ms)


def annotate(world: World, count: int | None = None) -> int:
    """Complete up to `count` pending tasks (None: all), oldest first; tasks with bad attachments fail instead.

    Returns how many it completed or failed. Tasks of batches in staging, and of paused ones, wait.
    """
    run_due_timers(world)
    now = world.now()
    view = world.view("pending", lambda seq: _ready(world, seq), world.listed)
    chosen = view.seqs if count is None else view.seqs[:count]
    for seq in list(chosen):
        task = world.by_seq[seq]
        if task is not None and task.status == PENDING:
            if task.bad:
                fail(world, task, now)
            else:
                complete(world, task, now)
    return len(chosen)


def _ready(world: World, seq: int) -> bool:
    task = world.by_seq[seq]
    return task is not None and task.status == PENDING and not held(world, task)


def recall(world: World, task: Task) -> None:
    """Move the task from completed back to pending; its next answer differs. Source: Scale docs: Callbacks."""
    now = world.now()
    task.revision += 1
    task.completed_ms = 0
    if task.extra is not None:
        task.extra.response = None
        task.extra.review = None
        task.extra.steps = 0
        runs.restart(task)
    world.move(task, PENDING, now)
    call_back(world, task, now)
    start(world, task)
    if task.status == PENDING:
        world.changed(task, now)


def correct(world: World, task: Task, response: bytes | None = None) -> None:
    """Rewrite the answer of a completed task, as an audit fix does; `completed_at` stays."""
    extra = task.extra = task.extra or Extra()
    if response is None:
        task.revision += 1
        extra.response = None
        fixed = loads(synthetic.answer(world, task) or b"null")
        if isinstance(fixed, dict) and "is_customer_fix" in fixed:
            extra.response = dumps({**fixed, "is_customer_fix": True})
    else:
        extra.response = response
    extra.review = "fixed"
    world.changed(task, world.now())
    call_back(world, task, world.now())
