"""The blueprints of all projects. A blueprint never changes, and one of each project is active."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Blueprint(msgspec.Struct, omit_defaults=True):
    """One blueprint of a project; raw JSON as sent."""

    number: int  # place in the order of creation, over all projects
    project: int
    name: str
    version: int  # place among those of its project, from 1
    created_ms: int
    body: bytes
    activated: int = 0  # rises over all projects; the highest one of a project is active, 0 was never


class Blueprints:
    """All blueprints of a world. `save(kind, value)` keeps a change in the data file."""

    def __init__(self, save: Callable[[str, object], None]) -> None:
        self._save = save
        self._turns = 0
        self.all: list[Blueprint] = []

    def of(self, project: int) -> list[Blueprint]:
        """Those of a project, oldest first."""
        return [blueprint for blueprint in self.all if blueprint.project == project]

    def find(self, project: int, name: str) -> Blueprint | None:
        """The blueprint of a project by its name, or None."""
        return next((blueprint for blueprint in self.of(project) if blueprint.name == name), None)

    def active(self, project: int) -> Blueprint | None:
        """The one that new tasks use by default; None if the project has no blueprints."""
        return max(self.of(project), key=lambda blueprint: blueprint.activated, default=None)

    def add(self, project: int, name: str, body: bytes, now_ms: int) -> Blueprint:
        """Add one; the first of a project becomes active."""
        version = len(self.of(project)) + 1
        made = Blueprint(len(self.all), project, name, version, now_ms, body)
        self.all.append(made)
        if version == 1:
            self.activate(made)
        else:
            self._save("blueprint", made)
        return made

    def activate(self, blueprint: Blueprint) -> None:
        """Make it the active one of its project. One record says so, so that no kill leaves two or none."""
        self._turns += 1
        blueprint.activated = self._turns
        self._save("blueprint", blueprint)

    def apply(self, value: msgspec.Raw) -> None:
        """Take over a record of the data file."""
        found = _BLUEPRINT.decode(value)
        self._turns = max(self._turns, found.activated)
        if found.number < len(self.all):
            self.all[found.number] = found
        else:
            self.all.append(found)


_BLUEPRINT = msgspec.msgpack.Decoder(Blueprint)
