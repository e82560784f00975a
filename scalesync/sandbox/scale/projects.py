"""Projects: create, read, list, setParams, setOntology, taskTemplates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.core.wire.rawjson import dumps, join, loads, members, text
from scalesync.sandbox.core.wire.times import iso
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.state.model import Project, Version
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks import create, pipeline
from scalesync.sandbox.scale.tasks.tasktypes import ALIASES, TYPES

TEMPLATED = ("chat", "chatexperimental", "chatlite", "multichat", "textcollection")


def create_project(world: World, body: Mapping[str, Any]) -> Project:
    """Create a project. Raises ApiError 400, or 409, because names are unique in an account."""
    params = body.get("params")
    if params is not None and not isinstance(params, dict):
        raise bad('"params" must be an object')
    raw = None if params is None else {name: dumps(value) for name, value in params.items()}
    return _make(world, body, raw)


def _make(world: World, body: Mapping[str, Any], params: dict[str, bytes] | None) -> Project:
    name, kind = body.get("name"), body.get("type")
    if not isinstance(kind, str) or not kind:
        raise bad('"type" is required')
    kind = ALIASES.get(kind, kind)
    if kind not in TYPES and not world.config.open_types:
        raise bad(f'task type "{kind}" is unknown')
    if not isinstance(name, str) or not name or not create.storable(name):
        raise bad('"name" is required')
    _check_pipeline(world, body)
    if name in world.project_names:
        raise ApiError(409, f'A project with the name "{name}" already exists.')
    number, now = len(world.projects), world.now()
    extras = ("datasetId", "pipeline", "consensus_attempts")
    project = Project(
        number=number,
        id=world.object_id("project", number),
        name=name,
        type=kind,
        created_ms=now,
        rapid=body.get("rapid") is True,
        studio=body.get("studio") is True,
        options={key: dumps(body[key]) for key in extras if body.get(key) is not None},
    )
    if params is not None:
        project.versions.append(Version(now, params))
    world.put_project(project)
    return project


def _check_pipeline(world: World, body: Mapping[str, Any]) -> None:
    name, attempts = body.get("pipeline"), body.get("consensus_attempts")
    names = pipeline.names(world)
    if name not in (None, *names):
        raise bad(f'"pipeline" must be one of [{", ".join(names)}]')
    if attempts is None:
        return
    if not pipeline.has_attempts(world, name):
        raise bad(f'"consensus_attempts" is for the pipeline "{pipeline.CONSENSUS}" only')
    if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
        raise bad('"consensus_attempts" must be a positive integer')


def render_project(project: Project) -> bytes:
    """`type, name, param_history, created_at`; the last entry of the history counts."""
    history = b",".join(
        join(version.params)[:-1]
        + (b"," if version.params else b"")
        + f'"version":{n},"created_at":"{iso(version.created_ms)}"}}'.encode()
        for n, version in enumerate(project.versions)
    )
    options = b"".join(b"," + text(name) + b":" + raw for name, raw in project.options.items())
    return b"".join(
        (
            b'{"type":' + text(project.type) + b',"name":' + text(project.name),
            b',"param_history":[' + history + b"]",
            f',"created_at":"{iso(project.created_ms)}"'.encode(),
            options + b"}",
        )
    )


def find(world: World, call: Call) -> Project:
    """The project that the path names. Raises ApiError 404."""
    project = world.project_names.get(call.path[1])
    if project is None:
        raise ApiError(404, f'Project "{call.path[1]}" not found.')
    return project


def post_project(world: World, call: Call) -> Reply:
    """POST /projects."""
    raw = members(call.body)
    body = {name: loads(value) for name, value in raw.items() if name != "params"}
    params = raw.get("params", b"null")
    if params != b"null" and params[:1] != b"{":
        raise bad('"params" must be an object')
    project = _make(world, body, None if params == b"null" else members(params))
    return Reply(body=render_project(project))


def get_project(world: World, call: Call) -> Reply:
    """GET /projects/{name}."""
    return Reply(body=render_project(find(world, call)))


def list_projects(world: World, call: Call) -> Reply:
    """GET /projects: a bare array without pages; `archived` selects one kind. Source: official SDK, Node SDK."""
    archived = call.flag("archived")
    chosen = [p for p in world.projects if archived is None or p.archived == archived]
    return Reply(body=b"[" + b",".join(map(render_project, chosen)) + b"]")


def set_params(world: World, call: Call) -> Reply:
    """POST /projects/{name}/setParams: a new version; `patch: true` keeps the fields not named (guess)."""
    project = find(world, call)
    params = members(call.body)
    patch = params.pop("patch", b"false") == b"true"
    if patch and project.versions:
        params = {**project.versions[-1].params, **params}
    project.versions.append(Version(world.now(), params))
    world.put_project(project)
    return Reply(body=render_project(project))


def set_ontology(world: World, call: Call) -> Reply:
    """POST /projects/{name}/setOntology `{"ontology": [...]}`: choices unique throughout. Source: Node SDK."""
    project = find(world, call)
    raw = members(call.body).get("ontology", b"null")
    choices = loads(raw)
    if not isinstance(choices, list):
        raise bad('"ontology" must be an array')
    names = list(_names(choices))
    if len(set(names)) != len(names):
        raise bad('"ontology" must contain unique choices')
    project.ontologies.append(raw)
    world.put_project(project)
    return Reply(body=render_project(project))


def _names(choices: list[Any]) -> list[str]:
    found = []
    for choice in choices:
        if isinstance(choice, dict):
            found.append(str(choice.get("choice")))
            found.extend(_names(choice.get("subchoices") or []))
        else:
            found.append(str(choice))
    return found


def task_templates(world: World, call: Call) -> Reply:
    """GET /projects/{name}/taskTemplates, of chat and text collection projects with params; 404 for others.

    Where templates come from is unknown. Here the params of the project are one: `template_variables`, and
    `response_schema` if there is one (guess).
    """
    project = find(world, call)
    if project.type not in TEMPLATED or not project.versions:
        raise ApiError(404, "Task template not found.")
    last = project.versions[-1]
    document = {
        "id": text(project.id),
        "version": b"%d" % len(project.versions),
        "created_at": text(iso(project.versions[0].created_ms)),
        "updated_at": text(iso(last.created_ms)),
        "template_variables": last.params.get("template_variables", b"{}"),
        "auto_onboard_enabled": b"false",
    }
    if "response_schema" in last.params:
        document["response_schema"] = last.params["response_schema"]
    return Reply(body=join(document))
