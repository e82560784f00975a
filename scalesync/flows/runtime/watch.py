"""Watch: checks a few times a second whether a run makes progress, and says when a wait begins and when it ends.

Every flow that uses the platform has one, from before the first request to the end. It also makes the snapshots of
progress, so all of them name the reason of a wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

from scalesync.engine.waits import Stuck, Waits, waiting_of
from scalesync.events import Observer, Progress, Waiting, duration
from scalesync.flows.runtime.gate import RequestGate
from scalesync.flows.runtime.rate_meter import RateMeter
from scalesync.http.network import host_of
from scalesync.http.transport import Counters
from scalesync.text import count

TICK_S = 0.25
UNANSWERED_S = 4.0  # with requests under way; few servers need longer for an answer
CHANGE_S = 30.0  # between two sentences about a wait, if its reason has changed


class Figures(TypedDict, total=False):
    """What a flow knows of its own progress, member by member as in `Progress`."""

    total: int | None
    share: float | None
    failed: int
    written: int | None


@dataclass(slots=True)
class _Reported:
    """A wait that was reported.

    passes: the number of requests that had got through by then.
    at: monotonic time of the last sentence.
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
        self._reported: _Reported | None = None
        self._waited_s = 0.0
        self._last: Progress | None = None
        self._ended = 0
        self._answered_at = waits.clock()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the timer; call it in the loop of the run."""
        loop = asyncio.get_running_loop()

        def tick() -> None:
            self._timer = loop.call_later(TICK_S, tick)
            self.look()

        self._timer = loop.call_later(TICK_S, tick)

    def stop(self) -> None:
        """Stop after a last check whether the wait is over."""
        if self._timer is not None:
            self._timer.cancel()
        if self._reported is not None and self._stuck() is None:
            self._over(self._waits.clock())

    def look(self) -> None:
        """Check the run, and report a change since the last check."""
        stuck = self._stuck()
        if stuck is not None and not stuck.is_due and self._reported is None:
            stuck = None
        now = self._waits.clock()
        if stuck is None:
            self._over(now)
            return
        if self._reported is None:
            self._reported = _Reported(stuck, self._waits.passes, now)
            self._observer.note(str(self._words(stuck)))
        elif now - self._reported.at >= CHANGE_S and _is_other(stuck, self._reported.stuck):
            self._reported.at = now
            self._observer.note(str(self._words(stuck)))
        self._reported.stuck = replace(stuck, since=self._reported.stuck.since)  # requests in flight do not end a wait
        if self._last is not None:
            self._observer.progress(self._waiting_now(self._last))

    @property
    def waiting(self) -> Waiting | None:
        """The reported wait; None if there is none."""
        stuck = None if self._reported is None else self._stuck()
        return None if stuck is None else self._words(stuck)

    @property
    def waited_s(self) -> float:
        """Seconds of all reported waits so far."""
        return self._waited_s + (0.0 if self._reported is None else self._waits.clock() - self._reported.stuck.since)

    def snapshot(
        self,
        phase: str,
        meter: RateMeter,
        done: int,
        *,
        moved: int | None = None,
        left: float | None = None,
        **figures: Unpack[Figures],
    ) -> Progress:
        """The progress of the run now.

        moved: the count for the rate, if it is not `done`.
        left: how many are to come.
        """
        rate = meter.rate(done if moved is None else moved)
        made = Progress(
            phase=phase,
            done=done,
            total=figures.get("total"),
            share=figures.get("share"),
            failed=figures.get("failed", 0),
            throttled=self._counters.throttled,
            rate=rate,
            in_flight=self._gate.in_flight,
            seconds=meter.seconds,
            limit=self._gate.limit(),
            left_s=None if left is None else meter.left_s(left),
            written=figures.get("written"),
        )
        self._last = made
        return self._waiting_now(made)

    def _waiting_now(self, snapshot: Progress) -> Progress:
        """The snapshot during a wait, when no rate, no limit and no remaining time are known."""
        waiting = self.waiting
        if waiting is None:
            return snapshot
        in_flight = self._gate.in_flight
        return replace(snapshot, waiting=waiting, rate=0.0, limit=None, left_s=None, in_flight=in_flight)

    def _stuck(self) -> Stuck | None:
        """The reason of a wait: the last failure, or missing answers if nothing has failed yet."""
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
        return waiting_of(stuck, self._waits.clock(), self._wall())

    def _over(self, now: float) -> None:
        if self._reported is None:
            return
        lasted_s = now - self._reported.stuck.since
        self._waited_s += lasted_s
        if self._waits.passes != self._reported.passes:
            self._observer.note(f"requests get through again, after {duration(lasted_s)}")
        self._reported = None


def _is_other(stuck: Stuck, before: Stuck) -> bool:
    """Whether a wait has another reason or another end than the reported one."""
    moved_s = abs((stuck.until or 0.0) - (before.until or 0.0))
    return stuck.why != before.why or moved_s > CHANGE_S
