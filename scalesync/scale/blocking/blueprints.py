"""The methods of `scalesync.scale.methods.blueprints` without async."""

# Written by `python -m tests.scale.generator`; change the table or the generator instead of this file.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.platforms.scale.api.objects import Blueprint
from scalesync.scale.base import Blocking


class Blueprints(Blocking):
    """`scalesync.scale.methods.blueprints.Blueprints` without async."""

    def get_blueprints(self, project_name: str) -> list[Blueprint]:
        """List the blueprints of a project."""
        return self._wait(self._client.get_blueprints(project_name))

    def get_blueprint(self, project_name: str, blueprint_name: str) -> Blueprint:
        """Show one blueprint."""
        return self._wait(self._client.get_blueprint(project_name, blueprint_name))

    def create_blueprint(self, project_name: str, blueprint: Mapping[str, Any]) -> Blueprint:
        """Check a blueprint and give it to a project."""
        return self._wait(self._client.create_blueprint(project_name, blueprint))

    def activate_blueprint(self, project_name: str, blueprint_name: str) -> Blueprint:
        """Make a blueprint the one that new tasks follow."""
        return self._wait(self._client.activate_blueprint(project_name, blueprint_name))
