"""What an emulated platform brings; all else is the same for each of them."""

from __future__ import annotations

from typing import Generic, NamedTuple, Protocol, TypeVar

from scalesync.sandbox.core.access import Access
from scalesync.sandbox.core.wire.messages import Call, Reply

W = TypeVar("W")


class Caller(NamedTuple, Generic[W]):
    """Who asks.

    key: what the rate limit counts by; empty for a request that needs none, which is not limited.
    world: the part of the platform's state that the caller sees.
    """

    key: str
    world: W


class App(Protocol[W]):
    """One emulated platform. For each request it is asked `classify`, then `challenge`, `advance` and `answer`.

    No method waits, so each request is carried out in one piece.
    """

    root: str  # what a client's base URL ends with, "/v1"
    key_header: str  # which header holds the key: "Authorization" or one of the platform's own
    access: Access

    def classify(self, method: str, target: str) -> tuple[str, Call]:
        """The fault class (`faults.CLASSES`, or `other`), and the request, its path without the root."""

    def challenge(self, call: Call, kind: str, authorization: str | None) -> Caller[W]:
        """Who asks, by the value of the key's header. Raises ApiError when nobody may ask so."""

    def advance(self, world: W) -> None:
        """Do all that is due by now. Called before each answer, so it must be cheap when nothing is."""

    def answer(self, world: W, call: Call) -> Reply:
        """Carry the request out. Raises ApiError."""

    def refusal(self, status: int, text: str | None = None) -> Reply:
        """An error in the platform's envelope; without a text, in the platform's words for the status."""

    def control(self, call: Call) -> Reply | None:
        """Answer a control request that is about this platform; None for a path it does not have. Raises ApiError."""

    def stats(self) -> dict[str, object]:
        """What `GET /_sandbox/stats` says about the state."""

    def listening(self, origin: str) -> None:
        """Take note of the server's address, without a slash at the end."""

    def flush(self) -> None:
        """Write what is buffered. Raises OSError; nothing is dropped then."""

    def close(self) -> None:
        """Write everything and let go of the data file."""
