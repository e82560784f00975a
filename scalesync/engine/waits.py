"""Waits: why nothing passes, since when, until when. One for each run; the caller fills it, the observer reads it.

A cause lasts until its call gets through. A wait that the server asked for lasts until its end: a request that was in
flight when the server asked proves nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from scalesync.events import Waiting

SOON_S = 1.0  # a wait with a known end, or for an address that never answered, is reported after this time
LATE_S = 3.0  # an outage: by then it is none that passes with the next attempt
THROTTLED_S = 10.0  # a server that answers 429 is there, and a low limit lets nothing pass for some seconds
LONG_S = 3.0  # a longer wait that the server asks for is reported with its end


@dataclass(slots=True)
class _Cause:
    """Times of the monotonic clock.

    passes: the count when it last occurred.
    busy: whether anything depends on it now.
    """

    why: str
    since: float
    met_at: float
    passes: int
    tell_after_s: float
    patience_s: float
    busy: Callable[[], bool]
    alone: bool
    asked_s: float = 0.0
    asked_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Stuck:
    """The current state: since and until by the monotonic clock, `why` in words.

    until: when the next attempt leaves, if asked_s says that the server asked for a wait; else when patience ends, None
        if nobody counts.
    asked_until: the end of the wait that the server asked for.
    is_due: long enough to report.
    beyond: that wait ends after the patience does.
    """

    why: str
    since: float
    until: float | None
    asked_s: float | None
    asked_until: float
    is_due: bool
    beyond: bool


def _always() -> bool:
    return True


class Waits:
    """What keeps a run from making progress.

    passes: how much got through so far; each caller that gets something through adds to it.
    clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.passes = 0
        self.clock = clock
        self._causes: dict[Hashable, _Cause] = {}
        self._seen = 0
        self._moved_at = clock()

    def met(
        self,
        key: Hashable,
        why: str,
        *,
        patience_s: float,
        asked_s: float | None = None,
        tell_after_s: float = LATE_S,
        busy: Callable[[], bool] = _always,
        alone: bool = False,
    ) -> None:
        """An attempt failed.

        key: of the call, or of the kind of calls.
        patience_s: from the first failure in a row to giving up.
        asked_s: as the server said.
        alone: only `passed` ends it; otherwise anything that gets through does.
        """
        now = self._look(self.clock())
        cause = self._causes.get(key)
        if cause is None or self._is_over(cause, now):
            cause = _Cause(why, now, now, self.passes, tell_after_s, patience_s, busy, alone)
            self._causes[key] = cause
        cause.why, cause.met_at, cause.passes, cause.tell_after_s = why, now, self.passes, tell_after_s
        if asked_s is not None and now + asked_s > cause.asked_until:
            cause.asked_s, cause.asked_until = asked_s, now + asked_s

    def passed(self, key: Hashable) -> None:
        """Calls of this kind are answered, or it was given up: it is no longer a cause."""
        self._causes.pop(key, None)

    def stuck(self) -> Stuck | None:
        """What keeps the run from making progress, None if nothing does, or there is nothing to do."""
        now = self._look(self.clock())
        for key in [key for key, cause in self._causes.items() if self._is_over(cause, now)]:
            del self._causes[key]
        causes = [cause for cause in self._causes.values() if cause.busy()]
        if not causes:
            return None
        # The wait that ends last, else what was met last.
        cause = max(causes, key=lambda one: (one.asked_until > now and one.asked_until, one.met_at))
        since = max(min(one.since for one in causes), self._moved_at)
        gives_up = cause.since + cause.patience_s if cause.alone else since + cause.patience_s
        silent_s = now - since
        if cause.asked_until > now and cause.asked_s > LONG_S:
            beyond = cause.asked_until > gives_up
            return Stuck(
                cause.why, since, cause.asked_until, cause.asked_s, cause.asked_until, silent_s >= SOON_S, beyond
            )
        beyond = cause.asked_until > max(now, gives_up)
        return Stuck(cause.why, since, gives_up, None, cause.asked_until, silent_s >= cause.tell_after_s, beyond)

    def _look(self, now: float) -> float:
        if self.passes != self._seen:
            self._seen, self._moved_at = self.passes, now
        return now

    def _is_over(self, cause: _Cause, now: float) -> bool:
        return not cause.alone and cause.passes != self.passes and cause.asked_until <= now


def waiting_of(stuck: Stuck, clock_now: float, wall_now: float) -> Waiting:
    """The wait as people see it: with times of the wall clock."""
    ahead_s = wall_now - clock_now
    until = None if stuck.until is None else stuck.until + ahead_s
    return Waiting(stuck.why, stuck.since + ahead_s, until, stuck.asked_s)
