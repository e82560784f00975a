"""When to try again: pure functions. The caller waits."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

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
    """How often one request may be tried, with the first attempt, and the bounds of its back-off (s)."""

    max_attempts: int = 10
    base_s: float = BASE_S
    cap_s: float = CAP_S

    def may_retry(self, attempt: int) -> bool:
        """Whether another attempt may follow number `attempt` (from 1)."""
        return attempt < self.max_attempts

    def wait_s(self, attempt: int, rng: random.Random) -> float:
        """`backoff_s` within this policy."""
        return backoff_s(attempt, base_s=self.base_s, cap_s=self.cap_s, rng=rng)
