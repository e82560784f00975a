"""What the two ways of making an HTTP exchange share: the gate they pass, their deadlines, what they bring back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from yarl import URL

from scalesync.errors import OutcomeUnknown, Refused
from scalesync.model import RequestClass

USER_AGENT = "scalesync/0.1.0"


class Gate(Protocol):
    """What the transport asks before an attempt leaves, and tells after it."""

    def admit_now(self, cls: RequestClass) -> bool:
        """As `admit`, when nothing has to be waited for; if not, answers no and `admit` is called."""

    async def admit(self, cls: RequestClass) -> None:
        """Wait until an attempt of this class may leave; `leave` follows."""

    def leave(self) -> None:
        """The attempt is over."""

    @property
    def counts_handovers(self) -> bool:
        """Whether `handover` wants to be called."""

    async def handover(self, cls: RequestClass) -> None:
        """The connection is there, the request goes out as soon as this returns."""

    def answered(self, cls: RequestClass, status: int, latency_s: float, retry_after: str | None) -> None:
        """An attempt was answered."""

    def unanswered(self, cls: RequestClass, latency_s: float) -> None:
        """An attempt timed out, was reset, or found no connection."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. connect: name look-up, proxy and TLS included. first_byte also bounds every gap in an answer.

    attempt bounds the whole attempt, from its turn on.
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
    """One attempt over the network. An async context manager; entered before the first call.

    Raises what aiohttp raises, OSError or TimeoutError. aiohttp's ClientConnectorError and ConnectionTimeoutError
    mean that nothing was sent; after all others the request may have arrived.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def __call__(self, cls: RequestClass, method: str, url: URL, body: bytes | None) -> Answer:
        """Make the attempt. Raises Refused or OutcomeUnknown for a body larger than can be held."""


def too_large(cls: RequestClass, status: int, most: int) -> Exception:
    """The error for an answer of more than `most` bytes."""
    words = f"the reply is larger than {most // 1024**2:,} MB and was not read on"
    if cls is RequestClass.LIST:
        return Refused(f"{words}; ask for fewer tasks at a time", op="read", status=413)
    return OutcomeUnknown(words, op="read", status=status)
