"""Times as the APIs write them (ISO 8601, UTC, milliseconds) and as the program counts them (ms since the epoch)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(value: object) -> int:
    """A timestamp such as `2021-06-17T21:46:36.359Z` as ms; without a zone it is UTC; 0 when it is none."""
    if not isinstance(value, str):
        return 0
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        return 0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - EPOCH) // timedelta(milliseconds=1)


def iso(ms: int) -> str:
    """Milliseconds as a timestamp."""
    at = EPOCH + timedelta(milliseconds=ms)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_ms() -> int:
    """The local clock, ms since the epoch."""
    return time.time_ns() // 1_000_000


def now_iso() -> str:
    """The local clock, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
