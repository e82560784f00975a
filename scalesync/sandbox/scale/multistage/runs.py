"""The way of a task through its stages: what begins, what is over, what is left out. Time comes from the caller."""

from __future__ import annotations

from collections.abc import Callable

from scalesync.sandbox.scale.multistage import answers
from scalesync.sandbox.scale.multistage.conditions import failure
from scalesync.sandbox.scale.multistage.plan import Plan
from scalesync.sandbox.scale.multistage.reading import plan_of
from scalesync.sandbox.scale.state.blueprints import Blueprint
from scalesync.sandbox.scale.state.model import Extra, StageRun, Task
from scalesync.sandbox.scale.state.world import World

Delay = Callable[[str], int | None]  # how many ms people work on a stage; None: until somebody completes it


def attach(task: Task, blueprint: Blueprint) -> None:
    """Give a new task its blueprint; every stage of it waits."""
    extra = task.extra = task.extra or Extra()
    extra.blueprint = blueprint.number
    extra.stages = [StageRun() for _ in plan_of(blueprint.body).stages]


def plan(world: World, task: Task) -> Plan | None:
    """The stages of the task; None for a task without a blueprint."""
    if task.extra is None or task.extra.blueprint < 0:
        return None
    return plan_of(world.blueprints.all[task.extra.blueprint].body)


def runs(task: Task) -> list[StageRun]:
    """The state of each stage, in the order of the blueprint."""
    return task.extra.stages if task.extra is not None else []


def ended(task: Task) -> bool:
    """Whether every stage is completed or skipped."""
    return all(run.over for run in runs(task))


def begin(world: World, task: Task, now_ms: int, delay: Delay) -> None:
    """Start the stages that wait for nothing, and skip those that a condition leaves out."""
    stages = plan(world, task)
    if stages is None:
        return
    state = dict(zip((stage.name for stage in stages.stages), runs(task), strict=True))
    known = None
    for place in stages.order:  # a skipped stage lets those behind it begin, and they come later in the order
        stage = stages.stages[place]
        run = state[stage.name]
        if run.over or run.started_ms or not all(state[name].over for name in stage.after):
            continue
        if stage.conditions:
            known = known or answers.given(world, task, stages, runs(task))
            failures = (failure(condition, known.get(condition.stage)) for condition in stage.conditions)
            run.skipped = next(filter(None, failures), "")
        if not run.skipped:
            run.started_ms = now_ms
            _set_due(run, now_ms, delay(stage.name))


def resume(world: World, task: Task, now_ms: int, delay: Delay) -> None:
    """Set the timers of started stages again, for a task whose batch was held."""
    stages = plan(world, task)
    for stage, run in zip(stages.stages if stages is not None else (), runs(task), strict=True):
        if run.started_ms and not run.over:
            _set_due(run, now_ms, delay(stage.name))


def _set_due(run: StageRun, now_ms: int, delay_ms: int | None) -> None:
    run.due_ms = 0 if delay_ms is None else max(1, now_ms + delay_ms)


def next_due_ms(task: Task) -> int:
    """When the next stage is due; 0 if no timer runs."""
    return min((run.due_ms for run in runs(task) if run.due_ms), default=0)


def under_way(task: Task) -> list[int]:
    """The places of the stages that people work on."""
    return [place for place, run in enumerate(runs(task)) if run.started_ms and not run.over]


def due(task: Task, at_ms: int) -> list[int]:
    """The places of the stages whose timer ends by then."""
    return [place for place in under_way(task) if 0 < runs(task)[place].due_ms <= at_ms]


def finish(task: Task, place: int, now_ms: int, response: bytes | None = None) -> None:
    """Complete one started stage; the caller then lets others `begin`."""
    run = runs(task)[place]
    run.due_ms, run.completed_ms, run.response = 0, now_ms, response
    _deliver(run, now_ms)
    if task.extra is not None:
        task.extra.started = True


def correct(task: Task, place: int, now_ms: int, response: bytes | None) -> int:
    """Give a completed stage another answer; returns the time of the new delivery, in ms."""
    run = runs(task)[place]
    if response is None:
        run.revision += 1
    run.response = response
    _deliver(run, now_ms)
    return run.delivered_ms


def _deliver(run: StageRun, now_ms: int) -> None:
    """Two deliveries of a stage never have the same time, so a reader can distinguish them."""
    run.delivered_ms = max(now_ms, run.delivered_ms + 1)


def restart(task: Task) -> None:
    """Let every stage wait again, for a task that was recalled."""
    if task.extra is not None:
        task.extra.stages = [StageRun(delivered_ms=run.delivered_ms) for run in runs(task)]
