"""A pause that the server asked one class of requests for, and the requests that wait meanwhile.

A run waits: its records are sent afterwards. A program that makes a single call would rather know, also if it waited
already when the server asked.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from scalesync.errors import LongPause
from scalesync.events import duration


class Pauses:
    """The pauses of one class. Belongs to one event loop.

    clock: seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = -math.inf
        self._waiting: set[asyncio.Timeout] = set()

    @property
    def left_s(self) -> float:
        """Seconds that are left of the pause; 0 without one."""
        return max(0.0, self._until - self._clock())

    def ask(self, until: float, patience_s: float) -> None:
        """Note a pause until `until` (seconds of the clock), and end the waits of `turn` that it makes too long."""
        self._until = max(self._until, until)
        if self.left_s > patience_s:
            waiting, self._waiting = self._waiting, set()  # those that end must not be ended again
            for wait in waiting:
                wait.reschedule(asyncio.get_running_loop().time())

    async def turn(self, turn: Callable[[], Awaitable[None]], patience_s: float) -> None:
        """Await a turn. Raises LongPause if a pause is, or becomes, longer than this."""
        self._check(patience_s)
        try:
            async with asyncio.timeout(None) as wait:
                self._waiting.add(wait)
                try:
                    await turn()
                finally:
                    self._waiting.discard(wait)
        except TimeoutError:
            self._check(patience_s)
            raise

    def _check(self, patience_s: float) -> None:
        left_s = self.left_s
        if left_s > patience_s:
            words = f"the server asked for a pause; send nothing for another {duration(left_s)}"
            raise LongPause(words, retry_after_s=left_s)
