"""A quota in a few bytes that several processes change in turn, over any store that can do that."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from scalesync.model.targets import RequestClass
from scalesync.pacing.limiter import Rate
from scalesync.pacing.slots import LAYOUT, Grant, Limit, QuotaState, Report, SlotClient, Wish, allocate

T = TypeVar("T")
Change = Callable[[bytes | None], tuple[bytes, T]]

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
CLOCK_TOLERANCE_S = 0.001


class ByteStore(Protocol):
    """Bytes by name. A change sees the result of the last one, from any process."""

    async def change(self, name: str, change: Change[T]) -> T:
        """Run `change` outside the event loop, exclusively. It gets None for a name without bytes.

        Raises OSError with a message for people if the store cannot be used, or no longer.
        """

    def close(self, name: str, last: Change[object]) -> None:
        """Make one last change if it is quick, and close the store. Raises nothing."""


def client_of(rates: Mapping[RequestClass, Rate | None], rate_all: Rate | None) -> SlotClient:
    """The client of this process: a name of its own, and the rates that were set."""
    limits = {cls: Limit.of(rate) for cls, rate in rates.items() if rate is not None}
    return SlotClient(secrets.token_hex(4), limits, None if rate_all is None else Limit.of(rate_all))


class SharedSlots:
    """A `SlotSource` whose state is in a store under the target's name.

    clock: monotonic, the same for all processes that use the store.
    boot: the machine's boot, because moments of another boot mean nothing. If it is unknown (""), a state from the
        future is taken as one of another boot.
    """

    def __init__(
        self,
        store: ByteStore,
        name: str,
        client: SlotClient,
        *,
        clock: Callable[[], float] = time.monotonic,
        boot: str | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._store = store
        self._name = name
        self._client = client
        self._clock = clock
        self._boot = _boot_id() if boot is None else boot
        self._rng = rng or random.Random()

    async def lease(self, cls: RequestClass, n: int, report: Report) -> Grant:
        """See `SlotSource`. Raises OSError if the store cannot be used."""

        def change(data: bytes | None) -> tuple[bytes, Grant]:
            state, now = self._open(data)
            grant = allocate(state, now, self._client, Wish(cls, n, report), self._rng)
            return msgspec.msgpack.encode(state), grant

        return await self._store.change(self._name, change)

    def close(self, reports: Iterable[tuple[RequestClass, Report]]) -> None:
        """Hand in the last reports and close the store."""

        def change(data: bytes | None) -> tuple[bytes, None]:
            state, now = self._open(data)
            for cls, report in reports:
                allocate(state, now, self._client, Wish(cls, 0, report), self._rng)
            return msgspec.msgpack.encode(state), None

        self._store.close(self._name, change)

    def _open(self, data: bytes | None) -> tuple[QuotaState, float]:
        """The state of this boot, and the time. It reads the clock here, while nobody else changes the state."""
        now = self._clock()
        state = _decode(data)
        if state.boot != self._boot or state.written > now + CLOCK_TOLERANCE_S:
            state = QuotaState(boot=self._boot)
        state.written = now
        return state, now


def _decode(data: bytes | None) -> QuotaState:
    if data is None:
        return QuotaState()
    try:
        state = msgspec.msgpack.decode(data, type=QuotaState)
    except msgspec.DecodeError:
        return QuotaState()
    return state if state.layout == LAYOUT else QuotaState()


def _boot_id() -> str:
    try:
        return BOOT_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
