"""Version 2, for chats: /v2/task, /v2/batch, /v2/project and what is delivered of them. facts/scale-api 2.10."""

from __future__ import annotations

from scalesync.model.targets import RequestClass
from scalesync.platforms.scale.api.endpoint import PAGE_SIZE, Again, Endpoint, In, Kind, Pages, Param

FACTS = "2.10"
PROJECT = (Param("project_id", "the id of the project"), Param("project_name", "the name of the project"))
BATCH = (Param("batch_id", "the id of the batch"), Param("batch_name", "the name of the batch"))
ONE_PROJECT = ("project_id", "project_name")
ONE_BATCH = ("batch_id", "batch_name")
EXPAND = Param("expand", "objects to show instead of their ids, such as project", kind=Kind.TEXTS)
OPTS = Param("opts", "what else to show: annotation_details, attachment_details, model_parameters, submissions",
             kind=Kind.TEXTS)  # fmt: skip
COMPLETED = (
    Param("completed_after", "completed after this time", kind=Kind.TIME),
    Param("completed_before", "completed before this time", kind=Kind.TIME),
)
CREATED = (
    Param("created_after", "created after this time", kind=Kind.TIME),
    Param("created_before", "created before this time", kind=Kind.TIME),
)
DELIVERED = (
    Param("delivered_after", "delivered after this time", kind=Kind.TIME),
    Param("delivered_before", "delivered before this time", kind=Kind.TIME),
)
PAGE = Param("page_size", "how many in one answer, at most 100", kind=Kind.NUMBER, wire="limit", within=PAGE_SIZE)
MERGE = Param("merge", "merge it into what is there, instead of replacing that", In.BODY, Kind.FLAG)
METADATA = Param("metadata", "the metadata", In.BODY, Kind.OBJECT, needed=True)
TASK = ("task_id", "status", "project", "batch", "created_at", "completed_at")
BATCHES = ("id", "name", "status", "project", "created_at")
PROJECTS = ("id", "name", "types", "created_at")


def in_body(*params: Param) -> tuple[Param, ...]:
    """The same arguments as members of a body."""
    return tuple(Param(param.name, param.words, In.BODY, param.kind) for param in params)


def changed_batch(verb: str, words: str, asks: str, *more: Param, returns: str = "V2BatchChange") -> Endpoint:
    """A change of one batch, which is named by its id or its name."""
    name = {"set-metadata": "v2_set_batch_metadata"}.get(verb, f"v2_{verb}_batch")
    path = {"set-metadata": "metadata"}.get(verb, verb)
    return Endpoint(
        *(name, "genai-batches", verb, words, f"{verb} batch", "POST", f"/v2/batch/{path}"),
        (*in_body(*BATCH), *more),
        any_of=(ONE_BATCH,),
        version="v2",
        request=RequestClass.MUTATE,
        returns=returns,
        asks=asks,
        columns=BATCHES,
        sdk=f"v2.{name.removeprefix('v2_')}",
        facts=FACTS,
    )


TASKS = (
    Endpoint(
        *("v2_create_chat_task", "genai-tasks", "create", "create one chat task", "create chat task", "POST"),
        "/v2/task/chat",
        (
            *in_body(*PROJECT, *BATCH),
            Param("template_variables", "what the project's template asks for", In.BODY, Kind.OBJECT),
            Param("metadata", "what you want to keep with it", In.BODY, Kind.OBJECT),
            Param("callback_url", "what hears when the task is done", In.BODY),
        ),
        any_of=(ONE_PROJECT,),
        version="v2",
        request=RequestClass.CREATE,
        again=Again.ONCE,  # no unique_id: a repeat would be a second task
        returns="V2Task",
        asks="this creates a task, which costs money with a live key",
        columns=TASK,
        sdk="v2.create_chat_task",
        facts=FACTS,
    ),
    Endpoint(
        *("v2_get_task", "genai-tasks", "get", "show one chat task", "get task", "GET", "/v2/task"),
        (Param("task_id", "the id of the task", needed=True), EXPAND, OPTS),
        version="v2",
        returns="V2Task",
        columns=TASK,
        sdk="v2.get_task",
        facts=FACTS,
    ),
    Endpoint(
        *("v2_get_tasks", "genai-tasks", "list", "list chat tasks of a project or batch", "list tasks", "GET"),
        "/v2/tasks",
        (
            *PROJECT,
            *BATCH,
            Param("status", "only tasks in this status: pending, completed, canceled, error, deleted"),
            *COMPLETED,
            PAGE,
            EXPAND,
            OPTS,
        ),
        any_of=((*ONE_PROJECT, *ONE_BATCH),),
        version="v2",
        returns="V2Task",
        is_list=True,
        pages=Pages.CURSOR,
        docs="tasks",
        columns=TASK,
        sdk="v2.get_tasks",
        facts=FACTS,
    ),
    Endpoint(
        *("v2_set_task_metadata", "genai-tasks", "set-metadata", "set the metadata of a chat task"),
        *("set metadata of task", "POST", "/v2/task/metadata"),
        (Param("task_id", "the id of the task", In.BODY, needed=True), METADATA, MERGE),
        version="v2",
        request=RequestClass.MUTATE,
        returns="V2Task",
        columns=TASK,
        sdk="v2.set_task_metadata",
        facts=FACTS,
    ),
    Endpoint(
        *("v2_get_annotation", "genai-tasks", "annotation", "show one annotation", "get annotation", "GET"),
        "/v2/annotation",
        (Param("annotation_id", "the id of the annotation", needed=True),),
        version="v2",
        returns="V2Annotation",
        columns=("id", "key", "type", "value"),
        sdk="v2.get_annotation",
        facts=FACTS,
    ),
    Endpoint(
        *("v2_get_schema", "genai-tasks", "schema", "show the JSON Schema of delivered answers", "get schema", "GET"),
        "/v2/schema",
        (Param("schema_id", "the id of the schema, as delivered tasks name it", needed=True),),
        version="v2",
        returns="V2Schema",
        sdk="v2.get_schema",
        facts=FACTS,
    ),
)
BATCH_ROWS = (
    Endpoint(
        *("v2_create_batch", "genai-batches", "create", "create a batch of chats", "create batch", "POST"),
        "/v2/batch",
        (
            Param("name", "a name that no other batch of the account has", In.BODY, needed=True),
            *in_body(*PROJECT),
            Param("callback", "a URL or an address of e-mail that hears when the batch is done", In.BODY),
            Param("staging_batch", "wait for `finalize` before people begin", In.BODY, Kind.FLAG),
            Param("metadata", "what you want to keep with it", In.BODY, Kind.OBJECT),
        ),
        any_of=(ONE_PROJECT,),
        version="v2",
        request=RequestClass.MUTATE,
        again=Again.NAMED,
        named_by="name",
        returns="V2Batch",
        columns=BATCHES,
        sdk="v2.create_batch",
        facts=FACTS,
    ),
    Endpoint(
        *("v2_get_batch", "genai-batches", "get", "show one batch of chats", "get batch", "GET", "/v2/batch"),
        (*BATCH, EXPAND),
        any_of=(ONE_BATCH,),
        version="v2",
        returns="V2Batch",
        columns=BATCHES,
        sdk="v2.get_batch",
        facts=FACTS,
    ),
    Endpoint(
        *("v2_get_batches", "genai-batches", "list", "list batches of chats", "list batches", "GET", "/v2/batches"),
        (
            *PROJECT,
            Param("status", "only batches in this status: staging, in_progress, completed, paused, cancelled"),
            *CREATED,
            *COMPLETED,
            PAGE,
            EXPAND,
        ),
        version="v2",
        returns="V2Batch",
        is_list=True,
        pages=Pages.CURSOR,
        docs="batches",
        columns=BATCHES,
        sdk="v2.get_batches",
        facts=FACTS,
    ),
    changed_batch(
        *("finalize", "say that a batch has all its tasks", "people begin to work on the batch"), returns="V2Batch"
    ),
    changed_batch("pause", "pause the tasks of a batch that nobody has begun", "people stop to get tasks of the batch"),
    changed_batch("resume", "resume a batch that was paused", ""),
    changed_batch(
        *("cancel", "cancel the tasks of a batch that nobody has begun"), "a batch that is cancelled cannot be resumed"
    ),
    changed_batch("set-metadata", "set the metadata of a batch", "", METADATA, MERGE, returns="V2Batch"),
)
PROJECT_ROWS = (
    Endpoint(
        *("v2_get_project", "genai-projects", "get", "show one chat project", "get project", "GET", "/v2/project"),
        PROJECT,
        any_of=(ONE_PROJECT,),
        version="v2",
        returns="V2Project",
        columns=PROJECTS,
        sdk="v2.get_project",
        facts=FACTS,
    ),
    Endpoint(
        *("v2_get_projects", "genai-projects", "list", "list chat projects", "list projects", "GET", "/v2/projects"),
        CREATED,
        version="v2",
        returns="V2Project",
        is_list=True,
        docs="projects",
        columns=PROJECTS,
        sdk="v2.get_projects",
        facts=FACTS,
    ),
)
ROWS = (*TASKS, *BATCH_ROWS, *PROJECT_ROWS)
