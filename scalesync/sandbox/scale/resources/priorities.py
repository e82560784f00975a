"""Studio's batches: the pending ones in the order in which people work on them, and the groups of each.

Source: official SDK, Node SDK. By default the oldest comes first.
"""

from __future__ import annotations

from typing import Any

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, ok
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.resources.bodies import body_of, texts_of
from scalesync.sandbox.scale.resources.studio import assigned, groups_of
from scalesync.sandbox.scale.state.model import COMPLETED, Batch
from scalesync.sandbox.scale.state.world import World


def list_batches(world: World, _: Call) -> Reply:
    """GET /studio/batches: a bare array."""
    return _all(world)


def assign(world: World, call: Call) -> Reply:
    """PUT /studio/batches/{batch} `{"groups"}`: sets its groups; an e-mail stands for one person."""
    batch = world.batch_names.get(call.path[2])
    if batch is None or not world.projects[batch.project].studio:
        raise ApiError(404, f'Batch "{call.path[2]}" not found.')
    groups = texts_of(body_of(call), "groups", needed=False)
    project = world.projects[batch.project]
    known = {*groups_of(world, project), *(person.email for person in assigned(world, project))}
    unknown = next((name for name in groups if name not in known), None)
    if unknown is not None:
        raise bad(f'group "{unknown}" does not exist in project "{project.name}"')
    world.account.studio.groups[batch.number] = groups
    world.account.put_studio()
    return ok(_render(world, batch))


def set_priorities(world: World, call: Call) -> Reply:
    """POST /studio/batches/set_priorities `{"batches": [{"name"}, ...]}`: all pending batches, the first one first."""
    listed = body_of(call).get("batches")
    if not isinstance(listed, list) or not all(isinstance(item, dict) and "name" in item for item in listed):
        raise bad('"batches" must be an array of objects with a name')
    names = [item["name"] for item in listed]
    waiting = {batch.name: batch for batch in pending(world)}
    unknown = next((name for name in names if name not in waiting), None)
    if unknown is not None:
        raise bad(f'batch "{unknown}" is not a pending Studio batch')
    missing = next((name for name in waiting if name not in names), None)
    if missing is not None or len(set(names)) != len(names):
        raise bad('"batches" must list every pending batch once' + (f', but not "{missing}"' if missing else ""))
    world.account.studio.order = [waiting[name].number for name in names]
    world.account.put_studio()
    return _all(world)


def reset_priorities(world: World, _: Call) -> Reply:
    """POST /studio/batches/reset_priorities: the oldest first again."""
    world.account.studio.order = []
    world.account.put_studio()
    return _all(world)


def pending(world: World) -> list[Batch]:
    """Studio batches that are not completed, in order of priority; those without one come last, the oldest first."""
    place = {number: n for n, number in enumerate(world.account.studio.order)}
    found = [b for b in world.batches if world.projects[b.project].studio and b.status != COMPLETED]
    return sorted(found, key=lambda batch: (place.get(batch.number, len(place)), batch.number))


def _all(world: World) -> Reply:
    return ok([_render(world, batch) for batch in pending(world)])


def _render(world: World, batch: Batch) -> dict[str, Any]:
    project, studio = world.projects[batch.project], world.account.studio
    document: dict[str, Any] = {
        "id": batch.id,
        "name": batch.name,
        "projectId": project.id,
        "projectName": project.name,
        "batchType": "Calibration" if batch.options.get("calibration_batch") else "Production",
        "total": sum(batch.counts.values()),
        "completed": batch.counts[COMPLETED],
        "groups": studio.groups.get(batch.number, []),
    }
    if batch.number in studio.order:
        document["studioPriority"] = studio.order.index(batch.number) + 1
    return document
