"""What the two ways of making an HTTP exchange share: the gate, their deadlines, their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from yarl import URL

from scalesync.errors import OutcomeUnknown, Refused
from scalesync.model.targets import RequestClass
from scalesync.times import http_date_s, parse_retry_after

USER_AGENT = "scalesync/0.1.0"
# The longest header, or status line, that is read: as urllib3 and so the official SDK allow. aiohttp's own bound of
# 8,190 bytes is below what cookies and content security policies of company proxies take.
HEADER_BYTES = 64 * 1024
# Statuses below 500 with which a server may ask for a wait: what it did not look at, had no room for, or was too much.
MAY_ASK = frozenset({408, 413, 425, 429})


class Gate(Protocol):
    """The transport asks it before an attempt leaves, and reports to it after it."""

    def admit_now(self, cls: RequestClass) -> bool:
        """Like `acquire`, if there is nothing to wait for; returns False otherwise."""

    async def acquire(self, cls: RequestClass) -> None:
        """Wait until an attempt of this class may leave; `release` follows."""

    def release(self) -> None:
        """The attempt is over."""

    @property
    def counts_handovers(self) -> bool:
        """Whether it needs calls of `handover`."""

    async def handover(self, cls: RequestClass) -> None:
        """The connection is there; the request goes out as soon as this returns."""

    def answered(self, cls: RequestClass, status: int, latency_s: float, retry_after_s: float | None) -> None:
        """An attempt was answered.

        retry_after_s: seconds until the next one, if the server asked for a wait.
        """

    def unanswered(self, cls: RequestClass, latency_s: float) -> None:
        """An attempt timed out, was reset, or found no connection."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds.

    connect: with name look-up, proxy and TLS.
    first_byte: also bounds every gap in an answer.
    attempt: bounds the whole attempt, from its turn on.
    """

    connect: float = 10.0
    first_byte: float = 40.0
    attempt: float = 120.0


class Answer(NamedTuple):
    """Status, headers (names in any case) and the whole body, decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Exchange(Protocol):
    """One attempt over the network. An async context manager, entered before the first call.

    Raises aiohttp's errors, OSError or TimeoutError. aiohttp's ClientConnectorError and ConnectionTimeoutError mean
    that nothing was sent; after all others the request may have arrived.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def carry(self, headers: Mapping[str, str]) -> None:
        """Send these headers with every request from now on, in place of those before."""

    async def __call__(self, cls: RequestClass, method: str, url: URL, body: bytes | None) -> Answer:
        """Make the attempt. Raises Refused or OutcomeUnknown for a body larger than the limit."""


def asked_wait_s(status: int, headers: Mapping[str, str], now_s: float) -> float | None:
    """Seconds that an answer asks to wait before the next attempt, None if it asks for none.

    now_s: the time of its sender, seconds since the epoch, if its own Date does not say: dates count from there.
    """
    if status not in MAY_ASK and status < 500:
        return None
    value = headers.get("Retry-After")
    if value is None:
        return None
    sent_s = http_date_s(headers.get("Date"))
    return parse_retry_after(value, now_s if sent_s is None else sent_s)


def too_large(cls: RequestClass, status: int, most: int) -> Exception:
    """The error for an answer of more than `most` bytes."""
    words = f"the reply is larger than {most // 1024**2:,} MB; the rest was not read"
    if cls is RequestClass.LIST:
        return Refused(f"{words}; ask for fewer tasks at a time", op="read", status=413)
    return OutcomeUnknown(words, op="read", status=status)
