"""The settings that all emulated platforms share, frozen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scalesync.sandbox.core.wire.times import system_ms


@dataclass(frozen=True, kw_only=True)
class EmulatorConfig:
    """Settings of one emulator; a platform adds its own.

    Durations are seconds and sizes are bytes, unless the name says otherwise.

    A field marked "guess" sets a behaviour that no platform documents; docs/sandbox.md lists these fields.
    Raises ValueError if a value is out of its range.
    """

    seed: int = 0  # ids, synthetic answers, fault draws

    # Where the state lives. None keeps it in memory; a file survives restart and kill -9.
    data: str | Path | None = None
    data_sync: bool = False  # True: every write is fsynced before its reply
    data_flush_s: float = 0.5  # False: a kill loses at most this many seconds of writes

    clock: Callable[[], int] = system_ms  # milliseconds since the epoch
    monotonic: Callable[[], float] = time.monotonic  # seconds; rate limit and fault windows

    # Keys.
    keys: frozenset[str] | None = None  # None: every key of a kind that the platform has is accepted
    refuse: Mapping[str, int] = field(default_factory=dict)  # key -> 401, 402 or 403

    # Rate limit: `rate` creates per `rate_period_s` for each key; None means no limit.
    rate: float | None = None
    rate_period_s: float = 1.0
    rate_burst: float | None = None  # bucket size; None: the value of `rate`
    rate_all: float | None = None  # the same for all requests together
    rate_text: str = "Too many requests"  # guess
    retry_after: float | None = None  # guess: Retry-After of a 429, in seconds; None sends no header
    retry_after_date: bool = False  # the header as an HTTP date

    # The server itself.
    max_body_bytes: int = 100 * 1024 * 1024
    max_file_bytes: int = 80 * 1024 * 1024  # one uploaded file
    page_gzip: bool = False  # compress replies for clients that accept it
    keepalive_s: float = 75.0
    journal_size: int | None = None  # requests kept; 0 keeps counters only; None is 10,000, or 0 in `serve`

    def __post_init__(self) -> None:
        self._not_negative("rate", "rate_burst", "rate_all")
        if self.rate_period_s <= 0:
            raise ValueError(f"rate_period_s must be above 0, got {self.rate_period_s}")
        wrong = {status for status in self.refuse.values() if not 400 <= status < 600}
        if wrong:
            raise ValueError(f"refuse takes error statuses, got {sorted(wrong)}")

    def _not_negative(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} must not be negative, got {value}")
