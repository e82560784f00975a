"""Who asks: the key of a request, whether it may come in, and into which world."""

from __future__ import annotations

import base64
import binascii

from scalesync.sandbox.scale.config import SandboxConfig
from scalesync.sandbox.scale.errors import NO_SUCH_KEY, ApiError

MAX_CACHED = 1024
TEXTS = {
    401: NO_SUCH_KEY,
    402: "Please contact sales@scaleapi.com before creating this type of task.",
    403: "You do not have access to this resource.",
}


class Access:
    """Keys accepted and refused; `refused` may change while the server runs."""

    def __init__(self, config: SandboxConfig) -> None:
        self._allowed = config.keys
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
            raise ApiError(401, NO_SUCH_KEY)
        key = self._cache.get(header)
        if key is None:
            key = _parse(header)
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            self._cache[header] = key
        return key

    def world(self, key: str, kind: str) -> str:
        """`live` or `test`. Raises ApiError 401, 402 (creates only) or 403."""
        status = self.refused.get(key)
        if status is not None and (status != 402 or kind == "create"):
            raise ApiError(status, TEXTS.get(status, "The request was refused."))
        if self._allowed is not None and key not in self._allowed:
            raise ApiError(401, NO_SUCH_KEY)
        if key.startswith("test_") or key.endswith("|test"):
            return "test"
        if key.startswith("live_"):
            return "live"
        raise ApiError(401, NO_SUCH_KEY)


def _parse(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        raise ApiError(401, NO_SUCH_KEY)
    try:
        return base64.b64decode(value.strip()).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        raise ApiError(401, NO_SUCH_KEY) from None
