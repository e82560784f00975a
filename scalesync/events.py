"""What a running flow reports to its observer: frozen snapshots and short notes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

DAY_S = 24 * 3600
LONGEST_S = 100 * 365.25 * DAY_S  # what a server may ask for, and nobody counts


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why nothing passes. As a string it is one sentence for people, with times of the local clock.

    why: in the server's own words, or a network error.
    since, until: seconds since the epoch. until is when the next attempt leaves if the server asked for a wait of
        asked_s seconds, else when the run gives up; None: unknown.
    """

    why: str
    since: float
    until: float | None
    asked_s: float | None = None

    def __str__(self) -> str:
        if self.asked_s is not None and self.until is not None:
            return f"the server asked for {duration(self.asked_s)} ({self.why}): next attempt at {clock(self.until)}"
        end = "" if self.until is None else f"; trying again until {clock(self.until)}"
        return f"nothing has got through since {clock(self.since)} ({self.why}){end}"


def duration(seconds: float) -> str:
    """`42 s`, `3:05 min`, `2:07 h`, `120 days`."""
    if seconds > LONGEST_S:
        return "more than 100 years"
    whole = round(seconds)
    if whole >= 100 * DAY_S:
        return f"{whole // DAY_S:,} days"
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60:,}:{minutes % 60:02} h"


def clock(epoch_s: float) -> str:
    """`14:32:05` by the local clock; with the date, and without seconds, on another day."""
    try:
        at, today = time.localtime(epoch_s), time.localtime()
    except (ValueError, OverflowError, OSError):  # a wait of ages
        return "a time beyond the calendar"
    return time.strftime("%H:%M:%S" if at[:3] == today[:3] else "%Y-%m-%d %H:%M", at)


@dataclass(frozen=True, slots=True)
class Progress:
    """One look at a running job.

    done: of what `total` and `share` are about: records of the input that are finished, by earlier runs too (import),
        or tasks that this run read (export).
    share: part of the input finished or of the total read, 0..1, None when unknown.
    written: tasks in the files of an export, those of earlier runs included; None elsewhere.
    failed: failed + invalid + conflicts.
    rate: items per second over the last few seconds.
    limit: the rate in force ("30/s"), None when none is known.
    left_s: seconds to the end at this rate, None if unknown or the rate is not steady.
    waiting: why nothing passes, None while something does.
    """

    phase: str
    done: int
    total: int | None
    share: float | None
    failed: int
    throttled: int
    rate: float
    in_flight: int
    seconds: float
    limit: str | None = None
    left_s: float | None = None
    waiting: Waiting | None = None
    written: int | None = None


class Observer(Protocol):
    """Receives progress a few times a second and notes as they come; never raises."""

    def progress(self, snapshot: Progress) -> None:
        """Take a snapshot."""

    def note(self, text: str) -> None:
        """Take one sentence a person should read (fallbacks, waits, warnings)."""


class Silent:
    """An observer that drops everything."""

    def progress(self, snapshot: Progress) -> None:
        """Drop it."""

    def note(self, text: str) -> None:
        """Drop it."""
