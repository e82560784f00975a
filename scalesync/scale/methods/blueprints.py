"""Calls about the blueprints of multi-stage tasks, as methods."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.platforms.scale.api.objects import Blueprint
from scalesync.scale.base import Base


class Blueprints(Base):
    """Calls about the blueprints of multi-stage tasks."""

    async def get_blueprints(self, project_name: str) -> list[Blueprint]:
        """List the blueprints of a project.

        project_name: the name of the project.
        """
        return await self._objects("get_blueprints", Blueprint, {"project_name": project_name})

    async def get_blueprint(self, project_name: str, blueprint_name: str) -> Blueprint:
        """Show one blueprint.

        project_name: the name of the project.
        blueprint_name: the name of the blueprint.
        """
        return await self._object(
            "get_blueprint", Blueprint, {"project_name": project_name, "blueprint_name": blueprint_name}
        )

    async def create_blueprint(self, project_name: str, blueprint: Mapping[str, Any]) -> Blueprint:
        """Check a blueprint and give it to a project.

        project_name: the name of the project.
        blueprint: its name, delivery and stages.
        """
        return await self._object("create_blueprint", Blueprint, {"project_name": project_name, "blueprint": blueprint})

    async def activate_blueprint(self, project_name: str, blueprint_name: str) -> Blueprint:
        """Make a blueprint the one that new tasks follow.

        project_name: the name of the project.
        blueprint_name: the name of the blueprint.
        """
        return await self._object(
            "activate_blueprint", Blueprint, {"project_name": project_name, "blueprint_name": blueprint_name}
        )
