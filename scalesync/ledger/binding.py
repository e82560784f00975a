"""The first use of a job's name binds it.

An import: to type, project and batch. An export: to its folder. A job of `apply`: to its change and the arguments for
all tasks. The sources are not part of this: a later run may read others under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.jsonvalue import as_text

_SOURCES = frozenset({"sources", "seen_from", "of"})


def same(command: str, identity: Mapping[str, Any], other: str, asked: Mapping[str, Any]) -> bool:
    """Whether two uses of a name mean the same job."""
    return (command, _bound(identity)) == (other, _bound(asked))


def _bound(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in identity.items() if name not in _SOURCES}


def sentence(name: str, command: str, identity: Mapping[str, Any], other: str, asked: Mapping[str, Any]) -> str:
    """The message for a name that is bound to something else."""
    return (
        f"job {name} is {described(command, identity)}, and not {described(other, asked)};"
        f" choose another {'--name' if other == 'apply' else '--job name'} for this"
    )


def described(command: str, identity: Mapping[str, Any]) -> str:
    """A job in words, for messages."""
    if command == "apply":
        given = [f"{name}={as_text(value)}" for name, value in identity.get("arguments", {}).items()]
        return " ".join(["scalesync apply", str(identity.get("change")), *given])
    article = "an" if command[0] in "aeiou" else "a"
    if command != "import":
        return f"{article} {command} into {identity.get('out')}"
    project, batch = identity.get("project"), identity.get("batch")
    into = f" into project {project}" if project else " without a project"
    return f"{article} {command} of type {identity.get('type')}{into}{f' and batch {batch}' if batch else ''}"
