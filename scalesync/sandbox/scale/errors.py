"""Scale's errors: messages and envelope."""

from __future__ import annotations

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.rawjson import dumps

NO_SUCH_TASK = "Task with that ID not found."
NO_SUCH_KEY = "Your API key does not correspond to a registered user."
INTERNAL = "Internal Server Error"
OWN_ERRORS = {  # messages of injected errors; any other status says INTERNAL
    429: "Too many requests",
    503: "Server Timeout From Request Queueing",
    504: "Server Timeout Error",
}


def error_body(status: int, text: str) -> bytes:
    """Scale's error envelope. Source: Scale docs: Errors; recorded replies of 2016 and 2019."""
    return dumps({"status_code": status, "error": text})


def bad(reason: str) -> ApiError:
    """A 400 in the wording of Scale's parameter check. Source: official SDK README."""
    return ApiError(400, f"Parameter is invalid, reason: {reason}")
