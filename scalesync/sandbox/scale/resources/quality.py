"""Evaluation and training tasks: what one knows the answer of. Lists of tasks do not show them (guess).

Source: official SDK, Scale docs. Only Rapid projects have them.
"""

from __future__ import annotations

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.core.wire.rawjson import join, members, text
from scalesync.sandbox.core.wire.times import iso
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.state.account import Quality
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks import create

TYPES = (
    "documenttranscription",
    "segmentannotation",
    "videoplaybackannotation",
    "imageannotation",
    "textcollection",
    "namedentityrecognition",
)
ANSWERS = ("expected_response", "initial_response")


def create_evaluation(world: World, call: Call) -> Reply:
    """POST /evaluation_tasks/{type}. `initial_response` makes it one for reviewers."""
    return _create(world, call, "evaluation")


def create_training(world: World, call: Call) -> Reply:
    """POST /training_tasks/{type}."""
    return _create(world, call, "training")


def _create(world: World, call: Call, kind: str) -> Reply:
    """The body of a task and `expected_response`. Raises ApiError 400, 404, 409."""
    type_name = call.path[1]
    if type_name not in TYPES:
        raise bad(f'task type "{type_name}" has no {kind} tasks')
    sent = members(call.body)
    answers = {name: sent.pop(name) for name in ANSWERS if name in sent}
    if answers.get("expected_response", b"null") == b"null":
        raise bad('"expected_response" is required')
    for name, raw in answers.items():
        if raw[:1] not in b"{[" and raw != b"null":
            raise bad(f'"{name}" must be an object')
    task = create.make_task(world, type_name, join(sent), None)
    if task.project < 0 or not world.projects[task.project].rapid:
        raise ApiError(400, f"{kind.capitalize()} tasks can be created for Rapid projects only.")
    number = len(world.account.qualities)
    quality = Quality(
        number=number,
        id=world.account.digest("quality", number)[:24],
        kind=kind,
        project=task.project,
        created_ms=task.created_ms,
        body=task.body + b',"metadata":' + (task.metadata or b"{}") + b"," + join(answers)[1:-1],
    )
    world.account.put_quality(quality)
    return Reply(body=render(world, quality))


def render(world: World, quality: Quality) -> bytes:
    """`id`, `expected_response`, `initial_response` if one was sent, and the members of the task."""
    head = f'{{"id":"{quality.id}","created_at":"{iso(quality.created_ms)}","project":'.encode()
    return head + text(world.projects[quality.project].name) + b"," + quality.body + b"}"
