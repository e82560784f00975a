"""Times as the APIs write them (ISO 8601, UTC, milliseconds) and as the program counts them (ms since the epoch)."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def parse_iso(text: str) -> datetime:
    """A timestamp such as `2021-06-17T21:46:36.359Z`; without a zone it is UTC. Raises ValueError when it is none."""
    at = datetime.fromisoformat(text.strip())
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def milliseconds(value: object) -> int:
    """A timestamp as ms; 0 when it is none."""
    if not isinstance(value, str):
        return 0
    try:
        return (parse_iso(value) - EPOCH) // _MS
    except ValueError:
        return 0


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


def http_date_s(value: str | None) -> float | None:
    """A date as HTTP headers write it, in seconds since the epoch; without a zone it is UTC. None for nonsense."""
    try:
        when = parsedate_to_datetime(value or "")
        return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def parse_retry_after(value: str | None, sent_s: float) -> float | None:
    """Seconds to wait from a Retry-After header: a number of seconds or an HTTP date.

    sent_s: when the reply was sent by the clock of its sender, seconds since the epoch: a date is counted from there.
        Times past are 0. None without a header or for nonsense. Source: RFC 9110, section 10.2.3; fractions of a second
        are read although it does not allow them.
    """
    text = (value or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        until_s = http_date_s(text)
        return None if until_s is None else max(0.0, until_s - sent_s)
    return max(0.0, seconds) if math.isfinite(seconds) else None
