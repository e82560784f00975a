"""What a running flow tells whoever watches: frozen snapshots and short notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a running job.

    done: records settled (import) or tasks written (export) by this run and earlier ones. share: part of the
    input read or of the total exported, 0..1, None when unknown. failed: failed + invalid + conflicts.
    rate: items per second over the last few seconds. limit: the rate in force ("30/s"), None when none is known.
    """

    phase: str
    done: int
    total: int | None
    share: float | None
    failed: int
    throttled: int
    rate: float
    in_flight: int
    seconds: float
    limit: str | None = None


class Observer(Protocol):
    """Receives progress a few times a second and notes as they come; never raises."""

    def progress(self, snapshot: Progress) -> None:
        """Take a snapshot."""

    def note(self, text: str) -> None:
        """Take one sentence a person should read (fallbacks, waits, warnings)."""


class Silent:
    """An observer that drops everything."""

    def progress(self, snapshot: Progress) -> None:
        """Drop it."""

    def note(self, text: str) -> None:
        """Drop it."""
