"""What a stage adds to its task: annotations of its taxonomy, drawn from (seed, task id, stage, revisions)."""

from __future__ import annotations

from typing import Any

from scalesync.sandbox.core.wire.rawjson import dumps, loads
from scalesync.sandbox.scale.answers.draws import Draws
from scalesync.sandbox.scale.answers.shapes import Maker
from scalesync.sandbox.scale.multistage import wire
from scalesync.sandbox.scale.multistage.plan import Plan, Stage
from scalesync.sandbox.scale.state.model import StageRun, Task
from scalesync.sandbox.scale.state.world import World


def answer(world: World, task: Task, stage: Stage, run: StageRun) -> bytes:
    """The answer of a completed stage as JSON: what was put in place of it, or the drawn one."""
    if run.response is not None:
        return run.response
    label = f"{world.config.seed}:{world.task_id(task)}:{task.revision}:stage {stage.name}:{run.revision}"
    maker = Maker(Draws(label), world.is_test, lambda _: "")
    params: dict[str, Any] = {
        "labels": list(stage.labels),
        "annotation_attributes": {name: {"choices": choices} for name, choices in stage.attributes.items()},
    }
    found = maker.each(params, lambda: _annotation(maker, params))
    return dumps({wire.ANNOTATIONS: found})


def _annotation(maker: Maker, params: dict[str, Any]) -> dict[str, Any]:
    head = {"uuid": maker.draws.uuid(), "type": "box", **maker.box()}
    return {**head, wire.ATTRIBUTES: maker.attributes(params)}


def given(world: World, task: Task, plan: Plan, runs: list[StageRun]) -> dict[str, dict[str, Any]]:
    """What the completed stages answered, by name, for the conditions of later ones."""
    done = zip(plan.stages, runs, strict=True)
    found = {stage.name: loads(answer(world, task, stage, run)) for stage, run in done if run.completed_ms}
    return {name: value if isinstance(value, dict) else {} for name, value in found.items()}
