"""Outbox: outcomes on their way to the ledger, made durable in groups."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import anyio

from scalesync.model.rows import RowOutcome

# An outcome waits for this many others, or this long, before the fsync. One fsync for each would wear out disks.
# What is lost with the process is looked up by the next run, a hundred rows a call.
GROUP = 512
GROUP_S = 0.2


class Outbox:
    """Collects finished rows; one task hands them to the ledger group by group."""

    def __init__(self, write: Callable[[Sequence[RowOutcome]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[RowOutcome] = []
        self._begun = anyio.Event()
        self._full = anyio.Event()

    def put(self, outcome: RowOutcome) -> None:
        """Queue one outcome; never waits."""
        self._waiting.append(outcome)
        if len(self._waiting) == 1:
            self._begun.set()
        elif len(self._waiting) == GROUP:
            self._full.set()

    async def run(self) -> None:
        """Write groups for as long as the engine runs."""
        while True:
            await self._begun.wait()
            with anyio.move_on_after(GROUP_S):
                await self._full.wait()
            await self.flush()

    async def flush(self) -> None:
        """Make everything queued so far durable. Shielded: an outcome in hand is not lost to a cancellation."""
        group, self._waiting = self._waiting, []
        self._begun, self._full = anyio.Event(), anyio.Event()
        if group:
            with anyio.CancelScope(shield=True):
                await self._write(group)
