"""What the two kinds of HTTP exchange share: the gate, deadlines, answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from yarl import URL

from scalesync.errors import OutcomeUnknown, Refused
from scalesync.http.form import Form
from scalesync.model.targets import RequestClass
from scalesync.times import http_date_s, parse_retry_after

USER_AGENT = "scalesync/0.1.0"
# The longest header or status line that the program reads: the bound of urllib3, and so of the official SDK. aiohttp's
# own bound is lower, and the cookies and content security policies of company proxies exceed it.
HEADER_BYTES = 64 * 1024
# Statuses below 500 with which a server may ask for a wait: it did not process the request, had no room, or was busy.
MAY_ASK = frozenset({408, 413, 425, 429})


class Gate(Protocol):
    """The transport asks the gate before each attempt, and reports to it afterwards."""

    def admit_now(self, cls: RequestClass) -> bool:
        """Acquire without a wait. Returns False if the attempt has to wait; then nothing was acquired."""

    async def acquire(self, cls: RequestClass) -> None:
        """Wait until an attempt of this class may leave. The caller calls `release` afterwards."""

    def release(self) -> None:
        """The attempt is over."""

    @property
    def counts_handovers(self) -> bool:
        """Whether the gate needs calls of `handover`."""

    async def handover(self, cls: RequestClass) -> None:
        """Wait for the moment of the request. The connection is there, and the request goes out once this returns."""

    def answered(self, cls: RequestClass, status: int, latency_s: float, retry_after_s: float | None) -> None:
        """An attempt got an answer.

        retry_after_s: seconds until the next attempt, if the server asked for a wait.
        """

    def unanswered(self, cls: RequestClass, latency_s: float) -> None:
        """An attempt timed out, was reset, or found no connection."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds for the phases of an attempt.

    connect: for the connection, with name look-up, proxy and TLS.
    first_byte: up to the first byte of the answer; also bounds every gap within the answer.
    attempt: for the whole attempt, after the gate lets it pass.
    """

    connect: float = 10.0
    first_byte: float = 40.0
    attempt: float = 120.0


Body = bytes | Form | None


class Answer(NamedTuple):
    """Status, headers (names in any case) and the whole body, decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Exchange(Protocol):
    """Makes single attempts over the network. An async context manager: enter it before the first call.

    A call raises aiohttp's errors, OSError or TimeoutError. After aiohttp's ClientConnectorError and
    ConnectionTimeoutError nothing was sent; after all other errors the request may have arrived.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def carry(self, headers: Mapping[str, str]) -> None:
        """Replace the headers of every request from now on."""

    async def __call__(self, cls: RequestClass, method: str, url: URL, body: Body) -> Answer:
        """Make the attempt. Raises Refused or OutcomeUnknown for a body larger than the limit."""


def asked_wait_s(status: int, headers: Mapping[str, str], now_s: float) -> float | None:
    """Seconds that an answer asks to wait before the next attempt; None if it asks for no wait.

    now_s: the sender's time in seconds since the epoch. It serves if the answer has no Date: a wait that is given as a
        date counts from there.
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
