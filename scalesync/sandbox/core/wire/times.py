"""Times on the wire. The program writes one form (UTC, milliseconds, `Z`) and reads many."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def system_ms() -> int:
    """Wall clock, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def iso(ms: int) -> str:
    """`2021-06-17T21:46:36.359Z`."""
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=4)
def http_date(seconds: int) -> str:
    """The `Date` header for a second since the epoch."""
    return formatdate(seconds, usegmt=True)


def parse_us(text: str) -> int:
    """Parse an ISO 8601 time into microseconds since the epoch. A naive time is UTC; a date is its midnight.

    Raises ValueError for anything else. Source: official SDK (`YYYY-MM-DD HH:MM:SS.mmmmmm`, naive as UTC)
    and Node SDK (`2021-04-25`, `2021-04-25T03:14:15-07:00`).
    """
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
