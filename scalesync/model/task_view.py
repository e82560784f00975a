"""One task as the program reads it, whatever its platform calls the members."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class TaskView(Protocol):
    """One task.

    ref: the platform's own id.
    key: the record's key, None when the task has none.
    status: as the platform spells it.
    updated_at: when it was changed last, as the platform spells it.
    """

    ref: str
    key: str | None
    status: str | None
    updated_at: str | None

    def get(self, name: str, /) -> Any:
        """A member by its neutral name: those above, project, batch, type, tags, review_status; None when missing."""

    def created_ms(self) -> int:
        """When it was created, ms since the epoch; 0 when missing."""

    def updated_ms(self) -> int:
        """When it was changed last, ms since the epoch; its creation when the service does not say."""

    def times(self) -> Mapping[str, int]:
        """created, updated, completed in ms since the epoch; 0 when missing."""

    def urls(self) -> Iterator[tuple[str, str]]:
        """(place in the task, URL) of each result file."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a task that the service delivers apart, as soon as it is done.

    name: no other part of the task has it.
    at: when it was delivered last, as the service spells it; a correction is another delivery.
    document: its bytes as they came.
    of: what else its line says, such as the task's project.
    """

    name: str
    at: str
    document: bytes
    of: Mapping[str, Any] = field(default_factory=dict)
