"""What each change does to a document, and when the server refuses it. Pure. facts/scale-api 2.4, 2.5 and 8."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from scalesync.model.records import JsonObject
from scalesync.platforms.scale.multistage import wire as multistage
from scalesync.ports.changes import Planned

TAGS_MOST = 5  # Node SDK
METADATA_BYTES = 10 * 1024  # Scale docs say 10 KB, and not which
PRIORITIES = (10, 20, 30)  # low, normal, high
# The list of tasks has a filter of this name. That a task shows its reviews so is a guess, as is the list of audits.
REVIEW, AUDITS = "customer_review_status", "audits"
Plan = Callable[[JsonObject, JsonObject], Planned]


def cancel(task: JsonObject, arguments: JsonObject) -> Planned:
    """Only a pending task that nobody has begun; one that is canceled stays so, and may lose its unique_id."""
    status = task.get("status")
    if status in {"completed", "error"}:
        words = "completed" if status == "completed" else "in error"
        return Planned(refused=f"the task is {words}; only a task that nobody has begun can be canceled")
    if status == "pending" and task.get("work_started") is True:
        return Planned(refused="somebody works on the task; only a task that nobody has begun can be canceled")
    before, after = {"status": status}, {"status": "canceled"}
    if arguments.get("clear_unique_id") is True:
        return Planned({**before, "unique_id": task.get("unique_id")}, {**after, "unique_id": None})
    return Planned(before, after)


def set_tags(task: JsonObject, arguments: JsonObject) -> Planned:
    """These tags and no others."""
    return _tags(task, arguments["tags"])


def add_tags(task: JsonObject, arguments: JsonObject) -> Planned:
    """The task's tags stay, in their order."""
    return _tags(task, [*_tags_of(task), *arguments["tags"]])


def remove_tags(task: JsonObject, arguments: JsonObject) -> Planned:
    """A tag that the task does not have changes nothing."""
    return _tags(task, [tag for tag in _tags_of(task) if tag not in arguments["tags"]])


def _tags(task: JsonObject, tags: list[str]) -> Planned:
    after = list(dict.fromkeys(tags))
    if len(after) > TAGS_MOST:
        return Planned(refused=f"the task would have {len(after)} tags, and Scale takes {TAGS_MOST}")
    return Planned({"tags": _tags_of(task)}, {"tags": after})


def _tags_of(task: JsonObject) -> list[str]:
    """A task without tags does not have the member."""
    tags = task.get("tags")
    return list(tags) if isinstance(tags, list) else []


def set_metadata(task: JsonObject, arguments: JsonObject) -> Planned:
    """The object replaces the metadata."""
    return _metadata(task, arguments["metadata"])


def merge_metadata(task: JsonObject, arguments: JsonObject) -> Planned:
    """The object is laid over the metadata."""
    return _metadata(task, merged(_metadata_of(task), arguments["metadata"]))


def merged(below: JsonObject, over: JsonObject) -> JsonObject:
    """`over` laid over `below` as version 2 merges: objects member by member; everything else is replaced."""
    both = dict(below)
    for name, value in over.items():
        under = both.get(name)
        both[name] = merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return both


def _metadata(task: JsonObject, metadata: JsonObject) -> Planned:
    if (refused := too_large(metadata)) is not None:
        return Planned(refused=refused)
    return Planned({"metadata": _metadata_of(task)}, {"metadata": metadata})


def _metadata_of(task: JsonObject) -> JsonObject:
    metadata = task.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def too_large(metadata: JsonObject) -> str | None:
    """Why Scale does not take metadata of this size; None if it does."""
    size = len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    return f"the metadata would have {size:,} bytes, and Scale takes 10 KB" if size > METADATA_BYTES else None


def audit(task: JsonObject, arguments: JsonObject) -> Planned:
    """Only a completed task. Where a task shows no review, `after` is empty: nobody can see whether it was audited.

    The comment counts where the task shows its audits: the same result with other words is another audit.
    """
    if task.get("status") not in {"completed", None}:
        return Planned(refused=f"the task is {_shown(task['status'])}; only a completed task can be audited")
    if task.get("type") == multistage.TYPE and task.get(multistage.DELIVERY) == multistage.WITH_TASK:
        return Planned(refused="its project delivers whole tasks, not stages; such a task takes fixless audits only")
    if REVIEW not in task:
        return Planned()
    result = "accepted" if arguments["accepted"] else "rejected"
    before: JsonObject = {REVIEW: task[REVIEW]}
    after: JsonObject = {REVIEW: result}
    audits = task.get(AUDITS)
    is_shown = isinstance(audits, list)
    comments = arguments.get("comments")
    if comments is not None and (is_shown or task[REVIEW] != result):
        before["comments"] = _last_comments(audits) if isinstance(audits, list) else None
        after["comments"] = comments
    return Planned(before, after)


def judged(accepted: bool) -> Plan:
    """The plan of an audit whose name says the result."""
    return partial(_judged, accepted)


def _judged(accepted: bool, task: JsonObject, arguments: JsonObject) -> Planned:
    return audit(task, {**arguments, "accepted": accepted})


def _last_comments(audits: list[Any]) -> Any:
    last = audits[-1] if audits else None
    return last.get("comments") if isinstance(last, dict) else None


def _shown(status: str) -> str:
    return "in error" if status == "error" else status


def set_unique_id(task: JsonObject, arguments: JsonObject) -> Planned:
    """Whether another task has the unique_id is known to the server alone."""
    return Planned({"unique_id": task.get("unique_id")}, {"unique_id": arguments["new_unique_id"]})


def clear_unique_id(task: JsonObject, arguments: JsonObject) -> Planned:
    """A task without a unique_id does not have the member."""
    return Planned({"unique_id": task.get("unique_id")}, {"unique_id": None})


def priority(batch: JsonObject, arguments: JsonObject) -> Planned:
    """No source says that a batch shows its priority, so mostly nothing is seen."""
    if "priority" not in batch:
        return Planned()
    return Planned({"priority": batch["priority"]}, {"priority": int(arguments["priority"])})


def send_callback(task: JsonObject, arguments: JsonObject) -> Planned:
    """Only a task that is completed or in error. It does not show how often its callback was called."""
    if task.get("status") not in {"completed", "error", None}:
        return Planned(
            refused=f"the task is {task['status']}; callbacks are sent for completed tasks and those in error"
        )
    return Planned()
