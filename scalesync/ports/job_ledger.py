"""The part of the ledger that every run of a job uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from scalesync.model.targets import RequestClass


class JobLedger(Protocol):
    """What every run of a job has. Writes are durable when they return, and fenced by the run's lease."""

    @property
    def name(self) -> str:
        """Of the job."""

    @property
    def was_complete(self) -> bool:
        """Whether the job had nothing left to do when this run began."""

    def holds_lease(self) -> bool:
        """Whether no other run can have taken over. Asks nobody, so it may be called before each request.

        A run that was frozen until its lease was over finds that here before it finds it by its next write.
        """

    async def event(self, key: str | None, event: str, detail: Mapping[str, Any]) -> None:
        """Put one line into the history, durable before the step it announces."""

    async def save_limits(self, learned: Mapping[RequestClass, Mapping[str, object]]) -> None:
        """Keep what this run learned of the target's limits."""

    async def heartbeat(self) -> None:
        """Renew the lease."""

    async def finish(
        self, *, complete: bool, exit_code: int, figures: Mapping[str, Any], message: str | None = None
    ) -> None:
        """End the run, record whether the job is complete, release the lease.

        message: the sentence that the run ends with, "" if there is none. None for work beside the job's own; then end
            and sentence of the run before it still hold.
        """
