"""What an emulated platform has to provide; everything else is shared."""

from __future__ import annotations

from typing import Generic, NamedTuple, Protocol, TypeVar

from scalesync.sandbox.core.access import Access
from scalesync.sandbox.core.wire.messages import Call, Reply

W = TypeVar("W")


class Caller(NamedTuple, Generic[W]):
    """Who sent a request.

    key: the rate limit counts by it; empty if the request needs no key, and then no limit applies.
    world: the part of the platform's state that the caller sees.
    """

    key: str
    world: W


class App(Protocol[W]):
    """One emulated platform. The server calls `classify`, `challenge`, `advance` and `answer` for each request.

    No method waits, so requests never interleave.
    """

    root: str  # the path at the end of a client's base URL: "/v1"
    key_header: str  # which header holds the key: "Authorization" or one of the platform's own
    access: Access

    def classify(self, method: str, target: str) -> tuple[str, Call]:
        """Return the fault class (`faults.CLASSES` or `other`) and the request, with the root cut off its path."""

    def challenge(self, call: Call, kind: str, authorization: str | None) -> Caller[W]:
        """Find out who asks, from the value of the key's header. Raises ApiError if the key is missing or refused."""

    def advance(self, world: W) -> None:
        """Do everything that is due by now. It runs before each answer, so it must be cheap when nothing is due."""

    def answer(self, world: W, call: Call) -> Reply:
        """Carry the request out. Raises ApiError."""

    def refusal(self, status: int, text: str | None = None) -> Reply:
        """Return an error in the platform's envelope. Without `text`, the platform's message for the status is used."""

    def control(self, call: Call) -> Reply | None:
        """Answer a control request of this platform; None if the platform has no such path. Raises ApiError."""

    def stats(self) -> dict[str, object]:
        """Return the platform's part of `GET /_sandbox/stats`."""

    def listening(self, origin: str) -> None:
        """Remember the server's address, which has no slash at its end."""

    def flush(self) -> None:
        """Write what is buffered. Raises OSError; the buffer is kept then."""

    def close(self) -> None:
        """Write everything and close the data file."""
