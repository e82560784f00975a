"""A world for the program that hosts it: documents, projects and batches without a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scalesync.sandbox.core.wire.rawjson import dumps, loads
from scalesync.sandbox.scale.batches import create_batch
from scalesync.sandbox.scale.multistage import calls
from scalesync.sandbox.scale.projects import create_project
from scalesync.sandbox.scale.state.blueprints import Blueprint
from scalesync.sandbox.scale.state.model import Batch, Project, Task
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks.documents import render
from scalesync.sandbox.scale.v2.projects import make_project
from scalesync.sandbox.scale.v2.state import TYPES


class HostedWorld(World):
    """What tests use of a world, in addition to `count`, `counts`, `tasks` and `find`."""

    def add_project(self, name: str, type: str, params: dict[str, Any] | None = None, **options: Any) -> Project:
        """Create a project, as POST /projects does.

        type: a task type, or a GenAI type such as "SFT" for a project of chats.
        options: rapid, studio, datasetId, pipeline, consensus_attempts.
        Raises ApiError.
        """
        if type in TYPES:
            return make_project(self, name, [type])
        return create_project(self, {"name": name, "type": type, "params": params, **options})

    def add_batch(self, project: str, name: str, **options: Any) -> Batch:
        """Create a batch, as POST /batches does.

        options: callback, metadata.
        Raises ApiError.
        """
        return create_batch(self, {"project": project, "name": name, **options})

    def add_blueprint(self, project: str, blueprint: dict[str, Any]) -> Blueprint:
        """Add a blueprint to a multi-stage project, as a request does. Raises ApiError 400, 409, KeyError."""
        return calls.add(self, self.project_names[project], dumps(blueprint))

    def get(self, task_id: str) -> dict[str, Any] | None:
        """The document of an id, or None."""
        task = self.find(task_id)
        return None if task is None else self.document(task)

    def by_unique_id(self, unique_id: str) -> dict[str, Any] | None:
        """The document of a unique_id, or None."""
        seq = self.unique.get(unique_id)
        task = None if seq is None else self.by_seq[seq]
        return None if task is None else self.document(task)

    def document(self, task: Task) -> dict[str, Any]:
        """The task as GET /task/{id} would send it."""
        found: dict[str, Any] = loads(render(self, task))
        return found

    def documents(self) -> Iterator[dict[str, Any]]:
        """Every task's document, oldest first."""
        return (self.document(task) for task in self.tasks)
