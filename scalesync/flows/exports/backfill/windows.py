"""The windows of a backfill, pure: cut a period into hours, days, weeks or calendar months, minus finished ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from scalesync.errors import ConfigError
from scalesync.times import iso, milliseconds

MOST = 10_000  # windows of one folder: the manifest is written after each
HOUR_MS = 3_600_000
FAR_YEAR, FAR_MS = 9999, 253_370_764_800_000  # its January 1: behind every period that can be asked for
UNIT_MS = {"h": HOUR_MS, "d": 24 * HOUR_MS, "w": 7 * 24 * HOUR_MS}
_WIDTH = re.compile(r"([1-9]\d{0,4})\s*(h|d|w|mo)")


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Tasks with lo <= time < hi, ms since the epoch."""

    lo: int
    hi: int

    @property
    def name(self) -> str:
        """Its start: windows of a folder never overlap."""
        return iso(self.lo)


@dataclass(frozen=True, slots=True)
class Width:
    """How wide windows are.

    unit: h, d, w, or mo for calendar months in UTC.
    """

    count: int
    unit: str

    @classmethod
    def parse(cls, text: str) -> Width:
        """Read `6h`, `1d`, `2w`, `1mo`. Raises ConfigError for anything else."""
        match = _WIDTH.fullmatch(text.strip())
        if match is None:
            raise ConfigError(f"--window takes hours, days, weeks or months such as 6h, 1d, 1w, 1mo, not {text!r}")
        return cls(int(match[1]), match[2])

    def floor(self, ms: int) -> int:
        """The start of the hour, day or month that holds a moment; for weeks of its day."""
        at = _date(ms).replace(minute=0, second=0, microsecond=0)
        if self.unit != "h":
            at = at.replace(hour=0)
        if self.unit == "mo":
            at = at.replace(day=1)
        return milliseconds(at.isoformat())

    def after(self, start: int, number: int) -> int:
        """The moment `number` windows after `start`. The 31st becomes the last day of a shorter month."""
        if self.unit != "mo":
            return start + number * self.count * UNIT_MS[self.unit]
        at = _date(start)
        months = at.year * 12 + at.month - 1 + number * self.count
        if months >= FAR_YEAR * 12:
            return FAR_MS
        first = at.replace(year=months // 12, month=months % 12 + 1, day=1)
        last_day = ((first + timedelta(days=31)).replace(day=1) - timedelta(days=1)).day
        return milliseconds(first.replace(day=min(at.day, last_day)).isoformat())


def _date(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def cut(lo: int, hi: int, width: Width) -> Iterator[Window]:
    """[lo, hi) in windows counted from lo; the last one ends at hi. Raises ConfigError when there are too many."""
    number = 0
    start = lo
    while start < hi:
        number += 1
        if number > MOST:
            raise ConfigError(f"that makes more than {MOST:,} windows; use a longer --window or a shorter period")
        end = min(hi, width.after(lo, number))
        yield Window(start, end)
        start = end


def missing(wanted: Iterable[Window], done: Sequence[Window]) -> list[Window]:
    """The parts of the wanted windows that no finished one covers. Both are in order and do not overlap among
    themselves.
    """
    found: list[Window] = []
    place = 0
    for window in wanted:
        at = window.lo
        while place < len(done) and done[place].lo < window.hi:
            if done[place].hi > at:
                if done[place].lo > at:
                    found.append(Window(at, done[place].lo))
                at = done[place].hi
            if at > window.hi:
                break  # it reaches into the next one
            place += 1
        if at < window.hi:
            found.append(Window(at, window.hi))
    return found
