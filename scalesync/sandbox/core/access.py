"""Authentication: the key of a request, and whether the server accepts it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from scalesync.sandbox.core.config import EmulatorConfig
from scalesync.sandbox.core.wire.errors import ApiError

MAX_CACHED = 1024


class Access:
    """The keys that are accepted or refused; `refused` may change while the server runs.

    messages: status -> the platform's message; holds 401 at least.
    """

    def __init__(self, config: EmulatorConfig, messages: Mapping[int, str]) -> None:
        self._allowed = config.keys
        self._messages = messages
        self.refused: dict[str, int] = dict(config.refuse)
        self._cache: dict[str, str] = {}

    def revoke(self, key: str) -> None:
        """Answer 401 to this key from now on."""
        self.refused[key] = 401

    def restore(self, key: str) -> None:
        """Accept a refused key again."""
        self.refused.pop(key, None)

    def key(self, header: str | None) -> str:
        """The key of an Authorization header, Basic (key as user) or Bearer. Raises ApiError 401."""
        if header is None:
            raise self._refusal(401)
        key = self._cache.get(header)
        if key is None:
            key = _parse(header)
            if key is None:
                raise self._refusal(401)
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[header] = key
        return key

    def check(self, key: str, kind: str) -> None:
        """Check a key for a request of class `kind`. Raises ApiError for a refused or an unknown key.

        A key refused with 402 may do everything but create.
        """
        status = self.refused.get(key)
        if status is not None and (status != 402 or kind == "create"):
            raise self._refusal(status)
        if self._allowed is not None and key not in self._allowed:
            raise self._refusal(401)

    def _refusal(self, status: int) -> ApiError:
        return ApiError(status, self._messages.get(status, "The request was refused."))


def _parse(header: str) -> str | None:
    """The key, or None when the header holds none."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(value.strip()).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return None
