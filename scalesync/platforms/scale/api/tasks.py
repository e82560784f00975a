"""Tasks: /task and /tasks. facts/scale-api 2.1 to 2.4."""

from __future__ import annotations

from typing import Any

from scalesync.model.targets import RequestClass
from scalesync.platforms.scale.api.endpoint import PAGE_SIZE, Again, Endpoint, In, Kind, Pages, Param

TASK_ID = Param("task_id", "the id of the task", In.PATH, needed=True)
COLUMNS = ("task_id", "type", "status", "project", "batch", "unique_id", "created_at")

FILTERS = (
    Param("project_name", "only tasks of this project", wire="project"),
    Param("batch_name", "only tasks of this batch", wire="batch"),
    Param("task_type", "only tasks of this type", wire="type"),
    Param("status", "only tasks in this status: pending, completed, canceled, error"),
    Param(
        "review_status",
        "only tasks with one of these reviews",
        kind=Kind.TEXTS,
        wire="customer_review_status",
        joined=True,
    ),
    Param("unique_id", "only tasks with one of these unique_ids", kind=Kind.TEXTS),
    Param("tags", "only tasks with one of these tags", kind=Kind.TEXTS),
    Param("created_after", "created at this time or later", kind=Kind.TIME, wire="start_time"),
    Param("created_before", "created at this time or earlier", kind=Kind.TIME, wire="end_time"),
    Param("completed_after", "completed at this time or later", kind=Kind.TIME),
    Param("completed_before", "completed at this time or earlier", kind=Kind.TIME),
    Param("updated_after", "changed at this time or later", kind=Kind.TIME),
    Param("updated_before", "changed at this time or earlier", kind=Kind.TIME),
    Param(
        "include_attachment_url", "let the server sign a link to each attachment, which takes it longer", kind=Kind.FLAG
    ),
)


def _change(name: str, verb: str, words: str, path: str, *params: Param, **more: Any) -> Endpoint:
    """A change of one task. path: behind its id."""
    bound = "Task." + name.replace("_task", "").replace("task_", "")
    given = {"method": "POST", "returns": "Task", "bound": bound, "sdk": name, **more}
    return Endpoint(
        name,
        "tasks",
        verb,
        words,
        path=f"/task/{{task_id}}/{path}",
        params=(TASK_ID, *params),
        request=RequestClass.MUTATE,
        columns=COLUMNS,
        facts="2.4",
        **given,
    )


TAGS = Param("tags", "the tags", In.WHOLE, Kind.TEXTS, needed=True)
ROWS = (
    Endpoint(
        *("create_task", "tasks", "create", "create one task", "create task", "POST", "/task/{task_type}"),
        (
            Param("task_type", "the type of the task; new ones pass through", In.PATH, needed=True),
            Param("fields", "what the task says: attachment, project, metadata, ...", In.REST, Kind.OBJECT),
            Param("unique_id", "a name that no other task of the account has", In.BODY),
        ),
        request=RequestClass.CREATE,
        again=Again.NAMED,
        named_by="unique_id",
        returns="Task",
        asks="this creates a task, which costs money with a live key",
        columns=COLUMNS,
        sdk="create_task",
        facts="2.1",
    ),
    Endpoint(
        *("get_task", "tasks", "get", "show one task", "get task", "GET", "/task/{task_id}", (TASK_ID,)),
        returns="Task",
        columns=COLUMNS,
        bound="Task.refresh",
        sdk="get_task",
        facts="2.2",
    ),
    Endpoint(
        *("get_tasks", "tasks", "list", "list tasks, newest first", "list tasks", "GET", "/tasks"),
        (
            *FILTERS,
            Param("limited_response", "only task_id, status, metadata and project of each", kind=Kind.FLAG),
            Param("page_size", "tasks in one answer, at most 100", kind=Kind.NUMBER, wire="limit", within=PAGE_SIZE),
        ),
        returns="Task",
        is_list=True,
        pages=Pages.CURSOR,
        docs="docs",
        columns=COLUMNS,
        sdk="get_tasks",
        facts="2.3",
    ),
    _change(
        *("cancel_task", "cancel", "cancel a task that nobody has begun", "cancel"),
        Param("clear_unique_id", "let another task have its unique_id", kind=Kind.FLAG),
        asks="a task that is canceled cannot be brought back",
        op="cancel task",
    ),
    _change(
        *("audit_task", "audit", "accept or reject a completed task", "audit"),
        Param("accepted", "accept it, or reject it", In.BODY, Kind.FLAG, needed=True),
        Param("comments", "what the annotators should know", In.BODY, sends_null=True, placed=True),
        asks="an audit is sent to the people who work on the task",
        returns="",
        op="audit task",
    ),
    _change(
        *("update_task_unique_id", "set-unique-id", "give a task another unique_id", "unique_id"),
        Param("unique_id", "a name that no other task of the account has", In.BODY, needed=True),
        again=Again.NAMED,
        named_by="unique_id",
        op="set unique_id",
    ),
    _change(
        *("clear_task_unique_id", "clear-unique-id", "take the unique_id off a task", "unique_id"),
        asks="another task can have the unique_id then, so an import of the record makes a second one",
        op="clear unique_id",
        method="DELETE",
    ),
    _change(
        *("set_task_metadata", "set-metadata", "replace the metadata of a task", "setMetadata"),
        Param("metadata", "the whole new metadata", In.WHOLE, Kind.OBJECT, needed=True),
        op="set metadata of task",
    ),
    _change(*("set_task_tags", "set-tags", "replace the tags of a task", "tags"), TAGS, op="set tags"),
    _change(*("add_task_tags", "add-tags", "add tags to a task", "tags"), TAGS, op="add tags", method="PUT"),
    _change(
        *("delete_task_tags", "delete-tags", "remove tags from a task", "tags"), TAGS, op="delete tags", method="DELETE"
    ),
    _change(
        *("send_callback", "send-callback", "call the task's callback again", "send-callback"),
        returns="",
        sdk="",
        op="send callback",
    ),
)
