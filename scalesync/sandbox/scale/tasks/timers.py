"""When the next thing happens to a task, and how long people work on it."""

from __future__ import annotations

import hashlib
import heapq

from scalesync.sandbox.scale.state.model import Task
from scalesync.sandbox.scale.state.world import World

SEQ_BITS = 32
SEQ_MASK = (1 << SEQ_BITS) - 1


def set_timer(world: World, task: Task, due_ms: int) -> None:
    """Let the task's timer run at that time, instead of any other."""
    task.due_ms = max(1, due_ms)
    heapq.heappush(world.timers, task.due_ms << SEQ_BITS | task.seq)


def held(world: World, task: Task) -> bool:
    """Whether nobody begins with the task: its batch is in staging, or was paused before anybody began."""
    if task.batch < 0:
        return False
    batch = world.batches[task.batch]
    return batch.staging or (batch.paused and not (task.extra is not None and task.extra.started))


def annotation_s(world: World, task: Task, part: str = "") -> float | None:
    """How long people work on a task, or on a part of it; None: until somebody completes it."""
    after, spread = world.config.annotate_after_s, world.config.annotate_spread_s
    if after is None or not spread:
        return after
    label = f"{world.config.seed}:spread:{task.seq}:{task.revision}{part}".encode()
    share = int.from_bytes(hashlib.blake2b(label, digest_size=4).digest(), "big") / 2**32
    return after + spread * share
