"""The JSON of version 2. Where version 1 writes names, these write ids, or whole objects if the caller expands them."""

from __future__ import annotations

from typing import Any

from scalesync.sandbox.core.wire.rawjson import dumps, join, text
from scalesync.sandbox.core.wire.times import iso
from scalesync.sandbox.scale.state.model import COMPLETED, ERROR, PENDING, Batch, Project, Task
from scalesync.sandbox.scale.v2.answers.threads import attachments, given_response, threads, trimmed
from scalesync.sandbox.scale.v2.query import OPTS, Shown
from scalesync.sandbox.scale.v2.state import Dataset, Delivered, Delivery, GenAI

PLAIN = Shown()
ALL = Shown(opts=frozenset(OPTS))
DELETED = "deleted"
TASK_STATUSES = (PENDING, COMPLETED, "canceled", ERROR, DELETED)
REFUSED = [{"type": "PROMPT_INFEASIBLE", "message": "The task could not be completed."}]
Fields = dict[str, bytes]


def status_of(task: Task) -> str:
    """The status of a chat; only version 2 knows deleted ones."""
    return DELETED if task.extra is not None and task.extra.deleted else task.status


def batch_status(batch: Batch) -> str:
    """`staging`, `in_progress`, `completed`, `paused` or `cancelled`."""
    if batch.cancelled:
        return "cancelled"
    return "paused" if batch.paused and not batch.completed_ms else batch.status


def time(ms: int) -> bytes:
    """A time as a JSON string."""
    return text(iso(ms))


def render_project(project: Project) -> bytes:
    """`id, name, created_at`, and types and models of projects that have them."""
    out = {"id": text(project.id), "name": text(project.name), "created_at": time(project.created_ms)}
    out |= {"types": dumps(project.types)} if project.types else {}
    return join(out | ({"models": dumps(project.models)} if project.models else {}))


def _owner(genai: GenAI, number: int, shown: Shown) -> bytes:
    project = genai.world.projects[number]
    return render_project(project) if "project" in shown.expand else text(project.id)


def render_batch(genai: GenAI, batch: Batch, shown: Shown = PLAIN) -> bytes:
    """A batch; `project` may be expanded."""
    out: Fields = {
        "id": text(batch.id),
        "name": text(batch.name),
        "project": _owner(genai, batch.project, shown),
        "status": text(batch_status(batch)),
        "created_at": time(batch.created_ms),
        "metadata": batch.metadata,
    }
    if batch.completed_ms and not batch.cancelled:
        out["completed_at"] = time(batch.completed_ms)
    if batch.callback:
        out["callback"] = text(batch.callback)
    return join(out)


def render_task(
    genai: GenAI, task: Task, shown: Shown = PLAIN, *, status: str | None = None, item: Delivered | None = None
) -> bytes:
    """A chat; `project` and `batch` may be expanded.

    status: an earlier state, for the reply to its own create.
    item: the chat as it was delivered.
    """
    status = COMPLETED if item is not None else status or status_of(task)
    completed_ms = item.completed_ms if item is not None else task.completed_ms
    out: Fields = {"task_id": text(genai.world.task_id(task)), "project": _owner(genai, task.project, shown)}
    if task.batch >= 0:
        batch = genai.world.batches[task.batch]
        out["batch"] = render_batch(genai, batch) if "batch" in shown.expand else text(batch.id)
    out |= {"status": text(status), "created_at": time(task.created_ms)}
    if completed_ms and status != PENDING:
        out["completed_at"] = time(completed_ms)
    out["metadata"] = task.metadata or b"{}"
    return join(out | _outcome(genai, task, shown, status, item))


def _outcome(genai: GenAI, task: Task, shown: Shown, status: str, item: Delivered | None) -> Fields:
    if status == ERROR:
        return {"threads": b"[]", "errors": dumps(given_response(task).get("errors") or REFUSED)}
    if status != COMPLETED:
        return {"threads": b"[]"}
    found = threads(genai, task, item)
    if found is None:
        return {"sensitive_content_reports": dumps(given_response(task, item)["sensitive_content_reports"])}
    return {"threads": dumps(trimmed(genai, found, shown))}


def response_of(genai: GenAI, task: Task, item: Delivered) -> dict[str, Any]:
    """The `response` of a delivered task, which its schema describes."""
    found = threads(genai, task, item)
    if found is None:
        return {"threads": [], "sensitive_content_reports": given_response(task, item)["sensitive_content_reports"]}
    return {"threads": trimmed(genai, found, ALL)}


def render_delivery(genai: GenAI, delivery: Delivery, shown: Shown = PLAIN) -> bytes:
    """A delivery of a project; `project` may be expanded."""
    return join(
        {
            "id": text(delivery.id),
            "name": text(delivery.name),
            "task_count": dumps(len(delivery.items)),
            "delivered_at": time(delivery.delivered_ms),
            "project": _owner(genai, delivery.owner, shown),
        }
    )


def render_dataset(dataset: Dataset) -> bytes:
    """`id, name`."""
    return join({"id": text(dataset.id), "name": text(dataset.name)})


def render_published(genai: GenAI, delivery: Delivery, shown: Shown = PLAIN) -> bytes:
    """A delivery of a dataset; `dataset` may be expanded."""
    dataset = genai.datasets[delivery.owner]
    return join(
        {
            "id": text(delivery.id),
            "name": text(delivery.name),
            "delivered_at": time(delivery.delivered_ms),
            "dataset": render_dataset(dataset) if "dataset" in shown.expand else text(dataset.id),
            "metadata": dumps({"task_count": len(delivery.items), "turn_count": delivery.turns}),
        }
    )


def dataset_attachments(genai: GenAI, task: Task, item: Delivered) -> list[dict[str, Any]]:
    """The files of a dataset's task: one, or two for every second task."""
    return attachments(genai, task, item.revision, 0, 1 + task.seq % 2)


def render_dataset_task(genai: GenAI, task: Task, item: Delivered, shown: Shown = PLAIN) -> bytes:
    """A task of a dataset; `dataset` and `delivery` may be expanded. Guess: `response` names its attachments."""
    delivery = genai.published.of(item)
    dataset = genai.datasets[delivery.owner]
    task_id = genai.world.task_id(task)
    root = f"{genai.world.base_url}/v2/datasets/task/{task_id}/response_url"
    files = [
        {"id": file["id"], "name": file["name"], "mime_type": file["mime_type"], "response_url": f"{root}/{file['id']}"}
        for file in dataset_attachments(genai, task, item)
    ]
    whole = "delivery" in shown.expand
    return join(
        {
            "task_id": text(task_id),
            "dataset": render_dataset(dataset) if "dataset" in shown.expand else text(dataset.id),
            "delivery": render_published(genai, delivery) if whole else text(delivery.id),
            "response": dumps(response_of(genai, task, item) | {"attachments": files}),
        }
    )
