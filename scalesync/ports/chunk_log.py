"""Requests under way, as the ledger keeps them: where a record must not be sent twice, or where a service works on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from scalesync.model.chunks import OpenChunk


class ChunkLog(Protocol):
    """One run's requests. Numbers are unique within the target."""

    async def begin(self, keys: Sequence[str]) -> int:
        """A request with these records is about to leave; durable when this returns its number."""

    async def accepted(self, number: int, command: str) -> None:
        """The service works on it under this id; durable when it returns."""

    def give_up(self, number: int) -> None:
        """From now on nobody waits for its answer; written with the next outcomes."""

    def close(self, number: int) -> None:
        """What became of it is known, and on its way to the ledger: it is forgotten with the next outcomes."""

    async def open(self) -> Sequence[OpenChunk]:
        """Those of earlier runs with records in doubt, the others are forgotten.

        Of all jobs of the target where this run is alone in it, else of its own job. Those whose run was killed count
        as given up from now on, and that is durable when this returns.
        """

    async def end(self) -> None:
        """All requests of this run are over: forget those without records in doubt; the others count as given up."""
