"""Deliveries: completed chats of a project that were handed over together, each as it was then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.core.wire.rawjson import dumps, join, text
from scalesync.sandbox.core.wire.times import iso
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.state.model import COMPLETED, Project, Task
from scalesync.sandbox.scale.v2 import pages
from scalesync.sandbox.scale.v2.documents import render_delivery, render_task, response_of, time
from scalesync.sandbox.scale.v2.query import bounds, project_of, shown_of, within
from scalesync.sandbox.scale.v2.state import Delivered, Delivery, GenAI, given, is_chat
from scalesync.sandbox.scale.v2.tasks import matching

EXPAND = ("project", "batch", "delivery")
NOT_YET: dict[str, bytes] = dict.fromkeys(("delivery_id", "delivered_at", "response_schema_id", "response"), b"null")


def waiting(genai: GenAI) -> Sequence[int]:
    """The numbers of the completed chats that were not delivered yet, or have another answer since; rising."""
    world, latest = genai.world, genai.delivered.latest

    def matches(seq: int) -> bool:
        task = world.by_seq[seq]
        if task is None or task.status != COMPLETED or not is_chat(task):
            return False
        known = latest.get(seq)
        return known is None or (known.revision, known.response) != (task.revision, given(task))

    return world.view(("v2", "waiting"), matches, world.listed).seqs


def deliver(genai: GenAI, project: Project, tasks: Iterable[Task], name: str | None = None, at_ms: int = 0) -> Delivery:
    """Deliver tasks of a project. at_ms: when; 0 is now."""
    world, number = genai.world, len(genai.delivered.deliveries)
    delivery = Delivery(
        number=number,
        id=world.object_id("delivery", number),
        name=name or f"{project.name} {iso(at_ms or world.now())} {number}",
        owner=project.number,
        delivered_ms=at_ms or world.now(),
        items=genai.delivered.pack(tasks),
    )
    genai.put_delivery(delivery)
    return delivery


def deliver_waiting(genai: GenAI, project: Project | None = None, name: str | None = None) -> list[Delivery]:
    """Deliver every chat that waits for it, one delivery for each project; of one project only if it is given."""
    grouped: dict[int, list[Task]] = {}
    for seq in list(waiting(genai)):
        task = genai.world.by_seq[seq]
        if task is not None and (project is None or task.project == project.number):
            grouped.setdefault(task.project, []).append(task)
    return [deliver(genai, genai.world.projects[number], tasks, name) for number, tasks in grouped.items()]


def list_deliveries(genai: GenAI, call: Call) -> Reply:
    """GET /v2/deliveries: newest first, without pages; of all projects unless one is named (guess)."""
    project, shown = project_of(genai, call.first), shown_of(call, "project")
    wanted = bounds(genai, call, "delivered")
    chosen = [
        render_delivery(genai, delivery, shown)
        for delivery in reversed(genai.delivered.deliveries)
        if (project is None or delivery.owner == project.number) and within(delivery.delivered_ms, wanted)
    ]
    return Reply(body=join({"deliveries": b"[" + b",".join(chosen) + b"]"}))


def get_delivery(genai: GenAI, call: Call) -> Reply:
    """GET /v2/delivery: its tasks in pages. By its id, or by its name and project."""
    delivery, shown = _named(genai, call), shown_of(call, *EXPAND)
    world = genai.world
    items = [item for item in delivery.items if world.by_seq[item.task] is not None]
    page = pages.page_of(world.config, call, genai.delivered.items, [item.seq for item in items])
    docs = b",".join(
        render_task(genai, task, shown, item=item)
        for item in page.shown
        if (task := world.by_seq[item.task]) is not None
    )
    whole = "delivery" in shown.expand
    head = render_delivery(genai, delivery) if whole else text(delivery.id)
    return Reply(body=join({"delivery": head, "tasks": b"[" + docs + b"]"} | pages.next_token(world.config, page)))


def _named(genai: GenAI, call: Call) -> Delivery:
    delivery_id, name = call.first("delivery_id"), call.first("delivery_name")
    if delivery_id is not None:
        found = genai.delivered.by_id.get(delivery_id)
    elif name is not None:
        project = project_of(genai, call.first)
        if project is None:
            raise bad('"project_id" or "project_name" is required with "delivery_name"')
        same = (d for d in reversed(genai.delivered.deliveries) if d.name == name and d.owner == project.number)
        found = next(same, None)
    else:
        raise bad('"delivery_id" or "delivery_name" is required')
    if found is None:
        raise ApiError(404, "Delivery not found.")
    return found


def list_delivered(genai: GenAI, call: Call) -> Reply:
    """GET /v2/delivery/tasks: the chats of a project, delivered or not, in pages that skip; `total` is of the page."""
    project = project_of(genai, call.first)
    if project is None:
        raise bad('"project_id" or "project_name" is required')
    seqs = matching(genai, call, project, None)
    delivery_id = call.first("delivery_id")
    known = genai.delivered.latest
    if delivery_id is not None:
        delivery = genai.delivered.by_id.get(delivery_id)
        known = {item.task: item for item in delivery.items} if delivery is not None else {}
        seqs = [seq for seq in seqs if seq in known]
    world = genai.world
    page = pages.page_of(world.config, call, world.by_seq, seqs, skips=True)
    docs = b",".join(render_delivered(genai, task, known.get(task.seq)) for task in page.shown)
    total = (
        page.total + len(page.shown) - (page.end - page.begin)
    )  # the fault `total` may have changed the first of them
    out = {"docs": b"[" + docs + b"]", "total": dumps(max(0, total))}
    return Reply(body=join(out | pages.next_token(world.config, page, skips=True)))


def render_delivered(genai: GenAI, task: Task, item: Delivered | None) -> bytes:
    """A task as GET /v2/delivery/tasks shows it; item: None for one that was not delivered."""
    out = {"task_id": text(genai.world.task_id(task)), "created_at": time(task.created_ms)} | NOT_YET
    if item is not None:
        delivery = genai.delivered.of(item)
        out |= {"delivery_id": text(delivery.id), "delivered_at": time(delivery.delivered_ms)}
        out["response_schema_id"] = text(genai.schema_id(genai.world.projects[task.project]))
        out["response"] = dumps(response_of(genai, task, item))
    return join(out)
