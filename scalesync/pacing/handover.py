"""The last check of a configured rate, at the hand-over of an attempt to the socket.

After a grant of the limiter a connection takes time: name look-up, TLS, a slow start. So well spaced grants can arrive
at their sockets together. This module counts the moments of the hand-over themselves. The limiter is still needed: it
decides before a connection is taken, spreads, and follows what was learned.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from scalesync.model.targets import RequestClass
from scalesync.pacing.limiter import SHORTEST_SLEEP_S, Rate, kept_window_s


class HandoverWindow:
    """The newest hand-overs under one rate: no window of its period may hold more of them than its count.

    The window is a little longer than the period, like the limiter's, because the time between the hand-over and the
    server's own count varies. The line is first come, first served; holding it keeps what was allowed allowed.
    """

    __slots__ = ("_moments", "_window_s", "line")

    def __init__(self, rate: Rate) -> None:
        count, period_s = rate.window
        self.line = asyncio.Lock()
        self._moments: deque[float] = deque(maxlen=count)
        self._window_s = kept_window_s(period_s)

    def wait_s(self, now: float) -> float:
        """Seconds until one more may leave; 0 or less means now."""
        moments = self._moments
        return moments[0] + self._window_s - now if len(moments) == moments.maxlen else 0.0

    def stamp(self, now: float) -> None:
        """One leaves now."""
        self._moments.append(now)


@dataclass(slots=True)
class Handovers:
    """The windows of a run: one for each class that has a configured rate, one for all classes together.

    heads: the class whose window others share.
    clock: seconds, the loop's pace. Belongs to one event loop.
    """

    rates: Mapping[RequestClass, Rate | None]
    rate_all: Rate | None = None
    clock: Callable[[], float] = time.monotonic
    heads: Mapping[RequestClass, RequestClass] = field(default_factory=dict)
    _windows: dict[RequestClass, list[HandoverWindow]] = field(init=False)

    def __post_init__(self) -> None:
        common = [] if self.rate_all is None else [HandoverWindow(self.rate_all)]
        own = {cls: HandoverWindow(rate) for cls, rate in self.rates.items() if rate is not None}
        of_class = {cls: own.get(self.heads.get(cls, cls)) for cls in RequestClass}
        self._windows = {cls: [*([window] if window else []), *common] for cls, window in of_class.items()}

    def __bool__(self) -> bool:
        return any(self._windows.values())

    async def enter(self, cls: RequestClass) -> None:
        """Wait if need be; the hand-over counts, in all its windows, at the moment of the return.

        A cancelled call uses nothing up.
        """
        await self._enter(self._windows[cls], 0)

    def note(self, cls: RequestClass) -> None:
        """Count a hand-over that another module allowed."""
        now = self.clock()
        for window in self._windows[cls]:
            window.stamp(now)

    async def _enter(self, windows: list[HandoverWindow], place: int) -> None:
        """Get to the head of each line in turn, then stamp all at one moment.

        The class's line comes first, and the common one is joined by those alone whose class has room: who waits for
        a class of its own never holds up the others. `note` may fill a window meanwhile, so the head looks at all.
        """
        if place < len(windows):
            async with windows[place].line:
                while (wait_s := self._wait_s(windows[: place + 1])) > 0:
                    await asyncio.sleep(max(wait_s, SHORTEST_SLEEP_S))
                await self._enter(windows, place + 1)
            return
        now = self.clock()
        for window in windows:
            window.stamp(now)

    def _wait_s(self, windows: list[HandoverWindow]) -> float:
        now = self.clock()
        return max(window.wait_s(now) for window in windows)
