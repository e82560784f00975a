"""Calls about projects, as methods."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.platforms.scale.api.objects import TaskTemplate
from scalesync.scale.base import Base
from scalesync.scale.methods.results import Project


class Projects(Base):
    """Calls about projects."""

    async def create_project(
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
        """Create a project.

        project_name: a name that no other project of the account has.
        task_type: the type of its tasks, for good.
        params: what each task gets that does not say otherwise.
        rapid: a self-serve project.
        studio: a project for your own people.
        dataset_id: a dataset of Nucleus that belongs to it.
        pipeline: who works on a task: standard_task or consensus_task.
        consensus_attempts: how many people label each task of a consensus.
        """
        return await self._object(
            "create_project",
            Project,
            {
                "project_name": project_name,
                "task_type": task_type,
                "params": params,
                "rapid": rapid,
                "studio": studio,
                "dataset_id": dataset_id,
                "pipeline": pipeline,
                "consensus_attempts": consensus_attempts,
            },
        )

    async def get_project(self, project_name: str) -> Project:
        """Show one project.

        project_name: the name of the project.
        """
        return await self._object("get_project", Project, {"project_name": project_name})

    async def get_projects(self, *, archived: bool | None = None) -> list[Project]:
        """List projects.

        archived: only archived ones, or only others; both if it is left out.
        """
        return await self._objects("get_projects", Project, {"archived": archived})

    async def update_project(self, project_name: str, *, patch: bool | None = None, **params: Any) -> Project:
        """Give a project a new version of its parameters.

        project_name: the name of the project.
        params: the parameters.
        patch: keep the parameters that are not named.
        """
        return await self._object(
            "update_project", Project, {"project_name": project_name, "params": params, "patch": patch}
        )

    async def set_project_ontology(self, project_name: str, ontology: Mapping[str, Any]) -> Any:
        """Give a project a new version of its ontology.

        project_name: the name of the project.
        ontology: an object with the list `ontology`, and a `name` if it has one.
        """
        return await self._value("set_project_ontology", {"project_name": project_name, "ontology": ontology})

    async def get_project_template(self, project_name: str) -> TaskTemplate:
        """Show the template of a chat or text project.

        project_name: the name of the project.
        """
        return await self._object("get_project_template", TaskTemplate, {"project_name": project_name})
