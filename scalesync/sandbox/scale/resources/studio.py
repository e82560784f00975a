"""Studio: who works on which projects, and the groups of labelers of a project. Source: official SDK, Node SDK."""

from __future__ import annotations

from typing import Any

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, ok
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.resources.bodies import body_of, text_of, texts_of
from scalesync.sandbox.scale.resources.teams import LABELER, member, people
from scalesync.sandbox.scale.state.account import Group, Teammate
from scalesync.sandbox.scale.state.model import Project
from scalesync.sandbox.scale.state.world import World


def project_of(world: World, name: str) -> Project:
    """A Studio project. Raises ApiError 404, or 400 for a project of another kind (guess)."""
    project = world.project_names.get(name)
    if project is None:
        raise ApiError(404, f'Project "{name}" not found.')
    if not project.studio:
        raise ApiError(400, f'Project "{name}" is not a Studio project.')
    return project


# -- assignments --------------------------------------------------------------------------------


def list_assignments(world: World, _: Call) -> Reply:
    """GET /studio/assignments: e-mail -> names of projects, for all labelers and everybody who has a project."""
    return _assignments(world)


def add_assignments(world: World, call: Call) -> Reply:
    """POST /studio/assignments/add `{"emails", "projects"}`."""
    persons, projects = _asked(world, call)
    for person in persons:
        own = world.account.studio.projects.setdefault(person.email.lower(), [])
        own += [project.number for project in projects if project.number not in own]
    world.account.put_studio()
    return _assignments(world)


def remove_assignments(world: World, call: Call) -> Reply:
    """POST /studio/assignments/remove `{"emails", "projects"}`; ignores assignments that are not there (guess)."""
    persons, projects = _asked(world, call)
    gone = {project.number for project in projects}
    held = world.account.studio.projects
    for person in persons:
        held[person.email.lower()] = [n for n in held.get(person.email.lower(), []) if n not in gone]
    world.account.put_studio()
    return _assignments(world)


def _asked(world: World, call: Call) -> tuple[list[Teammate], list[Project]]:
    body = body_of(call)
    persons = [member(world, email) for email in texts_of(body, "emails")]
    return persons, [project_of(world, name) for name in texts_of(body, "projects")]


def _assignments(world: World) -> Reply:
    held = world.account.studio.projects
    found = {}
    for key, person in people(world).items():
        own = [world.projects[number].name for number in held.get(key, [])]
        if own or person.role == LABELER:
            found[person.email] = own
    return ok(found)


# -- groups -------------------------------------------------------------------------------------


def list_groups(world: World, call: Call) -> Reply:
    """GET /studio/projects/{project}/groups: its groups, then one of one person for each who is assigned."""
    project = project_of(world, call.path[2])
    named = [_render(world, group) for group in groups_of(world, project).values()]
    return ok(named + [_single(world, person) for person in assigned(world, project)])


def create_group(world: World, call: Call) -> Reply:
    """POST /studio/projects/{project}/groups `{"emails", "name"}`; 409 for a name that the project has (guess)."""
    project = project_of(world, call.path[2])
    body = body_of(call)
    name = text_of(body, "name")
    if name in groups_of(world, project):
        raise ApiError(409, f'A group with the name "{name}" already exists.')
    emails = [member(world, email).email for email in texts_of(body, "emails", needed=False)]
    number = len(world.account.groups)
    group = Group(number, world.account.digest("group", number)[:24], project.number, name, emails)
    world.account.put_group(group)
    return ok(_render(world, group))


def update_group(world: World, call: Call) -> Reply:
    """PUT /studio/projects/{project}/groups/{group} `{"add_emails", "remove_emails"}`."""
    project = project_of(world, call.path[2])
    group = groups_of(world, project).get(call.path[4])
    if group is None:
        raise ApiError(404, f'Group "{call.path[4]}" not found.')
    body = body_of(call)
    added = [member(world, email).email for email in texts_of(body, "add_emails", needed=False)]
    removed = {email.lower() for email in texts_of(body, "remove_emails", needed=False)}
    if removed & {email.lower() for email in added}:
        raise bad("nobody can be added and removed at once")
    stays = [email for email in group.emails if email.lower() not in removed]
    group.emails = list(dict.fromkeys((*stays, *added)))
    world.account.put_group(group)
    return ok(_render(world, group))


def groups_of(world: World, project: Project) -> dict[str, Group]:
    """The groups of a project, by name."""
    return {group.name: group for group in world.account.groups.values() if group.project == project.number}


def assigned(world: World, project: Project) -> list[Teammate]:
    """Who works on a project."""
    held = world.account.studio.projects
    return [person for key, person in people(world).items() if project.number in held.get(key, ())]


def _render(world: World, group: Group) -> dict[str, Any]:
    workers = [_worker(world, people(world)[email.lower()]) for email in group.emails]
    document = {"id": group.id, "name": group.name, "numWorkers": len(workers), "isSingleton": False}
    return {**document, "workers": workers}


def _single(world: World, person: Teammate) -> dict[str, Any]:
    worker = _worker(world, person)
    return {
        "id": world.account.digest("single", person.number)[:24],
        "name": person.email,
        "numWorkers": 1,
        "isSingleton": True,
        "workers": [worker],
    }


def _worker(world: World, person: Teammate) -> dict[str, Any]:
    return {"id": world.account.digest("worker", person.number)[:24], "email": person.email}
