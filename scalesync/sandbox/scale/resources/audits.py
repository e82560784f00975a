"""Fixless audits: a judgement of a completed task that changes neither its answer nor its state.

Source: Scale docs: Fixless Audits. The full list of fields is unknown; what is sent comes back as it was. How audits
are read is unknown too: GET /audits?task_id= is a guess.
"""

from __future__ import annotations

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.core.wire.rawjson import join, loads, members, text
from scalesync.sandbox.core.wire.times import iso
from scalesync.sandbox.scale.errors import NO_SUCH_TASK, bad
from scalesync.sandbox.scale.state.account import Audit
from scalesync.sandbox.scale.state.model import COMPLETED, Task
from scalesync.sandbox.scale.state.world import World

STATES = ("accepted", "rejected", "disputed")
OWN = ("id", "task_id", "created_at")


def create_audit(world: World, call: Call) -> Reply:
    """PUT /audits `{"task_id", ...}`: 201. A task may have several; the newest one counts."""
    sent = members(call.body)
    task = _task(world, loads(sent.get("task_id", b"null")))
    if task.status != COMPLETED:
        raise ApiError(400, "Only completed tasks can be audited.")
    _check_feedback(sent)
    number = len(world.account.audits)
    audit = Audit(
        number=number,
        id=world.account.digest("audit", number)[:24],
        seq=task.seq,
        created_ms=world.now(),
        body=join({name: raw for name, raw in sent.items() if name not in OWN}),
    )
    world.account.put_audit(audit)
    return Reply(201, render(world, audit))


def list_audits(world: World, call: Call) -> Reply:
    """GET /audits?task_id=: all of a task, the newest first, as a bare array."""
    task = _task(world, call.first("task_id"))
    found = [render(world, audit) for audit in reversed(world.account.audits) if audit.seq == task.seq]
    return Reply(body=b"[" + b",".join(found) + b"]")


def _task(world: World, task_id: object) -> Task:
    if not isinstance(task_id, str) or not task_id:
        raise bad('"task_id" is required')
    task = world.find(task_id)
    if task is None:
        raise ApiError(404, NO_SUCH_TASK)
    return task


def _check_feedback(sent: dict[str, bytes]) -> None:
    """The items of `feedback`, under a guessed name: each has a state."""
    items = loads(sent.get("feedback", b"[]"))
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise bad('"feedback" must be an array of objects')
    for item in items:
        if item.get("state") not in (None, *STATES):
            raise bad(f'"state" must be one of [{", ".join(STATES)}]')


def render(world: World, audit: Audit) -> bytes:
    """`id, task_id, created_at`, and what was sent."""
    task = world.by_seq[audit.seq]
    task_id = b"null" if task is None else text(world.task_id(task))
    head = f'{{"id":"{audit.id}","created_at":"{iso(audit.created_ms)}","task_id":'.encode() + task_id
    rest = audit.body[1:-1]
    return head + (b"," + rest if rest else b"") + b"}"
