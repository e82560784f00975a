"""One `apply` as asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scalesync.flows.runtime.options import ExportOptions


@dataclass(frozen=True, slots=True)
class ChangeOptions:
    """One `apply` as asked for; the tasks are named in exactly one way.

    change: its name, such as "tags add".
    arguments: NAME=VALUE as typed, for all tasks.
    tasks: sources with a row for each task.
    folder: of an export.
    job: an import, whose tasks they are.
    filters: those of an export, None if none was typed.
    plan: a file: a dry run writes it, any other run applies just what it holds.
    name: of this job; None to derive it.
    yes: answers the question about what cannot be taken back.
    """

    change: str
    arguments: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    folder: Path | None = None
    job: str | None = None
    filters: ExportOptions | None = None
    plan: Path | None = None
    name: str | None = None
    dry_run: bool = False
    yes: bool = False
    max_failures: str | None = None
