"""Token buckets: how many requests a key may make."""

from __future__ import annotations

import math
from dataclasses import dataclass
from email.utils import formatdate

from scalesync.sandbox.core.config import EmulatorConfig


@dataclass(slots=True)
class Bucket:
    """`rate` tokens per `period_s`, at most `size` at once; starts full."""

    rate: float
    period_s: float
    size: float
    tokens: float
    at_s: float

    def take(self, now_s: float) -> bool:
        """Take one token; False when there is none."""
        self.tokens = min(self.size, self.tokens + (now_s - self.at_s) * self.rate / self.period_s)
        self.at_s = now_s
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class RateLimit:
    """Limits for each key: on creates, and on all requests."""

    def __init__(self, config: EmulatorConfig) -> None:
        self.config = config
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def admit(self, key: str, is_create: bool) -> bool:
        """Whether the request may pass now. A refused request takes no token."""
        config = self.config
        if config.rate_all is not None and not self._take(key, "all", config.rate_all):
            return False
        return not is_create or config.rate is None or self._take(key, "create", config.rate)

    def _take(self, key: str, kind: str, rate: float) -> bool:
        now_s = self.config.monotonic()
        bucket = self._buckets.get((kind, key))
        if bucket is None:
            burst = self.config.rate_burst if kind == "create" else None
            size = rate if burst is None else burst
            bucket = self._buckets[kind, key] = Bucket(rate, self.config.rate_period_s, size, size, now_s)
        return bucket.take(now_s)


def retry_after(config: EmulatorConfig, wait_s: float) -> str:
    """The header's value: whole seconds, rounded up, or an HTTP date."""
    if config.retry_after_date:
        return formatdate(math.ceil(config.clock() / 1000 + wait_s), usegmt=True)
    return str(math.ceil(wait_s))
