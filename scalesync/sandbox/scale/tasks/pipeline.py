"""The pipeline of a project: how many people work on a task, and whose answer counts.

`standard_task` is one attempt and its reviews. `consensus_task` is `consensus_attempts` attempts: an answer that more
than half of them gave is the task's, and otherwise the review decides. A collection has the same attempts and keeps the
answer of each. A project without a pipeline has one attempt.
Source: Scale docs: Projects (names; the collection has none); what they do is a guess from the product's guide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
ATTEMPTS = 3  # of a pipeline with several that does not say how many


def names(world: World) -> tuple[str, ...]:
    """The pipelines that a project may have."""
    word = world.config.collection_word
    return NAMES if word is None else (*NAMES, word)


def has_attempts(world: World, name: str | None) -> bool:
    """Whether several people work on a task of this pipeline."""
    return name is not None and name in {CONSENSUS, world.config.collection_word}


def _name(world: World, task: Task) -> str | None:
    options = world.projects[task.project].options if task.project >= 0 else {}
    return loads(options["pipeline"]) if "pipeline" in options else None


def layers(world: World, task: Task) -> tuple[int, int]:
    """How many attempts and how many reviews the task gets; one with a blueprint goes through its stages instead."""
    if runs.runs(task):
        return 1, 0
    name = _name(world, task)
    if name is None:
        return 1, 0
    asked = world.projects[task.project].options.get("consensus_attempts", b"%d" % ATTEMPTS)
    return int(loads(asked)) if has_attempts(world, name) else 1, world.config.pipeline_reviews


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
    """Do all steps that are left, and take the consensus as the answer, if there is one, or all that was collected."""
    attempts, reviews = layers(world, task)
    if attempts + reviews <= 1:
        return
    extra = task.extra = task.extra or Extra()
    extra.steps = attempts + reviews
    if extra.response is None and attempts > 1:
        given = [synthetic.answer(world, task, attempt=n) for n in range(1, attempts + 1)]
        extra.response = _consensus(given) if _name(world, task) == CONSENSUS else _collection(given)


def _collection(given: Sequence[bytes | None]) -> bytes:
    return b'{"responses":[' + b",".join(answer or b"null" for answer in given) + b"]}"


def _consensus(given: Sequence[bytes | None]) -> bytes | None:
    answer, times = Counter(given).most_common(1)[0]
    return answer if 2 * times > len(given) else None


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
