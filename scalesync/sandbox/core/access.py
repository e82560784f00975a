"""Who asks: the key of a request, and whether it may come in."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from scalesync.sandbox.core.config import EmulatorConfig
from scalesync.sandbox.core.wire.errors import ApiError

MAX_CACHED = 1024


class Access:
    """Keys accepted and refused; `refused` may change while the server runs.

    messages: status -> what the platform says with it; 401 is there.
    """

    def __init__(self, config: EmulatorConfig, texts: Mapping[int, str]) -> None:
        self._allowed = config.keys
        self._texts = texts
        self.refused: dict[str, int] = dict(config.refuse)
        self._cache: dict[str, str] = {}

    def revoke(self, key: str) -> None:
        """Answer 401 to this key from now on."""
        self.refused[key] = 401

    def restore(self, key: str) -> None:
        """Take a refusal back."""
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
        """Raise the ApiError that a refused (402: of creates only) or an unknown key gets for a request of a class."""
        status = self.refused.get(key)
        if status is not None and (status != 402 or kind == "create"):
            raise self._refusal(status)
        if self._allowed is not None and key not in self._allowed:
            raise self._refusal(401)

    def _refusal(self, status: int) -> ApiError:
        return ApiError(status, self._texts.get(status, "The request was refused."))


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
