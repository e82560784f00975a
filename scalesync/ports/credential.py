"""What opens a platform for a request: asked for each attempt, renewed during the run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol


class AuthReply(Protocol):
    """An answer of the token endpoint."""

    @property
    def status(self) -> int: ...

    @property
    def body(self) -> bytes: ...


class Ask(Protocol):
    """One request for a token. Raises Unavailable or OutcomeUnknown if no answer came."""

    async def __call__(self, where: str, body: bytes) -> AuthReply:
        """POST a JSON body, without the credential.

        where: below the API root, or a whole address.
        """


class Credential(Protocol):
    """Headers that open the platform.

    renews: whether they change during a run; if not, they are read once.
    generation: grows with each renewal.
    secrets: all current secrets, which no output may contain.
    """

    renews: bool

    @property
    def generation(self) -> int: ...

    @property
    def secrets(self) -> Collection[str]: ...

    def headers(self) -> Mapping[str, str]:
        """The headers of each request now; {} before the first renewal."""

    @property
    def is_due(self) -> bool:
        """Whether the next request should wait for `renew`."""

    async def renew(self, ask: Ask, *, refused: bool) -> None:
        """Get new headers; a caller during a renewal waits for it and asks nothing.

        refused: the platform did not take the present ones (401), so they are useless.
        Raises NotAllowed if the service gives no new ones, Throttled or Unavailable if that is not known yet.
        """
