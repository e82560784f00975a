"""Kinds of credentials: a fixed header, Basic, a bearer key, and tokens that expire.

renew --> [lock] --> ask for a token --> headers, generation + 1 --> due at 80 % of its life
             |             |
  a call that waited       +-- refused: NotAllowed, for every call that waited
  here asks nothing        +-- no answer: the old token serves while it lives, and a later call asks again
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from scalesync.errors import NotAllowed, RemoteError, Throttled, Unavailable
from scalesync.ports.credential import Ask, AuthReply

RENEW_AT = 0.8  # share of a token's life
AGAIN_S = 5.0  # wait after a failed renewal, while the old token lives
OP = "get a token"


class FixedCredential:
    """Headers that do not change during a run."""

    renews = False
    generation = 0
    is_due = False

    def __init__(self, headers: Mapping[str, str], secrets: Collection[str]) -> None:
        self._headers = dict(headers)
        self.secrets = tuple(secrets)

    def headers(self) -> Mapping[str, str]:
        """The headers."""
        return self._headers

    async def renew(self, ask: Ask, *, refused: bool) -> None:
        """Do nothing: these headers never expire."""


def header(name: str, value: str) -> FixedCredential:
    """A header of the platform's own. Its value is secret, and so is the part of the value after a first word."""
    return FixedCredential({name: value}, {value, value.rpartition(" ")[2]})


def bearer(key: str) -> FixedCredential:
    """`Authorization: Bearer KEY` (RFC 6750)."""
    return FixedCredential({"Authorization": f"Bearer {key}"}, {key})


def basic(user: str, password: str = "") -> FixedCredential:
    """`Authorization: Basic ...` (RFC 7617). Without a password the user is the secret: a key stands there then."""
    pair = f"{user}:{password}"
    encoded = base64.b64encode(pair.encode()).decode("ascii")
    return FixedCredential({"Authorization": f"Basic {encoded}"}, {encoded, password or user})


class Token(NamedTuple):
    """A token from the server.

    life_s: seconds from now until it expires; None if unknown.
    secrets: the new secrets in it.
    """

    headers: Mapping[str, str]
    life_s: float | None
    secrets: Collection[str]


class RenewedCredential(ABC):
    """A token that the program requests before its first request, and again at 80 % of the token's life.

    clock: monotonic, seconds.
    """

    renews = True

    def __init__(self, secrets: Collection[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.generation = 0
        self._lasting = tuple(secrets)
        self._token = Token({}, 0.0, ())
        self._clock = clock
        self._lock = asyncio.Lock()
        self._due_at = self._ends_at = -math.inf
        self._tries = 0
        self._failure: RemoteError | None = None

    @property
    def secrets(self) -> Collection[str]:
        """The key that buys tokens, and the current token."""
        return (*self._lasting, *self._token.secrets)

    def headers(self) -> Mapping[str, str]:
        """Headers with the current token."""
        return self._token.headers

    @property
    def is_due(self) -> bool:
        """True after 80 % of the token's life. While another call renews the token, true only after its end."""
        return self._clock() >= (self._ends_at if self._lock.locked() else self._due_at)

    async def renew(self, ask: Ask, *, refused: bool) -> None:
        """See `Credential`. A renewal before the token's end may fail; then a later call tries again."""
        tries = self._tries
        async with self._lock:
            if self._tries == tries:
                await self._try(ask)
            if self._failure is not None and (refused or self._clock() >= self._ends_at):
                raise self._failure

    async def _try(self, ask: Ask) -> None:
        began = self._clock()
        try:
            token = await self.get(ask)
        except RemoteError as error:
            self._failure = error
            self._due_at = self._clock() + AGAIN_S
        else:
            self._failure = None
            self._token = token
            life_s = math.inf if token.life_s is None else token.life_s
            self._due_at, self._ends_at = began + RENEW_AT * life_s, began + life_s
            self.generation += 1
        self._tries += 1  # a cancelled try does not count: the next caller in line tries instead

    @abstractmethod
    async def get(self, ask: Ask) -> Token:
        """Request a token. Raises NotAllowed, Throttled or Unavailable."""

    def keep(self, secrets: Collection[str]) -> None:
        """Replace the secrets that buy tokens."""
        self._lasting = tuple(secrets)


class JwtPair(RenewedCredential):
    """A long-lived refresh token that buys short-lived access tokens; both are JSON Web Tokens (RFC 7519).

    where: the address that takes {"refresh"} and answers {"access"}, and a new "refresh" if the platform rotates it.
    """

    def __init__(self, refresh: str, where: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__({refresh}, clock)
        self._refresh = refresh
        self._where = where

    async def get(self, ask: Ask) -> Token:
        """POST {"refresh"}."""
        given = await token_of(ask, self._where, {"refresh": self._refresh}, "access")
        rotated = given.get("refresh")
        if isinstance(rotated, str) and rotated:
            self._refresh = rotated
            self.keep({rotated})
        access: str = given["access"]
        return Token({"Authorization": f"Bearer {access}"}, life_of(access), {access})


class MachineToken(RenewedCredential):
    """A token that the program requests with a long-lived secret (client credentials, RFC 6749 section 4.4).

    asked: the body of the request, which holds `secret`.
    token: the member of the answer with the token.
    life: the member of the answer with its life in seconds.
    """

    def __init__(
        self,
        where: str,
        asked: Mapping[str, Any],
        secret: str,
        *,
        token: str = "access_token",  # noqa: S107  the name of a member
        life: str = "expires_in",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__({secret}, clock)
        self._where = where
        self._asked = asked
        self._names = token, life

    async def get(self, ask: Ask) -> Token:
        """POST `asked`."""
        name, life = self._names
        given = await token_of(ask, self._where, self._asked, name)
        text: str = given[name]
        lifetime = given.get(life)
        life_s = (
            float(lifetime) if isinstance(lifetime, int | float) and not isinstance(lifetime, bool) else life_of(text)
        )
        return Token({"Authorization": f"Bearer {text}"}, life_s, {text})


async def token_of(ask: Ask, where: str, asked: Mapping[str, Any], member: str) -> dict[str, Any]:
    """Request a token and return the answer, whose `member` is a string.

    Raises NotAllowed, Throttled or Unavailable.
    """
    reply = await ask(where, json.dumps(asked).encode())
    if not 200 <= reply.status < 300:
        raise _refusal(reply)
    try:
        given: dict[str, Any] = json.loads(reply.body)
        if isinstance(given[member], str) and given[member]:
            return given
    except (ValueError, KeyError, TypeError):
        pass
    raise Unavailable(f"{OP}: the answer holds no {member}", op=OP, status=reply.status)


def _refusal(reply: AuthReply) -> RemoteError:
    words = f"{OP}: status {reply.status}"
    if reply.status == 429:
        return Throttled(words, op=OP, status=429)
    if 400 <= reply.status < 500 and reply.status != 408:
        return NotAllowed(words, op=OP, status=reply.status)
    return Unavailable(words, op=OP, status=reply.status)


def life_of(token: str) -> float | None:
    """Seconds from the issue of a JSON Web Token to its expiry; None if it holds no expiry.

    If it does not hold its time of issue, the current time of the local clock takes that place.
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return max(0.0, float(claims["exp"]) - float(claims.get("iat", time.time())))
    except (binascii.Error, ValueError, KeyError, TypeError):
        return None
