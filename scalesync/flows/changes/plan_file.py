"""The plan of a change: what a dry run found, one line for each task, and the way to apply just that.

The first line names the change and the target; each other one is
`{"ref", "unique_id", "arguments", "before", "after"}`, with the members that change.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from scalesync.disk import output_error
from scalesync.errors import ConfigError
from scalesync.flows.changes.targets.target import PAGE, Named, Row, Rows
from scalesync.flows.runtime.threads import in_daemon
from scalesync.jsonvalue import dumps
from scalesync.model.changes import Change
from scalesync.model.records import JsonObject
from scalesync.model.targets import Target
from scalesync.ports.changes import Planned

VERSION = 1


class PlanWriter:
    """Writes a plan beside its name, and gives it the name when all of it is there."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, change: Change, planned: Planned) -> None:
        """One task that would change."""
        line: JsonObject = {"ref": change.ref, "unique_id": change.key, "arguments": change.arguments}
        self._file.write(dumps(line | {"before": planned.before, "after": planned.after}) + b"\n")


@contextmanager
def writing(path: Path, change: str, target: Target) -> Iterator[PlanWriter]:
    """A new plan, which replaces an earlier one at the end. Raises a ScalesyncError if it cannot be written."""
    part = path.with_name(f".part-{path.name}")
    try:
        with open(part, "wb") as file:
            file.write(dumps(_head(change, target)) + b"\n")
            yield PlanWriter(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise output_error(path.parent, error) from error
    finally:
        part.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Raise ConfigError if a plan cannot be written here: it replaces nothing but an earlier plan."""
    if path.is_dir() or not path.parent.is_dir():
        why = "is a folder" if path.is_dir() else "there is no such folder"
        raise ConfigError(f"--plan {path}: {why}; name a file")
    if path.exists() and _head_of(path) is None:
        raise ConfigError(f"--plan {path} is not a plan, and --dry-run does not replace it; name another file")


def _head_of(path: Path) -> Mapping[str, Any] | None:
    """The first line of a plan; None if the file is not one. Raises OSError."""
    with open(path, "rb") as file:
        try:
            head = json.loads(file.readline())
        except ValueError:
            return None
    return head if isinstance(head, Mapping) and head.get("plan") == VERSION else None


def _head(change: str, target: Target) -> JsonObject:
    return {"plan": VERSION, "change": change, "target": str(target)}


class PlanFile:
    """A plan to apply."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def sources(self) -> Sequence[tuple[str, JsonObject]]:
        """The plan."""
        return [(str(self._path), {"name": str(self._path), "path": str(self._path.absolute())})]

    async def rows(self) -> Rows:
        """Every task of the plan. Raises ConfigError for a line that is none."""
        lines = _lines(self._path)
        while page := await in_daemon(lambda: [row for _, row in zip(range(PAGE), lines, strict=False)]):
            yield page


def open_plan(path: Path, change: str, target: Target) -> PlanFile:
    """Check that a plan is of this change and target. Raises ConfigError."""
    try:
        head = _head_of(path)
    except OSError as error:
        raise ConfigError(f"--plan {path}: cannot be read ({error.strerror})") from error
    if head is None:
        raise ConfigError(f"--plan {path} is not a plan; --dry-run --plan FILE writes one")
    for name, wanted in (("change", change), ("target", str(target))):
        if head.get(name) != wanted:
            raise ConfigError(f"--plan {path} is for {head.get(name)}, not for {wanted}")
    return PlanFile(path)


def _lines(path: Path) -> Iterator[Row]:
    with open(path, "rb") as file:
        next(file)
        for number, line in enumerate(file, start=2):
            try:
                value: Any = json.loads(line)
                row = {"arguments": dict(value["arguments"])}
                yield Named(str(value["ref"]), value.get("unique_id"), row, 1, number, dict(value["before"]))
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(f"--plan {path}, line {number}: is not a line of a plan") from error
