"""Scale's keys: the world of a key, and the messages for refused keys."""

from __future__ import annotations

from typing import Literal

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.scale.errors import NO_SUCH_KEY

WorldName = Literal["live", "test"]
TEXTS = {
    401: NO_SUCH_KEY,
    402: "Please contact sales@scaleapi.com before creating this type of task.",
    403: "You do not have access to this resource.",
}


def world_of(key: str) -> WorldName:
    """`live` or `test`. Raises ApiError 401 for a key of neither kind."""
    if key.startswith("test_") or key.endswith("|test"):
        return "test"
    if key.startswith("live_"):
        return "live"
    raise ApiError(401, NO_SUCH_KEY)
