"""Datasets: chats that were published together, read by data buyers. Nothing but the control plane makes them."""

from __future__ import annotations

from collections.abc import Iterable

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.core.wire.rawjson import join, text
from scalesync.sandbox.core.wire.times import iso
from scalesync.sandbox.scale.errors import NO_SUCH_TASK, bad
from scalesync.sandbox.scale.state.model import Task
from scalesync.sandbox.scale.v2 import pages
from scalesync.sandbox.scale.v2.answers.threads import threads
from scalesync.sandbox.scale.v2.documents import (
    dataset_attachments,
    render_dataset,
    render_dataset_task,
    render_published,
)
from scalesync.sandbox.scale.v2.query import Shown, bounds, needed, shown_of, within
from scalesync.sandbox.scale.v2.state import Dataset, Delivered, Delivery, GenAI

EXPAND = ("dataset", "delivery")


def make_dataset(genai: GenAI, name: str) -> Dataset:
    """Create a dataset."""
    number = len(genai.datasets)
    dataset = Dataset(number, genai.world.object_id("dataset", number), name)
    genai.put_dataset(dataset)
    return dataset


def publish(genai: GenAI, dataset: Dataset, tasks: Iterable[Task], name: str | None = None) -> Delivery:
    """Deliver tasks to a dataset."""
    world, shelf = genai.world, genai.published
    number, now = len(shelf.deliveries), world.now()
    chosen = list(tasks)
    delivery = Delivery(
        number=number,
        id=world.object_id("published", number),
        name=name or f"{dataset.name} {iso(now)} {number}",
        owner=dataset.number,
        delivered_ms=now,
        items=shelf.pack(chosen),
        turns=sum(len(thread.get("turns") or ()) for task in chosen for thread in threads(genai, task) or ()),
    )
    genai.put_published(delivery)
    return delivery


def list_datasets(genai: GenAI, _: Call) -> Reply:
    """GET /v2/datasets."""
    return Reply(body=join({"datasets": b"[" + b",".join(map(render_dataset, genai.datasets)) + b"]"}))


def list_published(genai: GenAI, call: Call) -> Reply:
    """GET /v2/datasets/deliveries: newest first, without pages; of all datasets unless one is named (guess)."""
    dataset, shown = _dataset(genai, call), shown_of(call, "dataset")
    wanted = bounds(genai, call, "delivered")
    chosen = [
        render_published(genai, delivery, shown)
        for delivery in reversed(genai.published.deliveries)
        if (dataset is None or delivery.owner == dataset.number) and within(delivery.delivered_ms, wanted)
    ]
    return Reply(body=join({"deliveries": b"[" + b",".join(chosen) + b"]"}))


def _dataset(genai: GenAI, call: Call) -> Dataset | None:
    dataset_id = call.first("dataset_id")
    if dataset_id is not None and dataset_id not in genai.dataset_ids:
        raise ApiError(404, "Dataset not found.")
    return None if dataset_id is None else genai.dataset_ids[dataset_id]


def _delivery(genai: GenAI, delivery_id: str) -> Delivery:
    if delivery_id not in genai.published.by_id:
        raise ApiError(404, "Delivery not found.")
    return genai.published.by_id[delivery_id]


def get_published(genai: GenAI, call: Call) -> Reply:
    """GET /v2/datasets/delivery: its tasks in pages."""
    delivery = _delivery(genai, needed(call, "delivery_id"))
    shown = shown_of(call, *EXPAND)
    head = render_published(genai, delivery) if "delivery" in shown.expand else text(delivery.id)
    return _tasks(genai, call, delivery.items, shown, {"delivery": head})


def list_dataset_tasks(genai: GenAI, call: Call) -> Reply:
    """GET /v2/datasets/tasks: those of a dataset or of one delivery, newest delivery first."""
    dataset, delivery_id = _dataset(genai, call), call.first("delivery_id")
    if dataset is None and delivery_id is None:
        raise bad('"dataset_id" or "delivery_id" is required')
    wanted = bounds(genai, call, "delivered")
    deliveries = genai.published.deliveries if delivery_id is None else [_delivery(genai, delivery_id)]
    items = [
        item
        for delivery in deliveries
        if (dataset is None or delivery.owner == dataset.number) and within(delivery.delivered_ms, wanted)
        for item in delivery.items
    ]
    return _tasks(genai, call, items, shown_of(call, *EXPAND), {})


def _tasks(genai: GenAI, call: Call, items: list[Delivered], shown: Shown, head: dict[str, bytes]) -> Reply:
    world = genai.world
    seqs = [item.seq for item in items if world.by_seq[item.task] is not None]
    page = pages.page_of(world.config, call, genai.published.items, seqs)
    docs = b",".join(
        render_dataset_task(genai, task, item, shown)
        for item in page.shown
        if (task := world.by_seq[item.task]) is not None
    )
    return Reply(body=join(head | {"tasks": b"[" + docs + b"]"} | pages.next_token(world.config, page)))


def _find(genai: GenAI, task_id: str) -> tuple[Task, Delivered]:
    task = genai.task(task_id)
    item = None if task is None else genai.published.latest.get(task.seq)
    if task is None or item is None:
        raise ApiError(404, NO_SUCH_TASK)
    return task, item


def get_dataset_task(genai: GenAI, call: Call) -> Reply:
    """GET /v2/datasets/task: as its dataset got it last."""
    shown = shown_of(call, *EXPAND)
    task, item = _find(genai, needed(call, "task_id"))
    return Reply(body=render_dataset_task(genai, task, item, shown))


def response_url(genai: GenAI, call: Call) -> Reply:
    """GET /v2/datasets/task/{taskId}/response_url/{attachmentId}: 302 to the file, which needs no key."""
    task, item = _find(genai, call.path[2])
    for file in dataset_attachments(genai, task, item):
        if file["id"] == call.path[4]:
            return Reply(302, headers={"Location": file["url"]})
    raise ApiError(404, "Attachment not found.")
