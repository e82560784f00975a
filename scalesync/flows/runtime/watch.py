"""Watch: checks a few times a second whether a run makes progress, and informs its observer when it waits and when it
no longer does.

Every flow that uses the platform has one, from before the first request to the end. It also makes the snapshots of
progress, so all of them report what is waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from scalesync.engine.waits import Stuck, Waits, told
from scalesync.events import Observer, Progress, Waiting, duration
from scalesync.flows.runtime.gate import RequestGate
from scalesync.flows.runtime.rate_meter import RateMeter
from scalesync.http.network import host_of
from scalesync.http.transport import Counters
from scalesync.text import count

TICK_S = 0.25
UNANSWERED_S = 4.0  # with requests under way; some servers take their time, and few take that
CHANGE_S = 30.0  # from one sentence about a wait to the next one, where it has become another


@dataclass(slots=True)
class _Told:
    """A wait that was reported.

    passes: what had got through by then.
    at: of the last sentence, by the monotonic clock.
    """

    stuck: Stuck
    passes: int
    at: float


class Watch:
    """waits: filled by the engine and by single calls.
    counters: of the transport.
    where: the address of the API.
    wall: seconds since the epoch.
    """

    def __init__(
        self,
        waits: Waits,
        observer: Observer,
        counters: Counters,
        gate: RequestGate,
        *,
        where: str,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._waits = waits
        self._observer = observer
        self._counters = counters
        self._gate = gate
        self._host = host_of(where)
        self._wall = wall
        self._told: _Told | None = None
        self._waited_s = 0.0
        self._last: Progress | None = None
        self._ended = 0
        self._answered_at = waits.clock()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start, in the loop of the run."""
        loop = asyncio.get_running_loop()

        def tick() -> None:
            self._timer = loop.call_later(TICK_S, tick)
            self.look()

        self._timer = loop.call_later(TICK_S, tick)

    def stop(self) -> None:
        """Stop, except for a last check whether the wait is over."""
        if self._timer is not None:
            self._timer.cancel()
        if self._told is not None and self._stuck() is None:
            self._over(self._waits.clock())

    def look(self) -> None:
        """Report what has changed since the last look."""
        stuck = self._stuck()
        if stuck is not None and not stuck.is_due and self._told is None:
            stuck = None
        now = self._waits.clock()
        if stuck is None:
            self._over(now)
            return
        if self._told is None:
            self._told = _Told(stuck, self._waits.passes, now)
            self._observer.note(str(self._words(stuck)))
        elif now - self._told.at >= CHANGE_S and _is_other(stuck, self._told.stuck):
            self._told.at = now
            self._observer.note(str(self._words(stuck)))
        self._told.stuck = replace(stuck, since=self._told.stuck.since)  # what was in flight is no end of it
        if self._last is not None:
            self._observer.progress(self._waiting_now(self._last))

    @property
    def waiting(self) -> Waiting | None:
        """What is waited for, once it was reported."""
        stuck = None if self._told is None else self._stuck()
        return None if stuck is None else self._words(stuck)

    @property
    def waited_s(self) -> float:
        """Seconds so far in which nothing got through, of the times that were reported."""
        return self._waited_s + (0.0 if self._told is None else self._waits.clock() - self._told.stuck.since)

    def snapshot(
        self,
        phase: str,
        meter: RateMeter,
        done: int,
        *,
        moved: int | None = None,
        total: int | None = None,
        share: float | None = None,
        left: float | None = None,
        failed: int = 0,
    ) -> Progress:
        """One look at the run.

        moved: the count that the rate is about, if that is not `done`.
        left: how many are to come.
        """
        rate = meter.rate(done if moved is None else moved)
        made = Progress(
            phase=phase,
            done=done,
            total=total,
            share=share,
            failed=failed,
            throttled=self._counters.throttled,
            rate=rate,
            in_flight=self._gate.in_flight,
            seconds=meter.seconds,
            limit=self._gate.limit(),
            left_s=None if left is None else meter.left_s(left),
        )
        self._last = made
        return self._waiting_now(made)

    def _waiting_now(self, snapshot: Progress) -> Progress:
        """While nothing passes there is no rate, no limit and no end in sight."""
        waiting = self.waiting
        if waiting is None:
            return snapshot
        in_flight = self._gate.in_flight
        return replace(snapshot, waiting=waiting, rate=0.0, limit=None, left_s=None, in_flight=in_flight)

    def _stuck(self) -> Stuck | None:
        """What the run waits for; if nothing has failed yet, missing answers."""
        now = self._waits.clock()
        counters = self._counters
        under_way = counters.requests - counters.ended
        if counters.ended != self._ended or under_way <= 0:
            self._ended, self._answered_at = counters.ended, now
        stuck = self._waits.stuck()
        if stuck is not None or now - self._answered_at < UNANSWERED_S:
            return stuck
        why = f"{self._host} has not answered, {count(under_way, 'request')} under way"
        return Stuck(why, self._answered_at, None, None, 0.0, is_due=True, beyond=False)

    def _words(self, stuck: Stuck) -> Waiting:
        return told(stuck, self._waits.clock(), self._wall())

    def _over(self, now: float) -> None:
        if self._told is None:
            return
        lasted_s = now - self._told.stuck.since
        self._waited_s += lasted_s
        if self._waits.passes != self._told.passes:
            self._observer.note(f"requests get through again, after {duration(lasted_s)}")
        self._told = None


def _is_other(stuck: Stuck, before: Stuck) -> bool:
    """Whether to report it once more: another reason, or another end."""
    moved_s = abs((stuck.until or 0.0) - (before.until or 0.0))
    return stuck.why != before.why or moved_s > CHANGE_S
