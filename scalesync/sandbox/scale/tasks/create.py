"""POST /task/{type}: check the body, inherit from the project, make the task.

The order of the checks: the shapes of the fields, project and batch, required parameters (attachment first, as
recorded in 2016), unique_id and Idempotency-Key.
"""

from __future__ import annotations

from dataclasses import dataclass

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.rawjson import join, loads, members, text
from scalesync.sandbox.scale.config import SandboxConfig
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.multistage import calls, runs, wire
from scalesync.sandbox.scale.state.blueprints import Blueprint
from scalesync.sandbox.scale.state.model import Batch, Extra, Project, Task
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks import attachments
from scalesync.sandbox.scale.tasks.tasktypes import ALIASES, ARRAYS, COMMON, OBJECT_FIELDS, STRINGS, TYPES, TaskType

MAX_METADATA = 10 * 1024  # Scale docs: Technical Limits
MAX_TAGS = 5  # Node SDK
PRIORITIES = (10, 20, 30)
_STARTS = {"a string": b'"', "an object": b"{", "an array": b"[", "a boolean": b"tf"}


@dataclass(slots=True)
class Parents:
    """The project and batch of a new task, and what it inherits from them."""

    project: Project | None = None
    batch: Batch | None = None
    version: int = -1
    params: dict[str, bytes] | None = None


def make_task(world: World, type_name: str, body: bytes, idempotency_key: str | None) -> Task:
    """Make the task of a create; the caller inserts it. Raises ApiError 400, 404 or 409."""
    config = world.config
    type_name = ALIASES.get(type_name, type_name)
    rules = TYPES.get(type_name)
    if rules is None:
        if not config.open_types:
            raise bad(f'task type "{type_name}" is unknown')
        rules = TaskType()
    sent = {name: raw for name, raw in members(body).items() if raw != b"null" or name not in COMMON}
    _check_shapes(sent)
    parents = _parents(world, sent, type_name)
    blueprint = _blueprint(world, sent, parents, type_name)
    params = _params(sent, parents, rules)
    _check_required(params, rules, parents)
    unique_id = _unique_id(world, sent)
    if idempotency_key and not world.use_key(idempotency_key):
        raise ApiError(409, config.idempotency_text)
    now = world.now()
    task = Task(
        seq=len(world.by_seq),
        created_ms=now,
        updated_ms=now,
        type=type_name,
        body=_fixed(type_name, sent, params, parents, (rules, config, world.is_test)),
        unique_id=unique_id,
        version=parents.version,
        metadata=_metadata(sent),
        tags=tags(loads(sent["tags"])) if "tags" in sent else None,
        priority=_priority(sent),
    )
    if parents.project is not None:
        task.project = parents.project.number
    if parents.batch is not None:
        task.batch = parents.batch.number
    if sent.get("clear_unique_id_on_error") == b"true":
        task.extra = Extra(clear_on_error=True)
    if blueprint is not None:
        runs.attach(task, blueprint)
    has_files = attachments.SCHEME.encode() in task.body
    if has_files:
        attachments.use(world, params)
    if (has_files or config.bad_attachments is not None) and not world.is_test:
        task.bad = bool(attachments.broken(world, params))
    return task


def _check_shapes(sent: dict[str, bytes]) -> None:
    for name, raw in sent.items():
        if name in _SHAPES and raw[:1] not in _STARTS[_SHAPES[name]]:
            raise bad(f'"{name}" must be {_SHAPES[name]}')


_SHAPES = {
    **dict.fromkeys(STRINGS, "a string"),
    **dict.fromkeys(ARRAYS, "an array"),
    **dict.fromkeys(OBJECT_FIELDS, "an object"),
    **dict.fromkeys(("project", "batch", "instruction", "callback_url", "unique_id", "urgency"), "a string"),
    "metadata": "an object",
    "tags": "an array",
    "clear_unique_id_on_error": "a boolean",
}


def _parents(world: World, sent: dict[str, bytes], type_name: str) -> Parents:
    if "project" not in sent and "batch" not in sent:
        return Parents()
    found = Parents()
    missing = world.config.unknown_parent_status
    if "project" in sent:
        name = loads(sent["project"])
        found.project = world.project_names.get(name)
        if found.project is None:
            raise ApiError(missing, f'Project "{name}" not found.')
    if "batch" in sent:
        name = loads(sent["batch"])
        found.batch = world.batch_names.get(name)
        if found.batch is None:
            raise ApiError(missing, f'Batch "{name}" not found.')
        _join_batch(world, found)
    if found.project is not None:
        if found.project.type != type_name:
            raise bad(f'task type "{type_name}" does not match the project\'s type "{found.project.type}"')
        _choose_version(found, found.project, sent.get("project_version"))
    return found


def _join_batch(world: World, found: Parents) -> None:
    batch = found.batch
    if batch is None:
        return
    owner = world.projects[batch.project]
    if found.project not in (None, owner) and world.config.batch_project_conflict == "error":
        raise bad(f'batch "{batch.name}" belongs to project "{owner.name}"')
    if batch.rapid and not batch.staging and world.config.late_tasks == "error":
        raise ApiError(400, f'Batch "{batch.name}" is already finalized.')
    found.project = owner


def _choose_version(found: Parents, project: Project, raw: bytes | None) -> None:
    chosen = len(project.versions) - 1
    if raw is not None:
        wanted = loads(raw)
        if not isinstance(wanted, int) or not -1 <= wanted < len(project.versions):
            raise bad(f'"project_version" must be one of -1..{len(project.versions) - 1}')
        chosen = wanted
    found.version = chosen
    if chosen >= 0:
        found.params = project.versions[chosen].params


def _blueprint(world: World, sent: dict[str, bytes], parents: Parents, type_name: str) -> Blueprint | None:
    """The blueprint of a multi-stage task; its name is not a parameter, so it leaves the body."""
    if type_name != calls.TYPE:
        return None
    raw = sent.pop(wire.BLUEPRINT, b"null")
    return None if parents.project is None else calls.choose(world, parents.project, loads(raw))


def _params(sent: dict[str, bytes], parents: Parents, rules: TaskType) -> dict[str, bytes]:
    params = {name: raw for name, raw in sent.items() if name not in COMMON}
    if parents.params:
        for name, raw in parents.params.items():
            if name not in COMMON:
                params.setdefault(name, raw)
    for name, raw in rules.defaults.items():
        params.setdefault(name, raw)
    return params


def _check_required(params: dict[str, bytes], rules: TaskType, parents: Parents) -> None:
    for group in rules.required:
        if not any(params.get(name, b"null") not in (b"null", b'""', b"[]") for name in group):
            if group == ("attachment", "attachments"):
                raise ApiError(400, "Please include an attachment or attachments parameter.")
            raise bad(f'"{group[0]}" is required')
    if rules.needs_project and parents.project is None:
        raise bad('"project" is required')
    if rules.kinds and "attachment_type" in params:
        kind = loads(params["attachment_type"])
        if not isinstance(kind, str) or kind not in rules.kinds:
            allowed = " ".join(sorted(rules.kinds))
            raise ApiError(400, f"Invalid attachment_type - please choose one of these: {allowed}")


def _unique_id(world: World, sent: dict[str, bytes]) -> str | None:
    if "unique_id" not in sent:
        return None
    unique_id = check_unique_text(loads(sent["unique_id"]))
    check_free(world, unique_id)
    return unique_id


def check_unique_text(value: object) -> str:
    """Check a unique_id and return it. Raises ApiError 400 if it cannot be used."""
    if not isinstance(value, str):
        raise bad('"unique_id" must be a string')
    if not value:
        raise bad('"unique_id" is not allowed to be empty')
    if not storable(value):
        raise bad('"unique_id" must be valid Unicode')
    return value


def storable(text_value: str) -> bool:
    """False for text with a lone surrogate, which has no UTF-8 form."""
    try:
        text_value.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_free(world: World, unique_id: str) -> None:
    """Raise the documented 409 if another task has the id. Source: Scale docs: Avoiding Duplicate Tasks."""
    seq = world.unique.get(unique_id)
    other = None if seq is None else world.by_seq[seq]
    if other is not None:
        holder = world.task_id(other)
        raise ApiError(409, f'The unique_id ("{unique_id}") is already used for a different task ({holder}).')


def _metadata(sent: dict[str, bytes]) -> bytes | None:
    return metadata(sent["metadata"]) if "metadata" in sent else None


def metadata(raw: bytes) -> bytes | None:
    """Check metadata and return it as sent; None for `{}`."""
    if raw[:1] != b"{":
        raise bad('"metadata" must be an object')
    if len(raw) > MAX_METADATA:
        raise bad(f'"metadata" must not be larger than {MAX_METADATA // 1024} KB')
    return None if raw == b"{}" else raw


def tags(value: object, *, limit: int | None = MAX_TAGS) -> tuple[str, ...] | None:
    """Check tags and return each once, in order; None if there are none."""
    if not isinstance(value, list) or not all(isinstance(tag, str) and storable(tag) for tag in value):
        raise bad('"tags" must be an array of strings')
    unique = tuple(dict.fromkeys(value))
    if limit is not None and len(unique) > limit:
        raise bad(f'"tags" must contain less than or equal to {limit} items')
    return unique or None


def _priority(sent: dict[str, bytes]) -> int:
    if "priority" not in sent:
        return 0
    value = loads(sent["priority"])
    if isinstance(value, bool) or value not in PRIORITIES:
        raise bad('"priority" must be one of [10, 20, 30]')
    return int(value)


def _fixed(
    type_name: str,
    sent: dict[str, bytes],
    params: dict[str, bytes],
    parents: Parents,
    rest: tuple[TaskType, SandboxConfig, bool],
) -> bytes:
    rules, config, is_test = rest
    callback = sent.get("callback_url")
    out = (
        b'"type":' + text(type_name),
        b',"callback_url":' + callback if callback else b"",
        b',"instruction":' + _instruction(sent, parents, rules, config),
        b',"params":' + join(params),
        b',"is_test":' + (b"true" if is_test else b"false"),
        b',"urgency":' + sent.get("urgency", b'"standard"'),
    )
    return b"".join(out)


def _instruction(sent: dict[str, bytes], parents: Parents, rules: TaskType, config: SandboxConfig) -> bytes:
    own = sent.get("instruction")
    shared = (parents.params or {}).get("instruction")
    if own is not None and shared is not None and shared[:1] == b'"':
        return own[:-1] + text(config.instruction_separator)[1:-1] + shared[1:]
    return own or shared or text(rules.instruction)
