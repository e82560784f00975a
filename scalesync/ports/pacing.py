"""The pace as the transport sees it."""

from __future__ import annotations

from typing import Protocol

from scalesync.model.targets import RequestClass


class Pacing(Protocol):
    """The transport asks it at the hand-over to the socket and reports the result afterwards."""

    async def acquire(self, request: RequestClass) -> None:
        """Wait until an attempt of this class may leave."""

    def width(self, request: RequestClass) -> int:
        """How many requests of this class may be in flight now."""

    @property
    def in_flight(self) -> int:
        """Requests handed to the network and not yet answered."""
