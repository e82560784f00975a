"""RequestGate: the pace for transport and engine. A stop closes it."""

from __future__ import annotations

from collections.abc import Callable

from scalesync.errors import Unavailable
from scalesync.model.targets import RequestClass
from scalesync.pacing.handover import Handovers
from scalesync.pacing.pace import Pace, Signal
from scalesync.pacing.slot_pool import QuotaPool

CHANGING = frozenset({RequestClass.CREATE, RequestClass.MUTATE})


class RequestGate:
    """Lets attempts pass at the pace's rate, and counts those in flight. Once closed, it lets nothing pass.

    quota: shares set rates with other processes. Without it, or after it was lost, this process alone keeps the rates.
    fenced: requests that change the server pass only while `holds` says that this run has its job. This is the last
        check, because a process may be frozen wherever it waits, and another run may take over meanwhile.
    """

    def __init__(
        self,
        pace: Pace,
        handovers: Handovers,
        shown: RequestClass = RequestClass.CREATE,
        quota: QuotaPool | None = None,
        *,
        fenced: bool = False,
    ) -> None:
        self.closed = False
        self.holds: Callable[[], bool] = lambda: True
        self._fenced = fenced
        self._pace = pace
        self._handovers = handovers
        self._shown = shown
        self._quota = quota

    def admit_now(self, cls: RequestClass) -> bool:
        """Like `acquire`, without a wait, if no rate is in force; False if `acquire` is needed."""
        if self.closed or (self._fenced and not self._may_leave(cls)):
            return False
        if (self._quota is not None and self._quota.counts(cls)) or not self._pace.admit_now(cls):
            return False
        self._pace.enter()
        return True

    async def acquire(self, cls: RequestClass) -> None:
        """Wait until an attempt may leave; the caller must call `release`. Raises Unavailable once closed."""
        quota = self._quota
        if quota is None or not quota.counts(cls):
            await self._pace.acquire(cls)
        else:
            # One at a time, so that a hold of the pace holds back all who are still waiting for a slot.
            async with quota.turn(cls):
                await self._pace.acquire(cls)
                await quota.acquire(cls)
        self._check(cls)
        self._pace.enter()

    def release(self) -> None:
        """End an attempt, whatever its result."""
        self._pace.release()

    @property
    def counts_handovers(self) -> bool:
        """Whether `handover` counts or checks anything."""
        return bool(self._handovers) or self._fenced

    async def handover(self, cls: RequestClass) -> None:
        """Wait for the moment of a request. The connection is there, and the request goes out next."""
        quota = self._quota
        if quota is not None and quota.counts(cls) and await quota.handover(cls):
            self._handovers.note(cls)
        else:
            await self._handovers.enter(cls)
        self._check(cls)

    def _check(self, cls: RequestClass) -> None:
        if self.closed:
            raise Unavailable("the run is stopping")
        if self._fenced and not self._may_leave(cls):
            raise Unavailable("the lease of the job is over, because this run could not renew it in time")

    def _may_leave(self, cls: RequestClass) -> bool:
        return cls not in CHANGING or self.holds()

    def answered(self, cls: RequestClass, status: int, latency_s: float, retry_after_s: float | None) -> None:
        """Feed the controller: 429 asks to slow down; 5xx, 408 and redirects, which no API gives, mean trouble.

        It keeps a wait that the server asked for, whatever the status.
        """
        if status < 300:
            self._pace.report(cls, Signal.OK, latency_s)
            return
        if status == 429:
            self._pace.report(cls, Signal.THROTTLED, latency_s, retry_after_s)
        elif status >= 500 or status == 408 or (status < 400 and cls is not RequestClass.FILES):
            self._pace.report(cls, Signal.TROUBLE, latency_s)
        else:
            self._pace.report(cls, Signal.OK, latency_s)
        if retry_after_s is not None:
            self._pace.hold(cls, retry_after_s)

    def unanswered(self, cls: RequestClass, latency_s: float) -> None:
        """No reply came, or no connection."""
        self._pace.report(cls, Signal.TROUBLE, latency_s)

    def width(self, request: RequestClass) -> int:
        """Requests of this class that may be in flight now."""
        return self._pace.width(request)

    @property
    def in_flight(self) -> int:
        """Requests that left and were not answered."""
        return self._pace.in_flight

    @property
    def peak_in_flight(self) -> int:
        """The most that were in flight at one time."""
        return self._pace.peak_in_flight

    def limit(self) -> str | None:
        """The rate in force in words, None if unknown."""
        rate = self._pace.rate(self._shown)
        return None if rate is None else in_words(rate)

    def learned(self) -> float | None:
        """The limit that was found, requests per second; None before one was met, or if one was set."""
        found = self._pace.learned(self._shown)
        return None if found is None else float(found["rate"])

    def close(self) -> None:
        """Let no further attempt pass."""
        self.closed = True

    def end(self) -> None:
        """Return the unused slots of a common quota at the end of the run."""
        if self._quota is not None:
            self._quota.close()


def in_words(rate: float) -> str:
    """Requests per second as people write them: `1,234/s`, `42.3/s`, `0.5/s`, `6/min`."""
    if rate >= 100:
        return f"{rate:,.0f}/s"
    return f"{rate:.3g}/s" if rate >= 0.1 else f"{rate * 60:.3g}/min" if rate >= 0.1 / 60 else f"{rate * 3600:.3g}/h"
