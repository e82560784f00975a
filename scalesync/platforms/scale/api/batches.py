"""Batches: /batches. facts/scale-api 2.5."""

from __future__ import annotations

from scalesync.model.targets import RequestClass
from scalesync.platforms.scale.api.endpoint import PAGE_SIZE, Again, Endpoint, In, Kind, Pages, Param

NAME = Param("batch_name", "the name of the batch", In.PATH, needed=True)
COLUMNS = ("name", "project", "status", "created_at")
PRIORITIES = "10, 20 or 30; tasks with the higher number come first"

ROWS = (
    Endpoint(
        *("create_batch", "batches", "create", "create a batch", "create batch", "POST", "/batches"),
        (
            Param("project", "the project of its tasks", In.BODY, needed=True),
            Param("batch_name", "a name that no other batch of the account has", In.BODY, wire="name", needed=True),
            Param("callback", "a URL or an address of e-mail that hears when the batch is done", In.BODY),
            Param("calibration_batch", "for calibration; self-serve projects alone have it", In.BODY, Kind.FLAG),
            Param("self_label_batch", "for your own people; self-serve projects alone have it", In.BODY, Kind.FLAG),
            Param("metadata", "what you want to keep with it", In.BODY, Kind.OBJECT),
        ),
        request=RequestClass.MUTATE,
        again=Again.NAMED,
        named_by="batch_name",
        returns="Batch",
        columns=COLUMNS,
        sdk="create_batch",
        facts="2.5",
    ),
    Endpoint(
        *("get_batch", "batches", "get", "show one batch", "get batch", "GET", "/batches/{batch_name}", (NAME,)),
        returns="Batch",
        columns=COLUMNS,
        sdk="get_batch",
        facts="2.5",
    ),
    Endpoint(
        *("get_batches", "batches", "list", "list batches, newest first", "list batches", "GET", "/batches"),
        (
            Param("project_name", "only batches of this project", wire="project"),
            Param("batch_status", "only batches in this status: staging, in_progress, completed", wire="status"),
            Param("created_after", "created at this time or later", kind=Kind.TIME, wire="start_time"),
            Param("created_before", "created at this time or earlier", kind=Kind.TIME, wire="end_time"),
            Param("completed_after", "completed at this time or later", kind=Kind.TIME),
            Param("completed_before", "completed at this time or earlier", kind=Kind.TIME),
            Param("audited_after", "last audited at this time or later", kind=Kind.TIME),
            Param("audited_before", "last audited at this time or earlier", kind=Kind.TIME),
            Param("exclude_archived", "leave archived batches out", kind=Kind.FLAG),
            Param("detailed", "with progress", kind=Kind.FLAG),
            Param("page_size", "batches in one answer, at most 100", kind=Kind.NUMBER, wire="limit", within=PAGE_SIZE),
        ),
        returns="Batch",
        is_list=True,
        pages=Pages.OFFSET,
        docs="docs",
        columns=COLUMNS,
        sdk="get_batches",
        facts="2.5",
    ),
    Endpoint(
        *("batch_status", "batches", "status", "count the tasks of a batch by status", "get status of batch", "GET"),
        *("/batches/{batch_name}/status", (NAME,)),
        returns="BatchStatus",
        columns=("status", "pending", "completed", "error", "canceled"),
        bound="Batch.get_status",
        sdk="batch_status",
        facts="2.5",
    ),
    Endpoint(
        *("finalize_batch", "batches", "finalize", "say that a batch has all its tasks", "finalize batch", "POST"),
        *("/batches/{batch_name}/finalize", (NAME,)),
        request=RequestClass.MUTATE,
        returns="Batch",
        asks="people begin to work on the batch, and no task can be added to it",
        columns=COLUMNS,
        bound="Batch.finalize",
        sdk="finalize_batch",
        facts="2.5",
    ),
    Endpoint(
        *("set_batch_metadata", "batches", "set-metadata", "replace the metadata of a batch", "set metadata of batch"),
        *("POST", "/batches/{batch_name}/setMetadata"),
        (NAME, Param("metadata", "the whole new metadata", In.WHOLE, Kind.OBJECT, needed=True)),
        request=RequestClass.MUTATE,
        returns="Batch",
        columns=COLUMNS,
        sdk="set_batch_metadata",
        facts="2.5",
    ),
    Endpoint(
        *("prioritize_batch", "batches", "prioritize", "set the priority of a batch's tasks that nobody has begun"),
        *("prioritize batch", "POST", "/batches/{batch_name}/prioritize"),
        (NAME, Param("priority", PRIORITIES, In.BODY, Kind.NUMBER, needed=True)),
        request=RequestClass.MUTATE,
        facts="2.5",
    ),
)
