"""Multi-stage tasks on rails: what a task's blueprint and its own fields must be, known before it is sent."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from scalesync.errors import ConfigError
from scalesync.http.transport import Transport
from scalesync.jsonvalue import kind
from scalesync.model.records import JsonObject
from scalesync.model.targets import RequestClass
from scalesync.platforms.scale import wire as version_1
from scalesync.platforms.scale.containers import ScaleContainers
from scalesync.platforms.scale.multistage import wire
from scalesync.platforms.scale.task_types import TYPES
from scalesync.text import did_you_mean, nearest

OP = "list blueprints"
NO_SUCH_CALL = (404, 405)
SHOWN = 10  # names in a sentence
KNOWN = TYPES[wire.TYPE].names


@dataclass(frozen=True, slots=True)
class Listed:
    """The blueprints of a project: their names, and the active one."""

    names: tuple[str, ...]
    active: str | None


NO_PROJECT = Listed((), None)


class ScaleBlueprints:
    """The blueprints of the account's projects, each project read once in a run."""

    def __init__(self, transport: Transport, containers: ScaleContainers) -> None:
        self._transport = transport
        self._containers = containers
        self._projects: dict[str, Listed | None] = {}

    async def check(self, project: str, name: str | None) -> bool:
        """Check that a project has the blueprint of this name, or an active one without a name.

        Returns False if the service does not list blueprints in the way that is guessed. Raises ConfigError.
        """
        if project not in self._projects:
            self._projects[project] = await self._read(project)
        listed = self._projects[project]
        if listed is None:
            return False
        if listed is NO_PROJECT:
            raise ConfigError(f"there is no project {project!r} in this account")
        if name is not None and name not in listed.names:
            there = f"it has {_some(listed.names)}" if listed.names else "it has none"
            hint = did_you_mean(name, listed.names) or f"; {there}"
            raise ConfigError(f"project {project!r} has no blueprint {name!r}{hint}")
        if name is None and listed.active is None:
            ways = "make one active, or name one with --blueprint" if listed.names else "give it one"
            verb = "activate" if listed.names else "push"
            raise ConfigError(
                f"project {project!r} has no active blueprint, and every {wire.TYPE} task follows one; {ways}"
                f" (scalesync scale blueprints {verb})"
            )
        return True

    async def moved(self, project: str) -> tuple[str, str | None] | None:
        """The active blueprint as it was when the project was read, and now. See `Blueprints`."""
        before, now = self._projects.get(project), await self._read(project)
        if before is None or before.active is None or now is None or now.active == before.active:
            return None
        return before.active, now.active

    async def _read(self, project: str) -> Listed | None:
        path = wire.LIST_PATH.format(project_name=quote(project, safe=""))
        reply = await self._transport.call(RequestClass.LIST, "GET", path)
        if reply.status in NO_SUCH_CALL:
            return None if await self._containers.project(project) is not None else NO_PROJECT
        return _listed(version_1.as_value(version_1.check(reply, OP), OP))

    def wrong(self, body: JsonObject, meant: Collection[str]) -> str:
        """Why a body does not fit the rails, all reasons in one sentence; empty if it does.

        meant: fields that the template or --set name, which the service may know better than this list.
        """
        in_batch = not _is_empty(body.get(wire.BATCH))  # which has a project
        needed = [name for name in wire.REQUIRED if not (in_batch and name == wire.PROJECT)]
        found = [f"{name} is missing" for name in needed if _is_empty(body.get(name))]
        attachments = body.get(wire.ATTACHMENTS)
        if not _is_empty(attachments) and not isinstance(attachments, list):
            cell = isinstance(attachments, str) and attachments.lstrip().startswith("[")
            hint = "; for a cell that holds JSON, name its column under json of the template" if cell else ""
            found.append(f"{wire.ATTACHMENTS} is {kind(attachments)}, not a list{hint}")
        if not isinstance(body.get(wire.BLUEPRINT, ""), str):
            found.append(f"{wire.BLUEPRINT} is {kind(body[wire.BLUEPRINT])}, not a string")
        for name in body:
            if name not in KNOWN and name not in meant:
                near = nearest(name, KNOWN)
                hint = f" (did you mean {near!r}?)" if near is not None else ""
                found.append(f"{name!r} is not a field of {wire.TYPE} tasks{hint}; a template's keep lets it through")
        return "; ".join(found)


def _listed(answer: Any) -> Listed | None:
    """What a list says; None for one of another form than the guessed one, or for a page of one."""
    docs = answer.get(wire.DOCS) if isinstance(answer, dict) else None
    if not isinstance(docs, list) or any(answer.get(name) for name in wire.MORE):
        return None
    named: dict[str, bool] = {}
    for each in docs:
        name, active = (each.get(wire.NAME), each.get(wire.ACTIVE)) if isinstance(each, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(active, bool):
            return None
        named[name] = active
    return Listed(tuple(named), next((name for name, active in named.items() if active), None))


def _some(names: Sequence[str]) -> str:
    """Names for a sentence: the first of them, and in quotes what would not be seen as it is."""
    first = [name if name.isprintable() and name == name.strip() else repr(name) for name in names[:SHOWN]]
    return ", ".join(first) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [])
