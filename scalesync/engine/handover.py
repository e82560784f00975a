"""The last check of a configured rate, where an attempt is handed to the socket.

A grant of the limiter is followed by what a connection takes: name look-up, TLS, a slow start. Grants that were well
spaced can arrive at their sockets together. Here the moments of the hand-over themselves are counted.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

import anyio

from scalesync.engine.limiter import SLACK_MAX_S, SLACK_SHARE, Rate
from scalesync.model import RequestClass


class HandoverWindow:
    """No window of the rate's period holds more hand-overs than the rate's count; the rest wait their few ms.

    The window is a little longer than the period, as the limiter's is: what lies between the hand-over and the
    server's own count varies.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        count, period_s = rate.window
        self._moments: deque[float] = deque(maxlen=count)
        self._period_s = period_s + min(SLACK_SHARE * period_s, SLACK_MAX_S)
        self._clock = clock

    async def enter(self) -> None:
        """Wait if need be; the hand-over is counted at the moment of the return."""
        moments = self._moments
        while len(moments) == moments.maxlen and (wait_s := moments[0] + self._period_s - self._clock()) >= 0:
            await anyio.sleep(max(wait_s, 0.0005))
        moments.append(self._clock())


class Handovers:
    """The windows of a run: one for each class that has a configured rate, one for all classes together."""

    def __init__(
        self,
        rates: Mapping[RequestClass, Rate | None],
        rate_all: Rate | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._classes = {cls: HandoverWindow(rate, clock) for cls, rate in rates.items() if rate is not None}
        self._all = None if rate_all is None else HandoverWindow(rate_all, clock)

    def __bool__(self) -> bool:
        return bool(self._classes) or self._all is not None

    async def enter(self, cls: RequestClass) -> None:
        """Pass the window of the class, then the common one."""
        if (window := self._classes.get(cls)) is not None:
            await window.enter()
        if self._all is not None:
            await self._all.enter()
