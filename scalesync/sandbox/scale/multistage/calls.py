"""The calls for blueprints, and the blueprint that a create chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.core.wire.rawjson import dumps, join, loads
from scalesync.sandbox.core.wire.rawjson import members as members_of
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.multistage import wire
from scalesync.sandbox.scale.multistage.graph import findings
from scalesync.sandbox.scale.multistage.reading import nearest, plan_of, read
from scalesync.sandbox.scale.state.blueprints import Blueprint
from scalesync.sandbox.scale.state.model import Project
from scalesync.sandbox.scale.state.world import World

TYPE = "multistage"
CLASS = "project"  # of all these calls, for faults and counters


class Route(NamedTuple):
    """guess: what of the call had to be guessed; the page on the sandbox shows it."""

    answer: Callable[[World, Call], Reply]
    guess: str


def add(world: World, project: Project, body: bytes) -> Blueprint:
    """Add a blueprint, the first of a project as the active one; the same one again changes nothing.

    body: a JSON object. Raises ApiError 400 with everything that is wrong with it, 409 if the name has another one.
    """
    if project.type != TYPE:
        raise bad(f'project "{project.name}" is of the type "{project.type}", and "{TYPE}" projects have blueprints')
    raw = {name: value for name, value in members_of(body).items() if name not in wire.OWN}
    wrong: list[str] = []
    plan = read({name: loads(value) for name, value in raw.items()}, wrong)
    wrong += findings(plan)
    if wrong:
        raise bad("; ".join(wrong))
    kept = join(raw)
    known = world.blueprints.find(project.number, plan.name)
    if known is None:
        return world.blueprints.add(project.number, plan.name, kept, world.now())
    if dumps_sorted(known.body) != dumps_sorted(kept):
        raise ApiError(409, f'Project "{project.name}" has another blueprint with the name "{plan.name}".')
    return known


def dumps_sorted(raw: bytes) -> bytes:
    """The same bytes for the same content, whatever the order of members."""
    return dumps(_sorted(loads(raw)))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def choose(world: World, project: Project, name: Any) -> Blueprint | None:
    """The blueprint of a new task: the named one, else the active one; None if the project has none.

    Raises ApiError 400 for a name that the project does not have.
    """
    if name is None:
        return world.blueprints.active(project.number)
    found = world.blueprints.find(project.number, name) if isinstance(name, str) else None
    if found is None:
        names = [blueprint.name for blueprint in world.blueprints.of(project.number)]
        raise bad(f'project "{project.name}" has no blueprint "{name}"{nearest(str(name), names)}')
    return found


def document(world: World, blueprint: Blueprint) -> bytes:
    """A blueprint as a reply shows it."""
    plan = plan_of(blueprint.body)
    left_out = wire.DELIVERY not in members_of(blueprint.body)
    return wire.blueprint_document(
        blueprint.body,
        wire.delivery_member(wire.BY_STAGE if plan.by_stage else wire.BY_TASK) if left_out else b"",
        active=world.blueprints.active(blueprint.project) is blueprint,
        created_ms=blueprint.created_ms,
        version=blueprint.version,
    )


def _project(world: World, call: Call) -> Project:
    project = world.project_names.get(call.path[1])
    if project is None:
        raise ApiError(404, f'Project "{call.path[1]}" not found.')
    return project


def _blueprint(world: World, call: Call) -> Blueprint:
    found = world.blueprints.find(_project(world, call).number, call.path[3])
    if found is None:
        raise ApiError(404, f'Blueprint "{call.path[3]}" not found.')
    return found


def list_blueprints(world: World, call: Call) -> Reply:
    """All blueprints of a project, oldest first. Raises ApiError 404."""
    found = world.blueprints.of(_project(world, call).number)
    return Reply(body=wire.blueprint_list(document(world, blueprint) for blueprint in found))


def get_blueprint(world: World, call: Call) -> Reply:
    """One blueprint. Raises ApiError 404."""
    return Reply(body=document(world, _blueprint(world, call)))


def post_blueprint(world: World, call: Call) -> Reply:
    """Add one. Raises ApiError 400, 404, 409."""
    return Reply(body=document(world, add(world, _project(world, call), call.body)))


def activate(world: World, call: Call) -> Reply:
    """Make one the active one of its project. Raises ApiError 404."""
    blueprint = _blueprint(world, call)
    world.blueprints.activate(blueprint)
    return Reply(body=document(world, blueprint))


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", wire.BLUEPRINTS): Route(list_blueprints, "all of it; oldest first, without pages"),
    ("GET", wire.BLUEPRINT_PATH): Route(get_blueprint, "all of it"),
    ("POST", wire.BLUEPRINTS): Route(
        post_blueprint, "all of it; 400 says everything that is wrong, 409 if the name has another content"
    ),
    ("POST", wire.ACTIVATE): Route(activate, "all of it"),
}
_SPLIT = {(method, tuple(path.split("/"))): route.answer for (method, path), route in ROUTES.items()}


def find(method: str, path: tuple[str, ...]) -> Callable[[World, Call], Reply] | None:
    """The function of a path; None for a path that has nothing to do with blueprints."""
    for (known, parts), handler in _SPLIT.items():
        if known == method and len(parts) == len(path) and all(a in ("*", b) for a, b in zip(parts, path, strict=True)):
            return handler
    return None


def told() -> list[str]:
    """The rows of the table of these calls, as docs/sandbox.md has it."""
    return [f"| `{method} /{path}` | `{CLASS}` | guess: {route.guess} |" for (method, path), route in ROUTES.items()]
