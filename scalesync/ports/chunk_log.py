"""Requests under way in the ledger: for records that must not be sent twice, and for services that work later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scalesync.model.chunks import OpenChunk


class ChunkLog(Protocol):
    """One run's requests. Numbers are unique within the target."""

    async def begin(self, keys: Sequence[str]) -> int:
        """Record a request with these records that is about to leave; durable when this returns its number."""

    async def accepted(self, number: int, command: str) -> None:
        """The service works on it under this id; durable when this returns."""

    def give_up(self, number: int) -> None:
        """From now on nobody waits for its answer; written with the next outcomes."""

    def close(self, number: int) -> None:
        """Its outcome is known and on its way to the ledger: forget it with the next outcomes."""

    async def open(self) -> Sequence[OpenChunk]:
        """Requests of earlier runs with records in doubt; the others are forgotten.

        Of all jobs of the target if this run is alone in it, else of its own job. Requests of a killed run count as
        given up from now on, durable when this returns.
        """

    async def end(self) -> None:
        """All requests of this run are over: forget those without records in doubt; the others count as given up."""
