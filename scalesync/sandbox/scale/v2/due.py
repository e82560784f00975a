"""What happens by itself, in the order of its times: timers of tasks, batches that turn, periodic deliveries.

It runs with the next request, but stamps the time at which it was due. So no client can see the delay.
"""

from __future__ import annotations

from scalesync.sandbox.scale.state.model import CANCELED, PENDING, Batch, Task
from scalesync.sandbox.scale.tasks import lifecycle
from scalesync.sandbox.scale.v2.deliveries import deliver, waiting
from scalesync.sandbox.scale.v2.state import GenAI


def run(genai: GenAI) -> None:
    """Do everything that is due. Cheap if nothing is."""
    if genai.turning:
        _turn_batches(genai)
    lifecycle.run_due_timers(genai.world)
    if genai.world.config.deliver_every_s is not None:
        _deliver_periods(genai, max(1, int(genai.world.config.deliver_every_s * 1000)))


def _turn_batches(genai: GenAI) -> None:
    world = genai.world
    now = world.now()
    due = [batch for number in genai.turning if (batch := world.batches[number]).turn_ms <= now]
    for batch in sorted(due, key=lambda one: (one.turn_ms, one.number)):
        lifecycle.run_due_timers(world, batch.turn_ms)
        turn, batch.turn = batch.turn, ""
        genai.turning.discard(batch.number)
        TURNS[turn](genai, batch)
        world.put_batch(batch)


def _unstarted(genai: GenAI, batch: Batch) -> list[Task]:
    world = genai.world
    tasks = (world.by_seq[seq] for seq in world.of_batch[batch.number].seqs)
    return [t for t in tasks if t is not None and t.status == PENDING and not (t.extra and t.extra.started)]


def _pause(genai: GenAI, batch: Batch) -> None:
    """An empty batch, and one that was completed in between, stays as it is. Source: official SDK's tests."""
    if not sum(batch.counts.values()) or batch.completed_ms:
        return
    batch.paused = True
    for task in _unstarted(genai, batch):
        genai.world.log.add(task.seq)  # the view of tasks that `annotate` may complete loses it


def _resume(genai: GenAI, batch: Batch) -> None:
    batch.paused = False
    lifecycle.release(genai.world, batch)


def _cancel(genai: GenAI, batch: Batch) -> None:
    world, at_ms = genai.world, batch.turn_ms
    for task in _unstarted(genai, batch):
        task.due_ms = 0
        world.move(task, CANCELED, at_ms)
        world.changed(task, at_ms)
    batch.cancelled, batch.paused, batch.staging = True, False, False


TURNS = {"pause": _pause, "resume": _resume, "cancel": _cancel}


def _deliver_periods(genai: GenAI, period_ms: int) -> None:
    """Deliver at the end of each period what was completed in it; a later correction at the end of its own."""
    world = genai.world
    until = world.now() // period_ms * period_ms
    if until <= genai.delivered_until_ms:
        return
    grouped: dict[tuple[int, int], list[Task]] = {}
    for seq in list(waiting(genai)):
        task = world.by_seq[seq]
        if task is None:
            continue
        since = task.updated_ms if seq in genai.delivered.latest else task.completed_ms
        end = (since // period_ms + 1) * period_ms
        if end <= until:
            grouped.setdefault((end, task.project), []).append(task)
    for (end, project), tasks in sorted(grouped.items()):
        deliver(genai, world.projects[project], tasks, at_ms=end)
    genai.delivered_until_ms = until
