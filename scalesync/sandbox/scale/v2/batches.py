"""Batches of version 2. Pause, resume and cancel only begin with the request; they take effect some time later."""

from __future__ import annotations

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.core.wire.rawjson import join, text
from scalesync.sandbox.scale import batches
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.state.model import Batch
from scalesync.sandbox.scale.tasks import create
from scalesync.sandbox.scale.v2 import pages
from scalesync.sandbox.scale.v2.documents import batch_status, render_batch
from scalesync.sandbox.scale.v2.query import Body, batch_of, bounds, choice, merged, project_of, shown_of, within
from scalesync.sandbox.scale.v2.state import GenAI

STATUSES = ("staging", "in_progress", "completed", "paused", "cancelled")
MESSAGES = {
    "pause": "Batch pause initiated. Only unstarted tasks will be paused.",
    "resume": "Batch resume initiated.",  # guess
    "cancel": "Batch cancellation initiated. Unstarted tasks will be cancelled.",
}


def post_batch(genai: GenAI, call: Call) -> Reply:
    """POST /v2/batch. `project`, an id or a name, is what the documentation's own example sends."""
    body = Body(call)
    world = genai.world
    project = project_of(genai, body.text, lost=world.config.unknown_parent_status)
    either = body.text("project")
    if project is None and either is not None:
        project = genai.project(either) or world.project_names.get(either)
        if project is None:
            raise ApiError(world.config.unknown_parent_status, f'Project "{either}" not found.')
    if project is None:
        raise bad('"project_id" or "project_name" is required')
    staging, metadata = body.flag("staging_batch"), body.object("metadata")
    batch = batches.create_batch(
        world, {"name": body.text("name"), "project": project.name, "callback": body.text("callback")}
    )
    if metadata is not None:
        batch.metadata = create.metadata(metadata) or b"{}"
    batch.staging = batch.rapid = batch.staging or staging
    world.put_batch(batch)
    return Reply(body=render_batch(genai, batch))


def get_batch(genai: GenAI, call: Call) -> Reply:
    """GET /v2/batch."""
    batch = batch_of(genai, call.first)
    if batch is None:
        raise bad('"batch_id" or "batch_name" is required')
    return Reply(body=render_batch(genai, batch, shown_of(call, "project")))


def list_batches(genai: GenAI, call: Call) -> Reply:
    """GET /v2/batches: newest first, of all projects unless one is named (guess)."""
    project = project_of(genai, call.first)
    shown = shown_of(call, "project")
    status = choice(call, "status", STATUSES)
    created, completed = bounds(genai, call, "created"), bounds(genai, call, "completed")
    world = genai.world
    rows = [_Row(batch) for batch in world.batches]
    seqs = [
        batch.number
        for batch in world.batches
        if (project is None or batch.project == project.number)
        and (status is None or batch_status(batch) == status)
        and within(batch.created_ms, created)
        and within(0 if batch.cancelled else batch.completed_ms, completed)
    ]
    page = pages.page_of(world.config, call, rows, seqs)
    docs = b",".join(render_batch(genai, row.batch, shown) for row in page.shown)
    return Reply(body=join({"batches": b"[" + docs + b"]"} | pages.next_token(world.config, page)))


class _Row:
    """A batch as a row of a page."""

    __slots__ = ("batch",)

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    @property
    def seq(self) -> int:
        return self.batch.number

    @property
    def listed(self) -> bool:
        return True


def _named(genai: GenAI, body: Body) -> Batch:
    batch = batch_of(genai, body.text)
    if batch is None:
        raise bad('"batch_id" or "batch_name" is required')
    return batch


def finalize(genai: GenAI, call: Call) -> Reply:
    """POST /v2/batch/finalize: only from `staging`, and at once. Source: GenAI docs."""
    batch = _named(genai, Body(call))
    if not batch.staging or batch.cancelled:
        raise ApiError(400, f'Batch "{batch.name}" is {batch_status(batch)} and cannot be finalized.')
    batches.leave_staging(genai.world, batch)
    return Reply(body=render_batch(genai, batch))


def pause(genai: GenAI, call: Call) -> Reply:
    """POST /v2/batch/pause: only `in_progress` batches."""
    return _turn(genai, call, "pause", ("in_progress",))


def resume(genai: GenAI, call: Call) -> Reply:
    """POST /v2/batch/resume: paused batches, and those whose pause is under way (guess). Never cancelled ones."""
    return _turn(genai, call, "resume", ("paused",))


def cancel(genai: GenAI, call: Call) -> Reply:
    """POST /v2/batch/cancel: every batch that is not completed or cancelled."""
    return _turn(genai, call, "cancel", ("staging", "in_progress", "paused"))


def _turn(genai: GenAI, call: Call, turn: str, allowed: tuple[str, ...]) -> Reply:
    batch = _named(genai, Body(call))
    status = batch_status(batch)
    undoes = turn == "resume" and batch.turn == "pause"
    if (status not in allowed and not undoes) or (batch.turn == "cancel" and turn != "cancel"):
        held = "being cancelled" if batch.turn == "cancel" else status
        raise ApiError(400, f'Batch "{batch.name}" is {held}: it cannot be {TURNED[turn]}.')
    world = genai.world
    batch.turn, batch.turn_ms = turn, world.now() + int(world.config.batch_change_s * 1000)
    genai.turning.add(batch.number)
    world.put_batch(batch)
    return Reply(body=join({"batch": render_batch(genai, batch), "message": text(MESSAGES[turn])}))


TURNED = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}


def set_metadata(genai: GenAI, call: Call) -> Reply:
    """POST /v2/batch/metadata: replaces the metadata, or with `merge` lays the object over it."""
    body = Body(call)
    batch, metadata = _named(genai, body), body.object("metadata")
    if metadata is None:
        raise bad('"metadata" is required')
    if body.flag("merge"):
        metadata = merged(batch.metadata, metadata)
    batch.metadata = create.metadata(metadata) or b"{}"
    genai.world.put_batch(batch)
    return Reply(body=render_batch(genai, batch))
