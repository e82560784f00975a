"""Projects of version 2: all projects of the account. Only version 1 and the control plane make them."""

from __future__ import annotations

from collections.abc import Sequence

from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.core.wire.rawjson import join
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.projects import create_project
from scalesync.sandbox.scale.state.model import Project
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.v2.documents import render_project
from scalesync.sandbox.scale.v2.query import bounds, project_of, within
from scalesync.sandbox.scale.v2.state import TYPES, GenAI


def make_project(
    world: World, name: str, types: Sequence[str], models: Sequence[str] = (), kind: str = "chat"
) -> Project:
    """Create a project of GenAI types. Raises ApiError 400, 409.

    kind: its task type, which version 1 shows.
    """
    unknown = [one for one in types if one not in TYPES]
    if unknown:
        raise bad(f'"types" must be among {", ".join(TYPES)}')
    project = create_project(world, {"name": name, "type": kind})
    project.types, project.models = list(types), list(models)
    world.put_project(project)
    return project


def get_project(genai: GenAI, call: Call) -> Reply:
    """GET /v2/project."""
    project = project_of(genai, call.first)
    if project is None:
        raise bad('"project_id" or "project_name" is required')
    return Reply(body=render_project(project))


def list_projects(genai: GenAI, call: Call) -> Reply:
    """GET /v2/projects: all of them, without pages."""
    created = bounds(genai, call, "created")
    chosen = [project for project in genai.world.projects if within(project.created_ms, created)]
    return Reply(body=join({"projects": b"[" + b",".join(map(render_project, chosen)) + b"]"}))
