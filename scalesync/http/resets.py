"""A wait that only the message of a refusal states: "It resets at 00:00 UTC", "Quota exceeded, resets in 3 hours".

The message must be clear: a span with its units, or a time with its zone. The program ignores a message with two
meanings, such as a time without a zone or two different spans; people see it and decide.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

SAYS = frozenset({429, 503})  # statuses whose message may be about a quota
WORDS_BYTES = 2_000
DAY_S = 86_400
JUST_NOW_S = 120  # a time of day that passed less than this ago is today's, not tomorrow's

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": DAY_S}
_LENGTH = r"\d+(?:\.\d+)?\s*(?:seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)(?![a-z])"
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])", re.IGNORECASE)
_SPAN = re.compile(
    r"\b(?:resets?|try again|retry)(?: again)? (?:in|after)(?: about| approximately)?"
    rf" ((?:{_LENGTH}(?:,? and |,? )?)+)",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"\bresets? (?:at|on) (?:(\d{4}-\d\d-\d\d)[T ])?(\d\d?:\d\d(?::\d\d(?:\.\d+)?)?) ?(?:UTC|GMT|Z)(?![a-z0-9+-])",
    re.IGNORECASE,
)


def wait_in_words(status: int, body: bytes, now_s: float) -> float | None:
    """Seconds until the quota resets, according to the message of a refusal; None if it says no clear time.

    now_s: the sender's time, seconds since the epoch.
    """
    if status not in SAYS:
        return None
    text = body[:WORDS_BYTES].decode("utf-8", "replace")
    waits = [_span_s(found[1]) for found in _SPAN.finditer(text)]
    waits += [wait for found in _TIME.finditer(text) if (wait := _until_s(found[1], found[2], now_s)) is not None]
    return waits[0] if waits and max(waits) - min(waits) < 1 else None


def _span_s(text: str) -> float:
    return sum(float(number) * _UNITS[unit.lower()] for number, unit in _PART.findall(text))


def _until_s(day: str | None, time: str, now_s: float) -> float | None:
    now = datetime.fromtimestamp(now_s, UTC)
    hour, _, rest = time.partition(":")
    try:
        at = datetime.fromisoformat(f"{day or now.date().isoformat()}T{int(hour):02}:{rest}+00:00")
    except ValueError:
        return None
    ahead_s = (at - now).total_seconds()
    if day is None and ahead_s < -JUST_NOW_S:
        ahead_s += DAY_S
    return max(0.0, ahead_s)
