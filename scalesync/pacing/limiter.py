"""A rate limit that holds in every sliding window, from the first grant on.

Two checks in a row: aiolimiter's leaky bucket, kept small, spreads the grants over the period and gives
credit for timers that fire late; a ring of the last grant times makes the count per window exact, which the
bucket alone does not do (a full bucket plus its refill lets almost twice the rate through).
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from aiolimiter import AsyncLimiter

from scalesync.errors import ConfigError

_UNITS = {"s": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}
_NAMES = {1.0: "s", 60.0: "min", 3600.0: "h"}
_RATE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(?:/\s*([a-z]+)\s*)?")

# The far end counts arrivals, not hand-overs: windows are kept a little longer than asked, so that a few
# milliseconds of network jitter do not push a grant of the next window into the last one.
SLACK_SHARE = 0.004
SLACK_MAX_S = 0.02
# Lateness of timers and pauses of the loop up to this long are caught up by the bucket.
CREDIT_S = 0.03
# uvloop's clock ticks in milliseconds: shorter sleeps, and the bucket's own timer at high rates, would spin.
SHORTEST_SLEEP_S = 0.001
_FINE_GAP_S = 0.004


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` requests in any `period_s` seconds. Raises ValueError unless both are finite and above zero."""

    count: float
    period_s: float = 1.0

    def __post_init__(self) -> None:
        if not (0 < self.count < math.inf and 0 < self.period_s < math.inf):
            raise ValueError("a rate needs a count and a period above zero")

    @property
    def per_second(self) -> float:
        """Requests per second, on average."""
        return self.count / self.period_s

    @property
    def window(self) -> tuple[int, float]:
        """Whole grants and the seconds of the window that may hold them; below one, one in a longer window."""
        if self.count < 1:
            return 1, self.period_s / self.count
        return math.floor(self.count), self.period_s

    def __str__(self) -> str:
        return f"{self.count:g}/{_NAMES.get(self.period_s, f'{self.period_s:g}s')}"


def parse_rate(text: str) -> Rate | None:
    """Read `30`, `0.5`, `5/s`, `100/min`, `3600/h`; `auto` is None.

    Raises ConfigError for anything else, zero included.
    """
    plain = text.strip().lower()
    if plain == "auto":
        return None
    match = _RATE.fullmatch(plain)
    period_s = _UNITS.get(match[2] or "s") if match else None
    if match is None or period_s is None or float(match[1]) <= 0:
        raise ConfigError(f'"{text}" is not a rate; write 30, 0.5, 5/s, 100/min, 3600/h or auto')
    return Rate(float(match[1]), period_s)


def kept_window_s(period_s: float) -> float:
    """Seconds of the window that is kept for a period: a little longer than asked."""
    return period_s + min(SLACK_SHARE * period_s, SLACK_MAX_S)


class WindowLimiter:
    """Grants turns, first come first served, so that no window holds more than the rate's whole count.

    rate: None lets everybody pass, except while held.
    clock: seconds, the same pace as the loop's time. Belongs to one event loop. A grant is stamped in the step of the
        task that gets it, so what follows `acquire()` without an await happens at the stamp. A cancelled waiter uses
        nothing up. Source: bucket of aiolimiter 1.3, ring as a sliding-window log.
    """

    __slots__ = (
        "_bucket",
        "_busy",
        "_clock",
        "_count",
        "_hold",
        "_line",
        "_nap",
        "_paid",
        "_rate",
        "_ring",
        "_window_s",
    )

    def __init__(self, rate: Rate | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._line: deque[asyncio.Future[None]] = deque()
        self._ring: deque[float] = deque(maxlen=0)
        self._hold = -math.inf
        self._busy = False  # somebody is at the head: waiting for its grant, or about to take it
        self._paid = False  # the bucket has been paid for a grant that was not taken yet
        self._nap: asyncio.Timeout | None = None
        self.set_rate(rate)

    @property
    def rate(self) -> Rate | None:
        """The rate in force."""
        return self._rate

    @property
    def waiting(self) -> int:
        """Waiters in line behind the head."""
        return len(self._line)

    def set_rate(self, rate: Rate | None) -> None:
        """Change the rate at once, for those who wait too; grants already given count in the new windows."""
        self._rate = rate
        self._bucket: AsyncLimiter | None = None
        if rate is not None:
            count, period_s = rate.window
            self._count, self._window_s = count, kept_window_s(period_s)
            if count > (self._ring.maxlen or 0):  # a lower rate forgets nothing: a higher one may come back
                self._ring = deque(self._ring, maxlen=count)
            per_second = count / period_s
            room = 1 + max(1.0, CREDIT_S * per_second)
            self._bucket = AsyncLimiter(room, room / per_second)
        self._rouse()

    def hold_until(self, when: float) -> None:
        """Let nobody pass before `when` (seconds of the clock); an earlier hold never shortens a later one."""
        self._hold = max(self._hold, when)

    async def acquire(self) -> None:
        """Wait for a turn and take it.

        Costs about a microsecond when nothing has to be waited for.
        """
        if self.passes():
            return
        bucket = self._bucket
        if bucket is not None and not (self._busy or self._line or self._paid):
            now = self._clock()
            if self._wait_s(now) <= 0 and bucket.has_capacity():
                await bucket.acquire()  # has room, so does not suspend
                self._ring.append(now)
                return
        await self.turn()
        self.take()

    def passes(self) -> bool:
        """Whether everybody passes now: no rate is in force, and no hold.

        A waiter that is still in line from before goes as soon as the loop comes to it. To stand behind it would keep
        the line for good: it gives one turn per round of the loop, and those who got one come back.
        """
        return self._bucket is None and self._hold <= self._clock()

    async def turn(self) -> None:
        """Wait until a grant is allowed and ours; `take()` or `release()` must follow.

        Holding the turn of one limiter while waiting for another one's uses nothing up, and what was allowed
        stays allowed: time only adds room. Only a new hold or rate can take it back; see `ready()`.
        """
        if self._busy or self._line:
            await self._queue()
        self._busy = True
        try:
            await self.wait()
        except BaseException:
            self.release()
            raise

    async def wait(self) -> None:
        """Wait until the turn that is held may be taken; returns at once when it may be taken now."""
        while True:
            if (wait_s := self._wait_s(self._clock())) > 0:
                await self._finished(asyncio.sleep(max(wait_s, SHORTEST_SLEEP_S)))
            elif self._paid or (bucket := self._bucket) is None:
                return
            elif bucket.has_capacity():
                await bucket.acquire()
                self._paid = True
                return
            elif bucket.time_period < _FINE_GAP_S * bucket.max_rate:
                await self._finished(asyncio.sleep(SHORTEST_SLEEP_S))
            else:
                self._paid = await self._finished(bucket.acquire())

    def ready(self) -> bool:
        """Whether the turn that is held may still be taken now."""
        return (self._paid or self._bucket is None) and self._wait_s(self._clock()) <= 0

    def take(self) -> None:
        """Stamp the grant now and pass the turn on."""
        self._paid = False
        if self._rate is not None:
            self._ring.append(self._clock())
        if self._line:
            self.release()
        else:
            self._busy = False

    def release(self) -> None:
        """Pass the turn on without a grant."""
        while self._line:
            future = self._line.popleft()
            if not future.done():
                future.set_result(None)
                return
        self._busy = False

    def _wait_s(self, now: float) -> float:
        """Seconds until hold and ring allow a grant; 0 or less means now."""
        wait_s = self._hold - now
        if self._rate is not None and len(self._ring) >= self._count:
            return max(wait_s, self._ring[-self._count] + self._window_s - now)
        return wait_s

    async def _queue(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._line.append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release()  # the turn had just come
            raise

    async def _finished(self, waiting: Coroutine[Any, Any, None]) -> bool:
        """Await; False when `set_rate` broke it off."""
        try:
            async with asyncio.timeout(None) as self._nap:
                await waiting
                return True
        except TimeoutError:
            return False
        finally:
            self._nap = None

    def _rouse(self) -> None:
        """Make the head look again."""
        if self._nap is not None:
            self._nap.reschedule(asyncio.get_running_loop().time())
            self._nap = None
