"""Deadlines of many exchanges under one timer. A timer for each exchange would cost more than the rest of a call."""

from __future__ import annotations

import asyncio
from typing import Protocol

from scalesync.http.exchange import Deadlines

SHORTEST_S, LONGEST_S = 0.02, 1.0


class Watched(Protocol):
    """Something with a deadline."""

    def look(self, now: float) -> bool:
        """Return whether it is in time at `now` (the loop's clock). A late one stops itself first."""


class DeadlineWatch:
    """Checks everything in `watched` eight times within the shortest deadline, but at most every 20 ms."""

    def __init__(self, deadlines: Deadlines) -> None:
        self.watched: set[Watched] = set()
        shortest = min(deadlines.connect, deadlines.first_byte, deadlines.attempt)
        self._every_s = min(LONGEST_S, max(SHORTEST_S, shortest / 8))
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the timer; call it in the loop of the exchanges."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._every_s, self._check, loop)

    def stop(self) -> None:
        """Stop the timer; the exchanges continue."""
        if self._timer is not None:
            self._timer.cancel()

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for item in [item for item in self.watched if not item.look(now)]:
            self.watched.discard(item)
        self._timer = loop.call_later(self._every_s, self._check, loop)
