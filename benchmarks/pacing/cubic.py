"""botocore's adaptive retry mode, from its published description: CUBIC on the rate, back-off per request.

No limit until the first throttle; then a token bucket whose rate is cut to 0.7 of what was sent (measured in half
seconds, smoothed by 0.8) and grows along 0.4 * (t - k)^3 + w_max, at most twice what is sent. Each refused request
waits a random part of 2 ** attempt seconds, 20 at most, in its own place.
Source: AWS SDKs and Tools Reference Guide, "Retry behavior", adaptive mode; RFC 8312 for the curve.
"""

from __future__ import annotations

import random

from benchmarks.pacing.servers import Answer

BETA, SCALE = 0.7, 0.4
SMOOTH = 0.8
LOWEST = 0.5
LONGEST_BACKOFF_S = 20.0


class Cubic:
    """One client with `width` connections."""

    def __init__(self, width: int = 64) -> None:
        self._width = width
        self._rate: float | None = None
        self._w_max = self._k = self._cut_at = 0.0
        self._measured = 0.0
        self._bucket_at, self._count = 0.0, 0

    def allowed(self, now: float) -> tuple[float | None, int, float]:
        """The fill rate of the token bucket."""
        return self._rate, self._width, float("-inf")

    def sent(self, now: float, in_flight: int) -> None:
        """Measure the rate in steps of half a second."""
        self._count += 1
        step = int(now * 2) / 2
        if step > self._bucket_at:
            rate = self._count / (step - self._bucket_at)
            self._measured = rate * SMOOTH + self._measured * (1 - SMOOTH)
            self._bucket_at, self._count = step, 0

    def answered(self, now: float, sent: float, answer: Answer) -> None:
        """One step of CUBIC per reply."""
        if answer.status == 429:
            used = self._measured if self._rate is None else min(self._measured, self._rate)
            self._w_max, self._cut_at = used, now
            self._k = (self._w_max * (1 - BETA) / SCALE) ** (1 / 3)
            self._rate = max(LOWEST, BETA * used)
        elif self._rate is not None:
            grown = SCALE * (now - self._cut_at - self._k) ** 3 + self._w_max
            self._rate = max(LOWEST, min(grown, 2 * self._measured))

    def busy_s(self, answer: Answer, attempt: int, rng: random.Random) -> float:
        """The back-off of one refused request."""
        if answer.status == 200:
            return 0.0
        return min(LONGEST_BACKOFF_S, rng.random() * 2.0 ** min(attempt - 1, 10))
