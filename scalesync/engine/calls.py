"""Single calls that may be repeated: reads, and writes that are safe to send again."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from scalesync.engine.backoff import RetryPolicy, backoff_s
from scalesync.engine.waits import LATE_S, SOON_S, THROTTLED_S, Waits
from scalesync.errors import (
    BudgetUsed,
    ConfigError,
    KeyRefused,
    NotAllowed,
    NotTheApi,
    OutcomeUnknown,
    RemoteError,
    Throttled,
    Unavailable,
)
from scalesync.events import clock, duration

T = TypeVar("T")
FIRST_PATIENCE_S = 15.0


class Change(Generic[T]):
    """One change on the platform that `Caller` may repeat.

    unclear: an earlier attempt may have taken effect. Then a refusal of the repeat says nothing about the change: read
        the thing itself back.
    """

    def __init__(self, change: Callable[[], Awaitable[T]]) -> None:
        self.unclear = False
        self._change = change

    async def __call__(self) -> T:
        """Make the change once. Raises the errors of the call."""
        try:
            return await self._change()
        except OutcomeUnknown:
            self.unclear = True
            raise


class Caller:
    """Repeats calls with full jitter until they succeed or the patience is over, meanwhile `waits` gets the reason.

    patience_s: seconds from a call's first failure to giving up with BudgetUsed; a platform that never answered at all
        gets FIRST_PATIENCE_S, for then the address is likelier wrong than the service down.
    retries: repeated so far.
    """

    def __init__(self, policy: RetryPolicy, waits: Waits, *, patience_s: float) -> None:
        self.retries = 0
        self._policy = policy
        self.patience_s = patience_s
        self._waits = waits
        self._rng = random.Random()
        self._reached = False

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """Raises Refused at once, KeyRefused after a second refusal, BudgetUsed when patience is over.

        Raises ConfigError if, before the platform ever answered, something else than its API did, twice in a row.
        """
        attempt, denied, strays, since = 0, 0, 0, None
        key = object()
        while True:
            try:
                result = await call()
            except NotAllowed as error:
                self._reached = True
                denied += 1
                if denied > 1:
                    raise KeyRefused(
                        f"the platform refused the API key: {error} ({error.status});"
                        " correct the key and run the same command"
                    ) from error
            except (Throttled, Unavailable, OutcomeUnknown) as error:
                strays = strays + 1 if isinstance(error, NotTheApi) and not self._reached else 0
                if strays > 1:
                    raise ConfigError(str(error)) from error
                if strays:  # one such answer may be chance; the second one stops the run
                    self.retries += 1
                    continue
                since = time.monotonic() if since is None else since
                attempt += 1
                await self._wait(error, key, attempt, since)
            else:
                self._reached = True
                self._waits.passes += 1
                if since is not None:
                    self._waits.passed(key)
                return result
            self.retries += 1

    async def _wait(self, error: RemoteError, key: object, attempt: int, since: float) -> None:
        """The time until the next attempt. Raises BudgetUsed when patience is over.

        key: of the call, for `waits`.
        attempt: how many failed.
        since: when the first one did.
        """
        now = time.monotonic()
        patience_s = self.patience_s if self._reached else min(self.patience_s, FIRST_PATIENCE_S)
        asked_s = error.retry_after_s
        if asked_s is not None and now + asked_s > since + patience_s:
            raise too_long(error, asked_s, patience_s) from error
        if now - since > patience_s:
            raise BudgetUsed(f"gave up after {attempt} attempts: {error}; run the same command later") from error
        self._waits.met(
            key,
            str(error),
            patience_s=patience_s,
            asked_s=asked_s,
            tell_after_s=_tell_after_s(error) if self._reached else SOON_S,
            alone=True,
        )
        await anyio.sleep(backoff_s(attempt, base_s=self._policy.base_s, cap_s=self._policy.cap_s, rng=self._rng))


def too_long(why: object, asked_s: float, patience_s: float, left_s: float | None = None) -> BudgetUsed:
    """The end of a run when the server asks for a longer wait than the run's patience.

    why: in the server's words.
    left_s: until the end of that wait, asked_s if it begins now.
    """
    beyond = "longer than the" if asked_s > patience_s else "with what it has waited already more than the"
    return BudgetUsed(
        f"the server asked for {duration(asked_s)} ({why}), {beyond} {duration(patience_s)} that a run waits;"
        f" run the same command after {clock(time.time() + (asked_s if left_s is None else left_s))}"
    )


def _tell_after_s(error: RemoteError) -> float:
    return THROTTLED_S if isinstance(error, Throttled) else LATE_S
