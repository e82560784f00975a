"""The first use of a job's name binds it: to command, type, project and batch of an import, or the folder of an export.

The sources of an import are not part of this: a later run may read others under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def same(command: str, identity: Mapping[str, Any], other: str, asked: Mapping[str, Any]) -> bool:
    """Whether two uses of a name mean the same job."""
    return (command, _bound(identity)) == (other, _bound(asked))


def _bound(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in identity.items() if name not in {"sources", "seen_from"}}


def sentence(name: str, command: str, identity: Mapping[str, Any], other: str, asked: Mapping[str, Any]) -> str:
    """The message for a name that is bound to something else."""
    return (
        f"job {name} is {described(command, identity)}, and not {described(other, asked)};"
        " choose another --job name for this"
    )


def described(command: str, identity: Mapping[str, Any]) -> str:
    """A job in words, for messages."""
    article = "an" if command[0] in "aeiou" else "a"
    if command != "import":
        return f"{article} {command} into {identity.get('out')}"
    project, batch = identity.get("project"), identity.get("batch")
    into = f" into project {project}" if project else " without a project"
    return f"{article} {command} of type {identity.get('type')}{into}{f' and batch {batch}' if batch else ''}"
