"""The methods of `scalesync.scale.methods.projects` without async."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.platforms.scale.api.objects import TaskTemplate
from scalesync.scale.base import Blocking
from scalesync.scale.blocking.results import Project


class Projects(Blocking):
    """`scalesync.scale.methods.projects.Projects` without async."""

    def create_project(
        self,
        project_name: str,
        task_type: str,
        *,
        params: Mapping[str, Any] | None = None,
        rapid: bool | None = None,
        studio: bool | None = None,
        dataset_id: str | None = None,
        pipeline: str | None = None,
        consensus_attempts: int | None = None,
    ) -> Project:
        """Create a project."""
        found: Project = self._own(
            self._client.create_project(
                project_name,
                task_type,
                params=params,
                rapid=rapid,
                studio=studio,
                dataset_id=dataset_id,
                pipeline=pipeline,
                consensus_attempts=consensus_attempts,
            )
        )
        return found

    def get_project(self, project_name: str) -> Project:
        """Show one project."""
        found: Project = self._own(self._client.get_project(project_name))
        return found

    def get_projects(self, *, archived: bool | None = None) -> list[Project]:
        """List projects."""
        found: list[Project] = self._own(self._client.get_projects(archived=archived))
        return found

    def update_project(self, project_name: str, *, patch: bool | None = None, **params: Any) -> Project:
        """Give a project a new version of its parameters."""
        found: Project = self._own(self._client.update_project(project_name, patch=patch, **params))
        return found

    def set_project_ontology(self, project_name: str, ontology: Mapping[str, Any]) -> Any:
        """Give a project a new version of its ontology."""
        return self._wait(self._client.set_project_ontology(project_name, ontology))

    def get_project_template(self, project_name: str) -> TaskTemplate:
        """Show the template of a chat or text project."""
        return self._wait(self._client.get_project_template(project_name))
