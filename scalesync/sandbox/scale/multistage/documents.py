"""A multi-stage task on the wire: its stages, its response, the callback for one stage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scalesync.sandbox.core.wire.rawjson import loads
from scalesync.sandbox.scale.multistage import wire
from scalesync.sandbox.scale.multistage.answers import answer
from scalesync.sandbox.scale.multistage.plan import Plan, Stage
from scalesync.sandbox.scale.multistage.runs import plan, runs
from scalesync.sandbox.scale.state.model import StageRun, Task
from scalesync.sandbox.scale.state.world import World


def members(world: World, task: Task, *, earlier: bool) -> bytes:
    """`blueprint`, `delivery` and `stages` as members of a task; empty for a task without a blueprint.

    earlier: as they were when the task was created.
    """
    stages = plan(world, task)
    if stages is None:
        return b""
    pairs = zip(stages.stages, runs(task), strict=True)
    if earlier:
        documents = [_as_created(stage, run, task) for stage, run in pairs]
    else:
        documents = [_stage(world, task, stages, stage, run) for stage, run in pairs]
    delivery = wire.BY_STAGE if stages.by_stage else wire.BY_TASK
    return wire.task_members(stages.name, delivery, documents)


def _stage(world: World, task: Task, stages: Plan, stage: Stage, run: StageRun) -> bytes:
    if run.skipped:
        return wire.stage_document(stage.name, wire.SKIPPED, because=run.skipped)
    if not run.completed_ms:
        status = wire.PENDING if run.started_ms else wire.WAITING
        return wire.stage_document(stage.name, status, started_ms=run.started_ms)
    return wire.stage_document(
        stage.name,
        wire.COMPLETED,
        started_ms=run.started_ms,
        completed_ms=run.completed_ms,
        delivered_ms=run.delivered_ms if stages.by_stage else 0,
        response=answer(world, task, stage, run) if stages.by_stage else None,
    )


def _as_created(stage: Stage, run: StageRun, task: Task) -> bytes:
    begun = not stage.after and bool(run.started_ms)
    status = wire.PENDING if begun else wire.WAITING
    return wire.stage_document(stage.name, status, started_ms=task.created_ms if begun else 0)


def response(world: World, task: Task) -> bytes | None:
    """The response of a finished task; None if its stages were delivered one by one."""
    stages = plan(world, task)
    if stages is None or stages.by_stage:
        return None
    return wire.whole_response({stage.name: answer(world, task, stage, run) for stage, run in _done(stages, task)})


def callback(world: World, task: Task, name: str, document: bytes) -> bytes | None:
    """The body of the callback for one stage; None once the delivery is gone."""
    stages = plan(world, task)
    found = next((pair for pair in _done(stages, task) if pair[0].name == name), None) if stages else None
    if found is None:
        return None
    return wire.stage_callback(world.task_id(task), name, answer(world, task, *found), document)


def work(world: World, task: Task, stages: Plan) -> list[dict[str, Any]]:
    """The completed stages with their answers, in the order of the blueprint."""
    return [
        {"layer": "stage", "name": stage.name, "response": loads(answer(world, task, stage, run))}
        for stage, run in _done(stages, task)
    ]


def _done(stages: Plan, task: Task) -> Iterator[tuple[Stage, StageRun]]:
    return (pair for pair in zip(stages.stages, runs(task), strict=True) if pair[1].completed_ms)
