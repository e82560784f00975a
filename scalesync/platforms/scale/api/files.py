"""Files, and tasks that measure annotators: /files, /evaluation_tasks, /training_tasks. facts/scale-api 2.7, 2.8."""

from __future__ import annotations

from scalesync.model.targets import RequestClass
from scalesync.platforms.scale.api.endpoint import Again, Endpoint, In, Kind, Param

COLUMNS = ("id", "attachment_url", "mime_type", "size", "created_at")


def _quality(kind: str) -> Endpoint:
    return Endpoint(
        *(f"create_{kind}_task", f"{kind}-tasks", "create", f"create one {kind} task", f"create {kind} task", "POST"),
        f"/{kind}_tasks/{{task_type}}",
        (
            Param("task_type", "the type of the task", In.PATH, needed=True),
            Param("fields", "what the task says, as for any task", In.REST, Kind.OBJECT),
            Param("expected_response", "the answer that is right", In.BODY, Kind.OBJECT, needed=True),
            Param("initial_response", "the answer that a reviewer is shown first", In.BODY, Kind.OBJECT),
        ),
        request=RequestClass.CREATE,
        again=Again.ONCE,  # no unique_id: a repeat would be a second task
        returns="QualityTask",
        columns=("id", "status", "created_at"),
        sdk=f"create_{kind}_task",
        facts="2.8",
    )


ROWS = (
    Endpoint(
        *("upload_file", "files", "upload", "upload a file for the attachments of tasks", "upload file", "POST"),
        "/files/upload",
        (
            Param("project_name", "the self-serve project that it belongs to", In.FORM),
            Param("display_name", "its name for people", In.FORM),
            Param("reference_id", "a name that no other file has; a repeat is refused then", In.FORM),
            Param("metadata", "what you want to keep with it", In.FORM, Kind.OBJECT),
        ),
        request=RequestClass.FILES,
        again=Again.ONCE,  # with a reference_id, the repeat is refused with 409
        returns="File",
        columns=COLUMNS,
        sdk="upload_file",
        facts="2.7",
    ),
    Endpoint(
        *("import_file", "files", "import", "let the service fetch a file", "import file", "POST", "/files/import"),
        (
            Param("file_url", "where it is", In.BODY, needed=True),
            Param("project_name", "the self-serve project that it belongs to", In.BODY),
            Param("display_name", "its name for people", In.BODY),
            Param("reference_id", "a name that no other file has", In.BODY),
            Param("metadata", "what you want to keep with it", In.BODY, Kind.OBJECT),
        ),
        request=RequestClass.MUTATE,
        again=Again.ONCE,
        returns="File",
        columns=COLUMNS,
        sdk="import_file",
        facts="2.7",
    ),
    _quality("evaluation"),
    _quality("training"),
)
