"""Outbox: outcomes on their way to the ledger, made durable in groups."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import anyio

from scalesync.model import Settled

GROUP_INTERVAL_S = 0.02  # at most so long does an outcome wait for company before the fsync


class Outbox:
    """Collects settled rows; one task hands them to the ledger group by group."""

    def __init__(self, write: Callable[[Sequence[Settled]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[Settled] = []
        self._filled = anyio.Event()

    def put(self, settled: Settled) -> None:
        """Queue one outcome; never waits."""
        if not self._waiting:
            self._filled.set()
        self._waiting.append(settled)

    async def run(self) -> None:
        """Write groups for as long as the engine runs."""
        while True:
            await self._filled.wait()
            await self.flush()
            await anyio.sleep(GROUP_INTERVAL_S)

    async def flush(self) -> None:
        """Make everything queued so far durable. Shielded: an outcome in hand is not lost to a cancellation."""
        group, self._waiting = self._waiting, []
        self._filled = anyio.Event()
        if group:
            with anyio.CancelScope(shield=True):
                await self._write(group)
