"""What a run of the engine did, and when it gives up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from scalesync.engine.backoff import RetryPolicy


@dataclass(slots=True)
class Tally:
    """What this run did; failed counts refusals, exhausted counts records given up for now."""

    settled: int = 0
    created: int = 0
    failed: int = 0
    conflicts: int = 0
    adopted: int = 0
    exhausted: int = 0
    retries: int = 0
    last_trouble: str = ""


@dataclass(frozen=True, slots=True)
class Nouns:
    """What a run's items and requests are called in messages.

    items: in the plural.
    call: one request.
    remedy: what a person corrects when none of them can work.
    """

    items: str = "records"
    call: str = "create"
    remedy: str = "the options or the template"


@dataclass(slots=True)
class EngineLimits:
    """When a run gives up or ends. Times in seconds.

    stall_s: of nothing but trouble before the run gives up.
    grace_s: how long a stop waits for answers.
    patience_s: how long a single call, such as the first one, is repeated.
    max_failures: called with (failed, finished), true when the run must stop.
    nouns: for messages.
    """

    retry: RetryPolicy = field(default_factory=RetryPolicy)
    stall_s: float = 300.0
    grace_s: float = 5.0
    patience_s: float = 300.0
    max_failures: Callable[[int, int], bool] | None = None
    nouns: Nouns = Nouns()
