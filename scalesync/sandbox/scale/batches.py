"""Batches: create, read, list, count, finalize, setMetadata, prioritize."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, integer, ok
from scalesync.sandbox.core.wire.rawjson import dumps, loads, members, text
from scalesync.sandbox.core.wire.times import iso
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.state.model import PENDING, Batch
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks import create, lifecycle
from scalesync.sandbox.scale.tasks.filters import Range, time_range

PAGE = 100
OPTIONS = ("calibration_batch", "self_label_batch")
STATUSES = ("staging", "in_progress", "completed")
ENVELOPES = {
    "sdk": ("docs", "totalDocs", "limit", "offset", "has_more"),
    "sail": ("docs", "totalPages", "hasNextPage", "nextPage"),
    "node": ("docs", "total", "limit", "offset", "has_more"),
}


def create_batch(world: World, body: Mapping[str, Any]) -> Batch:
    """Create a batch in a project. Raises ApiError 400, 404, or 409, because names are unique in an account."""
    name, owner = body.get("name"), body.get("project")
    for field, value in (("project", owner), ("name", name)):
        if not isinstance(value, str) or not value or not create.storable(value):
            raise bad(f'"{field}" is required')
    project = world.project_names.get(str(owner))
    if project is None:
        raise ApiError(world.config.unknown_parent_status, f'Project "{owner}" not found.')
    if name in world.batch_names:
        raise ApiError(409, f'A batch with the name "{name}" already exists.')
    callback, metadata = body.get("callback"), body.get("metadata")
    if callback is not None and not isinstance(callback, str):
        raise bad('"callback" must be a string')
    number = len(world.batches)
    batch = Batch(
        number=number,
        id=world.object_id("batch", number),
        name=str(name),
        project=project.number,
        created_ms=world.now(),
        staging=project.stages,
        rapid=project.stages,
        callback=callback or "",
        metadata=create.metadata(dumps(metadata)) or b"{}" if metadata is not None else b"{}",
        options={option: bool(body[option]) for option in OPTIONS if option in body},
    )
    world.put_batch(batch)
    if batch.callback:
        world.outbox.expect()
    return batch


def render_batch(world: World, batch: Batch, *, detailed: bool = False) -> bytes:
    """`project, name, status, created_at, metadata`, which the official SDK needs, and the fields that are set."""
    extra = world.config.batch_extra
    out = [b'{"id":' + text(batch.id) + b"," if extra else b"{"]
    out.append(b'"project":' + text(world.projects[batch.project].name) + b',"name":' + text(batch.name))
    out.append(f',"status":"{batch.status}","created_at":"{iso(batch.created_ms)}"'.encode())
    if batch.completed_ms:
        out.append(f',"completed_at":"{iso(batch.completed_ms)}"'.encode())
    if batch.audited_ms:
        out.append(f',"last_audited_at":"{iso(batch.audited_ms)}"'.encode())
    if extra or batch.callback:
        out.append(b',"callback":' + text(batch.callback))
    if detailed:
        out.append(b',"tasks":' + dumps(batch.counts))
    return b"".join((*out, b',"metadata":', batch.metadata, b"}"))


def _reply(world: World, batch: Batch) -> Reply:
    return Reply(body=render_batch(world, batch))


def find(world: World, call: Call) -> Batch:
    """The batch that the path names. Raises ApiError 404."""
    batch = world.batch_names.get(call.path[1])
    if batch is None:
        raise ApiError(404, f'Batch "{call.path[1]}" not found.')
    return batch


def post_batch(world: World, call: Call) -> Reply:
    """POST /batches."""
    body = {name: loads(raw) for name, raw in members(call.body).items()}
    return _reply(world, create_batch(world, body))


def get_batch(world: World, call: Call) -> Reply:
    """GET /batches/{name}."""
    return _reply(world, find(world, call))


def batch_status(world: World, call: Call) -> Reply:
    """GET /batches/{name}/status; leaves a counter of 0 out, because the official SDK reads an absent one as 0."""
    batch = find(world, call)
    counts = {status: number for status, number in batch.counts.items() if number}
    return ok({"status": batch.status, **counts})


def finalize(world: World, call: Call) -> Reply:
    """POST /batches/{name}/finalize: staging to in_progress. In any other state it does nothing and answers 200.

    The second finalize of a rapid batch answers 400. Source: Node SDK; Scale's bulk upload kit (for the 400).
    """
    batch = find(world, call)
    if batch.rapid:
        if not batch.staging:
            raise ApiError(400, f'Batch "{batch.name}" is already finalized.')
        leave_staging(world, batch)
    return _reply(world, batch)


def leave_staging(world: World, batch: Batch) -> None:
    """Let people begin with the tasks of a batch."""
    batch.staging = False
    world.settle(batch, world.now())
    world.put_batch(batch)
    lifecycle.release(world, batch)


def set_metadata(world: World, call: Call) -> Reply:
    """POST /batches/{name}/setMetadata: the body replaces the metadata."""
    batch = find(world, call)
    members(call.body)
    batch.metadata = create.metadata(call.body.strip() or b"{}") or b"{}"
    world.put_batch(batch)
    return _reply(world, batch)


def prioritize(world: World, call: Call) -> Reply:
    """POST /batches/{name}/prioritize `{"priority"}`: for the tasks that have not started."""
    batch = find(world, call)
    priority = loads(members(call.body).get("priority", b"null"))
    if isinstance(priority, bool) or priority not in create.PRIORITIES:
        raise bad('"priority" must be one of [10, 20, 30]')
    now = world.now()
    for seq in world.of_batch[batch.number].seqs:
        task = world.by_seq[seq]
        if task is not None and task.status == PENDING and not (task.extra and task.extra.started):
            task.priority = int(priority)
            world.changed(task, now)
    return _reply(world, batch)


def list_batches(world: World, call: Call) -> Reply:
    """GET /batches: paged by offset, newest first. Source: official SDK, Node SDK, Scale's bulk kit."""
    config = world.config
    limit = integer(call, "limit", PAGE, 1, PAGE, clamp=config.limit_out_of_range == "clamp")
    offset = integer(call, "offset", 0, 0, None)
    found = list(_chosen(world, call))
    page = found[offset : offset + limit]
    more = offset + limit < len(found)
    detailed = bool(call.flag("detailed"))
    keys: dict[str, Any] = {
        "total": len(found),
        "totalDocs": len(found),
        "limit": limit,
        "offset": offset,
        "has_more": more,
        "totalPages": -(-len(found) // limit),
        "hasNextPage": more,
        "nextPage": offset // limit + 2 if more else None,
    }
    if config.batch_list != "union":
        keys = {name: value for name, value in keys.items() if name in ENVELOPES[config.batch_list]}
    docs = b",".join(render_batch(world, batch, detailed=detailed) for batch in page)
    return Reply(body=b'{"docs":[' + docs + b"]," + dumps(keys)[1:])


def _chosen(world: World, call: Call) -> Iterator[Batch]:
    status = call.first("status")
    if status is not None and status not in STATUSES:
        raise ApiError(400, f"Invalid status: must be one of {', '.join(STATUSES)}")
    name = call.first("project")
    project = None if name is None else world.project_names.get(name)
    if name is not None and project is None:
        return
    hide_archived = bool(call.flag("exclude_archived"))
    created = time_range(world, call, "start_time", "end_time")
    completed = time_range(world, call, "completed_after", "completed_before")
    audited = time_range(world, call, "audited_after", "audited_before")
    for batch in reversed(world.batches):
        if (
            (project is None or batch.project == project.number)
            and (status is None or batch.status == status)
            and not (hide_archived and batch.archived)
            and _inside(batch.created_ms, created)
            and _inside(batch.completed_ms, completed)
            and _inside(batch.audited_ms, audited)
        ):
            yield batch


def _inside(value_ms: int, bounds: Range | None) -> bool:
    return bounds is None or (value_ms > 0 and bounds[0] <= value_ms <= bounds[1])
