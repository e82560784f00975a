"""The pipeline of a project: how many people work on a task, and whose answer counts.

`standard_task` is one attempt and its reviews. `consensus_task` is `consensus_attempts` attempts: an answer that more
than half of them gave is the task's, and otherwise the review decides. A project without a pipeline has one attempt.
Source: Scale docs: Projects (names); what they do is a guess from the product's guide.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from scalesync.sandbox.core.wire.rawjson import loads
from scalesync.sandbox.scale.answers import synthetic
from scalesync.sandbox.scale.multistage import runs
from scalesync.sandbox.scale.multistage.documents import work as staged_work
from scalesync.sandbox.scale.state.model import COMPLETED, Extra, Task
from scalesync.sandbox.scale.state.world import World

STANDARD = "standard_task"
CONSENSUS = "consensus_task"
NAMES = (STANDARD, CONSENSUS)
ATTEMPTS = 3  # of a consensus that does not say how many


def layers(world: World, task: Task) -> tuple[int, int]:
    """How many attempts and how many reviews the task gets; one with a blueprint goes through its stages instead."""
    if runs.runs(task):
        return 1, 0
    options = world.projects[task.project].options if task.project >= 0 else {}
    name = loads(options["pipeline"]) if "pipeline" in options else None
    if name is None:
        return 1, 0
    attempts = int(loads(options.get("consensus_attempts", b"%d" % ATTEMPTS))) if name == CONSENSUS else 1
    return attempts, world.config.pipeline_reviews


def step(world: World, task: Task) -> bool:
    """Do the next attempt or review of a pending task; False if it was the last one."""
    wanted = sum(layers(world, task))
    if wanted <= 1:
        return False
    extra = task.extra = task.extra or Extra()
    extra.started = True
    extra.steps += 1
    return extra.steps < wanted


def finish(world: World, task: Task) -> None:
    """Do all steps that are left, and take the consensus as the answer, if there is one."""
    attempts, reviews = layers(world, task)
    if attempts + reviews <= 1:
        return
    extra = task.extra = task.extra or Extra()
    extra.steps = attempts + reviews
    if extra.response is None and attempts > 1:
        extra.response = _consensus(world, task, attempts)


def _consensus(world: World, task: Task, attempts: int) -> bytes | None:
    given = Counter(synthetic.answer(world, task, attempt=n) for n in range(1, attempts + 1))
    answer, times = given.most_common(1)[0]
    return answer if 2 * times > attempts else None


def work(world: World, task: Task) -> list[dict[str, Any]]:
    """The attempts and reviews that are done, or the stages, first to last, with the answer of each."""
    plan = runs.plan(world, task)
    if plan is not None:
        return staged_work(world, task, plan)
    attempts, reviews = layers(world, task)
    done = task.extra.steps if task.extra is not None else 0
    if attempts + reviews <= 1:
        done = int(task.status == COMPLETED)
    final = (task.extra.response if task.extra is not None else None) or synthetic.answer(world, task) or b"null"
    found: list[dict[str, Any]] = []
    for n in range(1, done + 1):
        review = n > attempts
        answer = final if review or attempts == 1 else synthetic.answer(world, task, attempt=n) or b"null"
        number = n - attempts if review else n
        found.append({"layer": "review" if review else "attempt", "number": number, "response": loads(answer)})
    return found
