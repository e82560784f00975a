"""When to try again: pure functions and counters. Waiting is done by whoever asks."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

BASE_S = 0.5
CAP_S = 30.0


def backoff_s(attempt: int, *, base_s: float = BASE_S, cap_s: float = CAP_S, rng: random.Random) -> float:
    """Seconds to wait after attempt number `attempt` (from 1) failed: full jitter.

    Drawn evenly from 0 to base_s * 2 ** (attempt - 1), at most cap_s. With the defaults: after attempt 1 from
    0..0.5, then 0..1, 0..2, 0..4, 0..8, 0..16 and from attempt 7 on 0..30.
    Source: "full jitter" of the AWS architecture blog on exponential backoff.
    """
    return rng.uniform(0.0, min(cap_s, math.ldexp(base_s, min(max(attempt, 1) - 1, 64))))


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often one request may be tried, the first attempt included, and the bounds of its back-off (s)."""

    max_attempts: int = 10
    base_s: float = BASE_S
    cap_s: float = CAP_S

    def may_retry(self, attempt: int) -> bool:
        """Whether another attempt may follow number `attempt` (from 1)."""
        return attempt < self.max_attempts

    def wait_s(self, attempt: int, rng: random.Random) -> float:
        """`backoff_s` within this policy."""
        return backoff_s(attempt, base_s=self.base_s, cap_s=self.cap_s, rng=rng)


class RetryBudget:
    """Bounds retries to a share of the requests, so that an outage does not become a storm.

    Each first attempt earns `ratio` of a token, each retry costs one. The purse starts full with `reserve`
    tokens, holds no more than ten times that, and never runs dry for good: `trickle_per_s` comes in as time
    goes by, up to the reserve. So retries <= reserve + ratio * requests + trickle_per_s * seconds.
    Source: retry budgets of Finagle and of gRPC's retry throttling.
    """

    __slots__ = ("_at", "_most", "_ratio", "_reserve", "_tokens", "_trickle_per_s")

    def __init__(self, ratio: float = 0.2, reserve: float = 50.0, trickle_per_s: float = 2.0) -> None:
        if ratio < 0 or reserve < 1 or trickle_per_s <= 0:
            raise ValueError("a retry budget needs ratio >= 0, reserve >= 1 and trickle_per_s > 0")
        self._ratio = ratio
        self._reserve = reserve
        self._trickle_per_s = trickle_per_s
        self._most = 10 * reserve
        self._tokens = reserve
        self._at: float | None = None

    def earn(self, requests: int = 1) -> None:
        """Count first attempts."""
        self._tokens = min(self._most, self._tokens + self._ratio * requests)

    def ask(self, now: float) -> float:
        """Take a token for one retry at `now` (seconds, monotonic).

        Returns 0.0 when it was taken; else the seconds after which to ask again, and nothing was taken.
        """
        if self._at is not None and self._tokens < self._reserve:
            gained = max(0.0, now - self._at) * self._trickle_per_s
            self._tokens = min(self._reserve, self._tokens + gained)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._trickle_per_s


def parse_retry_after(value: str | None, now_epoch_s: float) -> float | None:
    """Seconds to wait from a Retry-After header: a number of seconds or an HTTP date.

    now_epoch_s: the server's time, for dates. Times past are 0. None without a header or for nonsense.
    Source: RFC 9110, section 10.2.3; fractions of a second are read although it does not allow them.
    """
    text = (value or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return _until_date(text, now_epoch_s)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until_date(text: str, now_epoch_s: float) -> float | None:
    try:
        when = parsedate_to_datetime(text)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return max(0.0, when.timestamp() - now_epoch_s)
    except (ValueError, OverflowError):
        return None
