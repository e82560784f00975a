"""A quota kept as a few bytes that several processes change in turn: `lease` over anything that can do that."""

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
    """Bytes by name. A change sees what the last one left, whoever made it."""

    async def change(self, name: str, change: Change[T]) -> T:
        """Run `change`, away from the event loop, while nobody else can; None for a name that has no bytes yet.

        Raises OSError, in words for a person, when that is not possible (any more).
        """

    def close(self, name: str, last: Change[object]) -> None:
        """Make one last change, if it takes no time to speak of, and let go. Raises nothing."""


def asker_of(rates: Mapping[RequestClass, Rate | None], rate_all: Rate | None) -> SlotClient:
    """This process, with a name of its own, and the rates that were set."""
    limits = {cls: Limit.of(rate) for cls, rate in rates.items() if rate is not None}
    return SlotClient(secrets.token_hex(4), limits, None if rate_all is None else Limit.of(rate_all))


class SharedLessor:
    """A `Lessor` whose book lies on a shelf under the target's name.

    clock: monotonic, common to all who use the shelf. boot: moments of another boot mean nothing; empty where that
    cannot be told, then a book from the future is another boot's.
    """

    def __init__(
        self,
        shelf: ByteStore,
        name: str,
        asker: SlotClient,
        *,
        clock: Callable[[], float] = time.monotonic,
        boot: str | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._shelf = shelf
        self._name = name
        self._asker = asker
        self._clock = clock
        self._boot = _boot_id() if boot is None else boot
        self._rng = rng or random.Random()

    async def lease(self, cls: RequestClass, n: int, report: Report) -> Grant:
        """Up to `n` slots for attempts of a class; n=0 only reports. Raises OSError when the shelf cannot be used."""

        def change(data: bytes | None) -> tuple[bytes, Grant]:
            book, now = self._open(data)
            grant = allocate(book, now, self._asker, Wish(cls, n, report), self._rng)
            return msgspec.msgpack.encode(book), grant

        return await self._shelf.change(self._name, change)

    def close(self, reports: Iterable[tuple[RequestClass, Report]]) -> None:
        """Hand in what is left and let go of the shelf."""

        def change(data: bytes | None) -> tuple[bytes, None]:
            book, now = self._open(data)
            for cls, report in reports:
                allocate(book, now, self._asker, Wish(cls, 0, report), self._rng)
            return msgspec.msgpack.encode(book), None

        self._shelf.close(self._name, change)

    def _open(self, data: bytes | None) -> tuple[QuotaState, float]:
        """The book as of this boot, and now. The clock is read here, while nobody else changes the book."""
        now = self._clock()
        book = _decode(data)
        if book.boot != self._boot or book.written > now + CLOCK_TOLERANCE_S:
            book = QuotaState(boot=self._boot)
        book.written = now
        return book, now


def _decode(data: bytes | None) -> QuotaState:
    if data is None:
        return QuotaState()
    try:
        book = msgspec.msgpack.decode(data, type=QuotaState)
    except msgspec.DecodeError:
        return QuotaState()
    return book if book.layout == LAYOUT else QuotaState()


def _boot_id() -> str:
    try:
        return BOOT_ID.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
