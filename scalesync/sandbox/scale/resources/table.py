"""The paths of the other nouns, and the function for each. `*` stands for one name."""

from __future__ import annotations

from collections.abc import Callable

from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.scale.resources import audits, files, priorities, quality, studio, teams
from scalesync.sandbox.scale.state.world import World

Handler = Callable[[World, Call], Reply]

PATHS: dict[tuple[str, str], Handler] = {
    ("POST", "files/upload"): files.upload,
    ("POST", "files/import"): files.import_file,
    ("POST", "evaluation_tasks/*"): quality.create_evaluation,
    ("POST", "training_tasks/*"): quality.create_training,
    ("PUT", "audits"): audits.create_audit,
    ("GET", "audits"): audits.list_audits,
    ("GET", "teams"): teams.list_teammates,
    ("POST", "teams/invite"): teams.invite,
    ("POST", "teams/set_role"): teams.set_role,
    ("GET", "studio/assignments"): studio.list_assignments,
    ("POST", "studio/assignments/add"): studio.add_assignments,
    ("POST", "studio/assignments/remove"): studio.remove_assignments,
    ("GET", "studio/projects/*/groups"): studio.list_groups,
    ("POST", "studio/projects/*/groups"): studio.create_group,
    ("PUT", "studio/projects/*/groups/*"): studio.update_group,
    ("GET", "studio/batches"): priorities.list_batches,
    ("PUT", "studio/batches/*"): priorities.assign,
    ("POST", "studio/batches/set_priorities"): priorities.set_priorities,
    ("POST", "studio/batches/reset_priorities"): priorities.reset_priorities,
}
KINDS = {
    "files": "file",
    "evaluation_tasks": "quality",
    "training_tasks": "quality",
    "audits": "audit",
    "teams": "team",
    "studio": "studio",
}
_SPLIT = {(method, tuple(path.split("/"))): handler for (method, path), handler in PATHS.items()}


def find(method: str, path: tuple[str, ...]) -> Handler | None:
    """The function of a path; None if none of these nouns has it."""
    if not path or path[0] not in KINDS:
        return None
    for (known, parts), handler in _SPLIT.items():
        if known == method and len(parts) == len(path) and all(a in ("*", b) for a, b in zip(parts, path, strict=True)):
            return handler
    return None
